"""``vitbench profile``: its output streams and its folders."""

import json
from pathlib import Path

import pytest

from bench.__main__ import cli

SMALL = ["profile", "B/32", "--image-size", "64", "--component", "attention", "--calls", "1"]


def test_the_command_prints_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables and notes go to standard output, progress to standard error, files to results/.

    The folder there is named after the time.
    """
    monkeypatch.chdir(tmp_path)
    cli.main([*SMALL, "--no-lock", "--mode", "train"], standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.startswith("Time of one call: attention of B/32 b1 train 64px, on cpu\n")
    assert "By component" in out
    assert "By operator" in out
    assert "A profiled call took ×" in out
    assert "call 1 of 1" in err
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.match("profile-????????-??????")
    assert f"Written to results/{folder.name}: " in out


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, standard output is exactly the content of profile.json."""
    cli.main([*SMALL, "--no-lock", "--json", "--out", str(tmp_path / "p")], standalone_mode=False)
    out, _ = capsys.readouterr()
    assert out == (tmp_path / "p" / "profile.json").read_text()
    assert json.loads(out)["calls"] == 1
