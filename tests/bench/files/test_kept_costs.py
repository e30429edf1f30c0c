"""bench.files.kept_costs: costs kept between runs, and files that are broken, full or shared."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.files.kept_costs import KeptCosts, cache_folder
from bench.records.arm_costs import Case, ComputedCosts, Graphs, PredictedMemory
from bench.records.comparison import Arm
from helpers.disks import files_of_at_most
from helpers.records import WORKLOAD

STATE = {"code": "abc", "torch": "2.11.0"}
CASE = Case(workload=WORKLOAD, arm=Arm())
OTHER = replace(CASE, arm=Arm(precision="bf16"))
PREDICTED = PredictedMemory(
    total_bytes=6,
    by_kind={"parameters": 4, "inputs": 2},
    by_component={"attention": {"parameters": 4}},
)
COSTS = ComputedCosts(
    predicted=PREDICTED,
    counted_flop=10**18 + 1,
    graphs=Graphs(breaks=1, recompiles=2),
    top1_agreement=359 / 360,
)
NOTHING = ComputedCosts()


def again(folder: Path) -> KeptCosts:
    """Open the costs as the next run does."""
    return KeptCosts(folder, STATE)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A file with the costs of one case, the only one of its folder."""
    again(tmp_path).keep(CASE, COSTS)
    (file,) = tmp_path.iterdir()
    return file


def test_the_next_run_has_the_costs(tmp_path: Path) -> None:
    """Every value is kept exactly; other cases have none."""
    again(tmp_path / "new" / "folder").keep(CASE, COSTS)
    kept = again(tmp_path / "new" / "folder")
    assert kept.of(CASE) == COSTS
    assert kept.of(OTHER) == NOTHING


@pytest.mark.parametrize(
    "changes", [{"image_size": 384}, {"batch_size": 2}, {"mode": "train"}, {"device": "cuda"}]
)
def test_other_work_is_another_case(file: Path, changes: dict[str, Any]) -> None:
    """A case of another size is another one, also where its name in a run is the same."""
    other = replace(CASE, workload=replace(WORKLOAD, **changes))
    assert again(file.parent).of(other) == NOTHING


@pytest.mark.parametrize(
    "state", [{"code": "abd", "torch": "2.11.0"}, {"code": "abc"}, {**STATE, "threads": "2"}]
)
def test_another_state_has_costs_of_its_own(file: Path, state: dict[str, str]) -> None:
    """Other code, another torch or another machine shares nothing; the first keeps its costs."""
    other = KeptCosts(file.parent, state)
    assert other.of(CASE) == NOTHING
    other.keep(CASE, replace(COSTS, counted_flop=1))
    assert again(file.parent).of(CASE) == COSTS


def test_the_order_of_a_state_does_not_matter(file: Path) -> None:
    """The same state in another order has the same costs."""
    assert KeptCosts(file.parent, dict(reversed(STATE.items()))).of(CASE) == COSTS


def test_costs_of_another_state_in_the_file_do_not_count(file: Path) -> None:
    """A copied or renamed file counts for the state that it names."""
    other = KeptCosts(file.parent, {"code": "other"})
    assert other.file is not None
    other.file.write_bytes(file.read_bytes())
    assert KeptCosts(file.parent, {"code": "other"}).of(CASE) == NOTHING


def test_known_costs_are_not_written_again(file: Path) -> None:
    """A run that computes nothing new leaves the file alone."""
    before = file.stat()
    again(file.parent).keep(CASE, COSTS)
    again(file.parent).keep(OTHER, NOTHING)
    assert file.stat() == before


def test_runs_at_the_same_time_keep_each_others_costs(tmp_path: Path) -> None:
    """Costs that another run has kept since this one began stay in the file."""
    first, second = again(tmp_path), again(tmp_path)
    first.keep(CASE, COSTS)
    second.keep(OTHER, replace(COSTS, counted_flop=2))
    kept = again(tmp_path)
    assert kept.of(CASE) == COSTS
    assert kept.of(OTHER).counted_flop == 2


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from bench.files.kept_costs import KeptCosts
from bench.records.arm_costs import Case, ComputedCosts
from bench.records.comparison import Arm, Workload
work = Workload(component="model", mode="forward", device="cpu", variant="B/16")
for size in range(1, 60):
    case = Case(workload=replace(work, batch_size=size), arm=Arm())
    KeptCosts(Path(sys.argv[1]), {"a": "b"}).keep(case, ComputedCosts(counted_flop=size))
"""


def test_writing_processes_do_no_harm_to_each_other(tmp_path: Path) -> None:
    """While two processes write, a reader finds whole files with right values, and no leftovers."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    found = set()
    while any(each.poll() is None for each in processes):
        known = KeptCosts(tmp_path, {"a": "b"}).known
        assert all(costs.counted_flop == case.workload.batch_size for case, costs in known.items())
        found.add(len(known))
    assert [each.returncode for each in processes] == [0, 0]
    assert len(found) > 1
    assert len(list(tmp_path.iterdir())) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.integers(0, 10**4)))
@example(content=b"")
@example(content=b"[" * 10**5)
@example(content=b'{"depends_on": {}, "kept": []}')
@example(content=b'{"depends_on": {"code": 1}, "kept": [{"case": null}]}')
def test_a_broken_file_is_no_file(tmp_path: Path, content: bytes | int) -> None:
    """Bytes that are no costs, or a file cut off anywhere, mean none, and are replaced."""
    kept = again(tmp_path)
    kept.keep(CASE, COSTS)
    assert kept.file is not None
    whole = kept.file.read_bytes()
    kept.file.write_bytes(content if isinstance(content, bytes) else whole[: content % len(whole)])
    broken = again(tmp_path)
    assert broken.of(CASE) == NOTHING
    broken.keep(OTHER, COSTS)
    assert again(tmp_path).of(OTHER) == COSTS
    kept.file.unlink()


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    """The costs serve this process; nothing is written and nothing raised."""
    (tmp_path / "home").write_text("a file")
    kept = again(tmp_path / "home" / "cache")
    kept.keep(CASE, COSTS)
    assert kept.of(CASE) == COSTS
    assert again(tmp_path / "home" / "cache").of(CASE) == NOTHING


def test_a_full_disk_leaves_the_earlier_costs(file: Path) -> None:
    """What does not fit is lost; the earlier file stays, without leftovers."""
    with files_of_at_most(100):
        again(file.parent).keep(OTHER, COSTS)
    assert again(file.parent).of(CASE) == COSTS
    assert again(file.parent).of(OTHER) == NOTHING
    assert list(file.parent.iterdir()) == [file]


def test_without_a_folder_costs_are_kept_in_the_process() -> None:
    """No folder means no file, and the process still computes each cost once."""
    kept = KeptCosts(None, STATE)
    kept.keep(CASE, COSTS)
    assert kept.of(CASE) == COSTS
    assert KeptCosts(None, STATE).of(CASE) == NOTHING


def test_files_of_old_states_are_removed(tmp_path: Path) -> None:
    """The last sixteen files stay, and every file of another name."""
    others = ("notes.txt", "costs-0123456789abcdef.json.old", "costs-mine.json")
    for name in others:
        (tmp_path / name).write_text("mine")
    for number in range(20):
        kept = KeptCosts(tmp_path, {"code": str(number)})
        kept.keep(CASE, COSTS)
        assert kept.file is not None
        os.utime(kept.file, (number, number))
    names = {each.name for each in tmp_path.iterdir()}
    assert len(names) == 16 + len(others)
    assert names.issuperset(others)
    assert KeptCosts(tmp_path, {"code": "19"}).of(CASE) == COSTS
    assert KeptCosts(tmp_path, {"code": "0"}).of(CASE) == NOTHING


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "home/.cache/vitbench"),
        ({"XDG_CACHE_HOME": "/{}/caches"}, "caches/vitbench"),
        ({"XDG_CACHE_HOME": "caches"}, "home/.cache/vitbench"),  # relative: not a valid value
        ({"XDG_CACHE_HOME": ""}, "home/.cache/vitbench"),
        ({"VITBENCH_CACHE": "/{}/mine", "XDG_CACHE_HOME": "/{}/caches"}, "mine"),
        ({"VITBENCH_CACHE": ""}, "home/.cache/vitbench"),
        ({"VITBENCH_CACHE": "off"}, None),
    ],
)
def test_the_folder(
    variables: dict[str, str],
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The folder is the user's cache folder, or where a variable says, or none."""
    for name in ("VITBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("/{}", str(tmp_path)))
    assert cache_folder() == (tmp_path / expected if expected else None)
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VITBENCH_CACHE counts from where the process starts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITBENCH_CACHE", "mine")
    assert cache_folder() == tmp_path / "mine"


def test_a_repository_gets_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the home is inside a repository nothing is kept, unless the user says where."""
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("VITBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / ".cache"))
    assert cache_folder() is None
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_user_without_a_home_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose user has no home directory computes all costs."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("VITBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_folder() is None
