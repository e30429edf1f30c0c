"""``vitbench profile``: what it prints where, and the folder that nobody named."""

import json
from pathlib import Path

import pytest

from bench.__main__ import cli

SMALL = ["profile", "B/32", "--image-size", "64", "--component", "attention", "--calls", "1"]


def test_the_command_prints_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables and notes go to standard output, how far it is to standard error."""
    cli.main([*SMALL, "--no-lock", "--out", str(tmp_path / "p")], standalone_mode=False)
    out, err = capsys.readouterr()
    assert out.startswith("Time of one call: attention of B/32 b1 forward 64px, on cpu\n")
    assert "By component" in out
    assert "By operator" in out
    assert "A profiled call took ×" in out
    assert f"Written to {tmp_path / 'p'}: " in out
    assert "call 1 of 1" in err


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else goes to standard output, and it is what the file holds."""
    cli.main([*SMALL, "--no-lock", "--json", "--out", str(tmp_path / "p")], standalone_mode=False)
    out, _ = capsys.readouterr()
    assert out == (tmp_path / "p" / "profile.json").read_text()
    assert json.loads(out)["calls"] == 1


def test_the_folder_lies_with_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where none is named, its name is the time."""
    monkeypatch.chdir(tmp_path)
    cli.main([*SMALL, "--no-lock", "--mode", "train"], standalone_mode=False)
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.match("profile-????????-??????")
    assert f"Written to results/{folder.name}: " in capsys.readouterr().out
