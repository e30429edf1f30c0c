"""bench.runs.profiling: a request to a worker, its folder, and plots drawn again."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.lock import device_locks
from bench.records.arm_costs import Case
from bench.records.comparison import Arm, Workload
from bench.records.errors import InputError, RunError
from bench.runs.profiling import ProfileFolder, ProfileRequest, draw, profile, read

ATTENTION = Workload(
    component="attention",
    mode="forward",
    device="cpu",
    variant="B/32",
    patch_size=32,
    image_size=64,
    batch_size=1,
)
FIGURES = {
    f"{name}.{kind}"
    for name in ("components", "operators", "memory", "memory-measured")
    for kind in ("png", "svg")
}
DATA = {"profile.json", "trace.json", "stacks.txt"}
AGAIN = """
import sys
sys.modules["torch"] = None  # Whoever imports it fails.
from bench.__main__ import cli
cli.main(["profile", "--again", sys.argv[1], "--top", "3"], standalone_mode=False)
"""


def request_of(folder: Path, **changes: Any) -> ProfileRequest:
    """Build a profile of two calls of a small attention; keywords change the workload."""
    case = Case(workload=replace(ATTENTION, **changes), arm=Arm())
    return ProfileRequest(case=case, calls=2, folder=folder, command="vitbench profile", lock=False)


def ignore(_: str) -> None:
    """Discard progress."""


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProfileFolder, list[str]]:
    """Return one profile made by a worker, and its progress."""
    said: list[str] = []
    folder = tmp_path_factory.mktemp("profile") / "new" / "folder"
    return profile(request_of(folder), said.append), said


def test_a_worker_measures(made: tuple[ProfileFolder, list[str]]) -> None:
    """The folder has the data of the case; progress is reported during the work."""
    found, said = made
    assert {path.name for path in found.folder.iterdir()} == DATA
    assert (found.profiled.case.workload, found.profiled.calls) == (ATTENTION, 2)
    assert found.command == "vitbench profile"
    assert said == [
        *("building and warming up", "call 1 of 2", "call 2 of 2", "memory and files"),
    ]


def test_plots_are_drawn_again(made: tuple[ProfileFolder, list[str]], tmp_path: Path) -> None:
    """Plots are drawn from profile.json alone, in a copy of the folder."""
    found, _ = made
    shutil.copy(found.folder / "profile.json", tmp_path)
    again = read(tmp_path)
    assert again == replace(found, folder=tmp_path)
    assert {path.name for path in draw(again, 5)} == FIGURES
    assert all((tmp_path / name).stat().st_size > 0 for name in FIGURES)


def test_the_command_draws_again_without_torch(
    made: tuple[ProfileFolder, list[str]], tmp_path: Path
) -> None:
    """Tables and plots are made in a process that cannot import torch."""
    shutil.copy(made[0].folder / "profile.json", tmp_path)
    words = [sys.executable, "-c", AGAIN, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Time of one call: ")
    assert {path.name for path in tmp_path.iterdir()} == {"profile.json", *FIGURES}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"cannot be read \(No such file or directory\); expected the folder of a profile"),
        ("{", "is not JSON .*; restore it or run again"),
        ("[]", "is not a JSON object; restore it or run again"),
        ('{"schema": 9}', "has schema 9; this vitbench reads schema 1: use the version that"),
        ('{"schema": 1, "calls": "five"}', "was changed by hand"),
    ],
)
def test_a_folder_without_a_profile_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    """The error names the file, and what was expected or what to do."""
    if text is not None:
        (tmp_path / "profile.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match=f"profile.json {says}"):
        read(tmp_path)


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    """An existing folder is refused before any measurement and stays unchanged."""
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(InputError, match="exists; give --out a new name"):
        profile(request_of(tmp_path), ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_an_arm_that_does_not_fit(tmp_path: Path) -> None:
    """The error has status and cause in one line, and no folder is left."""
    request = request_of(tmp_path / "p", batch_size=10**10)
    says = r"b10000000000 forward 64px was not profiled \(oom\): .*; give a smaller --batch-size"
    with pytest.raises(RunError, match=says):
        profile(request, ignore)
    assert not request.folder.exists()


def test_a_locked_device_is_not_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's device lock refuses a profile."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    request = replace(request_of(tmp_path / "p"), lock=True)
    with device_locks(["cpu"], "vitbench run"), pytest.raises(InputError, match="--no-lock"):
        profile(request, ignore)


def test_the_data_has_its_origin(made: tuple[ProfileFolder, list[str]]) -> None:
    """profile.json has schema, machine, time and command beside the numbers."""
    found, _ = made
    data = json.loads((found.folder / "profile.json").read_text("utf-8"))
    assert {"schema", "command", "started", "environment", "components"} <= set(data)
    assert data["environment"]["torch"] == found.environment.torch
