"""bench.files.run_folder: files round-trip, and a run's folder is created whole or not at all."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.files import run_folder as store
from bench.records.arm_costs import Case
from bench.records.comparison import Arm
from bench.records.errors import InputError
from bench.records.task import TASKS, Job, MemoryJob, ProfileJob
from helpers.records import make_comparison, make_environment, make_plan, make_workload
from helpers.tasks import make_pass_job, make_pass_task, make_survey_job

NO_SIZES: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
OWN = make_comparison(
    "a.py:f",
    baseline="vitcore:attention=sdpa",
    factor="factory",
    component="callable",
    inputs="1,8",
    **NO_SIZES,
)
PLAN = make_plan(
    command="vitbench run --variants 'B/16'",
    seed=1,
    budget_s=540.5,
    precision=0.01,
    delta=0.05,
    each_s=20.0,
    weights={make_comparison().key: 0.25},
    comparisons=(
        make_comparison(),
        make_comparison("bf16", factor="precision", baseline="fp32"),
        OWN,
    ),
)
ENVIRONMENT = make_environment(
    gpus=("H200",),
    dirty=None,
    quota_cores=1.5,
    math_libraries={"mkl": "2024.2"},
    variables={"OMP_NUM_THREADS": "2"},
)
create = partial(store.create_run_folder, plan=PLAN, environment=ENVIRONMENT)


def everything_below(folder: Path) -> list[str]:
    """Return the names of all files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_plan_and_environment_round_trip(tmp_path: Path) -> None:
    """A new run folder holds its plan and environment, which read back unchanged."""
    create(tmp_path / "run")
    assert store.read_plan(tmp_path / "run") == PLAN
    assert store.read_environment(tmp_path / "run") == ENVIRONMENT


CASE = Case(workload=make_workload(), arm=Arm())
JOBS: dict[str, Job] = {
    "pass": make_pass_job(pass_index=1, weight=0.25, ready_s=7.5, measure_s=4.5, checked=("a",)),
    "survey": make_survey_job(make_comparison(), "fp32", "bf16"),
    "memory": MemoryJob(case=CASE),
    "profile": ProfileJob(case=CASE, calls=5, folder=Path("/profile"), command="vitbench profile"),
}


@pytest.mark.parametrize("kind", TASKS)
def test_task_round_trip(tmp_path: Path, kind: str) -> None:
    """A task reads back unchanged: jobs, paths and times, with and without optional values."""
    given: dict[str, Any] = {"kind": kind, "jobs": (JOBS[kind],), "compiled": Path("/compiled")}
    less = {"end_s": math.inf, "threads": None, "compiled": None, "is_temporary": True}
    for changes in (given, given | less):
        task = make_pass_task(tmp_path / "journal.jsonl", **changes)
        store.write_json(tmp_path / "task.json", task)
        assert store.read_task(tmp_path / "task.json") == task


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "tour"}, "kind is 'tour'; expected one of pass, survey, memory, profile"),
        ({"kind": "memory"}, "missing required field `case`"),
        ({"jobs": None}, "Expected `array`, got `null`"),
        ({"budget": 1}, "unknown field 'budget'"),
    ],
)
def test_invalid_task_file(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """The error for an invalid task file names the file and the difference."""
    path = tmp_path / "pass-1.plan.json"
    store.write_json(path, make_pass_task(tmp_path / "journal.jsonl"))
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")
    with pytest.raises(InputError, match=rf"{path.name} was changed by hand \(.*{says}"):
        store.read_task(path)


@pytest.mark.parametrize("read", [store.read_plan, store.read_environment])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); expected the folder of a run"),
        ("[]", "is not a JSON object; restore it or run again"),
        ("null", "is not a JSON object; restore it or run again"),
        ('{"schema": 1, "run_id"', "is not JSON .*; restore it or run again"),
        ('{"schema": 999}', "has schema 999; this vitbench reads schema 5: use the version"),
        ('{"schema": 3}', "has schema 3; this vitbench reads schema 5: use the version"),
        ("{}", "has schema None; this vitbench reads schema 5"),
        ('{"schema": 5}', "was changed by hand .*; restore it or run again"),
    ],
)
def test_unreadable_json(
    tmp_path: Path, read: Callable[[Path], object], text: str | None, message: str
) -> None:
    """The error for an unusable file names its path and the remedy."""
    name = "plan.json" if read is store.read_plan else "environment.json"
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=f"{name} {message}"):
        read(tmp_path)


def test_new_run_folder(tmp_path: Path) -> None:
    """A new run folder is created with its parents, its plan and a folder for passes only."""
    create(tmp_path / "results" / "run")
    assert everything_below(tmp_path) == [
        *("results", "results/run", "results/run/environment.json"),
        *("results/run/passes", "results/run/plan.json"),
    ]


MakesFolder = Callable[[Path], None]
both_ways = pytest.mark.parametrize("make", [store.check_run_folder, create])


@both_ways
def test_existing_run_folder(tmp_path: Path, make: MakesFolder) -> None:
    """An existing folder is refused and left unchanged."""
    (tmp_path / "results.csv").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"exists; give --out a new name \(nothing was over"):
        make(tmp_path)
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["mine"]


@both_ways
@pytest.mark.parametrize("below", ["run", "results/run"])
def test_run_folder_below_a_file(tmp_path: Path, make: MakesFolder, below: str) -> None:
    """A folder below a file is refused before anything is created."""
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"file/.*run cannot be made .*give --out"):
        make(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text("utf-8") == "mine"
    assert everything_below(tmp_path) == ["file"]


@both_ways
def test_name_too_long(tmp_path: Path, make: MakesFolder) -> None:
    """A name too long for the file system is an error with the remedy."""
    with pytest.raises(InputError, match=r"cannot be made \(File name too long\); give --out"):
        make(tmp_path / ("x" * 300))
    assert everything_below(tmp_path) == []


def test_checking_a_run_folder_creates_nothing(tmp_path: Path) -> None:
    """Checking a valid name creates nothing."""
    store.check_run_folder(tmp_path / "results" / "run")
    assert not list(tmp_path.iterdir())


def test_run_id_is_the_time() -> None:
    """A run ID is the start time, so that IDs sort by time."""
    assert store.new_run_id(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "20260102-030405"
