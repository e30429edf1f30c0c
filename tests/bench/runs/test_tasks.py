"""Passes as real processes: their samples, and their results after a kill."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import JournalReader
from bench.files.run_folder import create_run_folder
from bench.records.comparison import Comparison
from bench.records.errors import RunError
from bench.records.task import PassJob, Task
from bench.runs.processes import _raise_unwritable, run_to_completion
from bench.runs.schedule import NextPass
from bench.runs.tasks import Place, pass_task, probe
from bench.suite.bench_patchers import GRID
from bench.suite.grid import Selection, expand
from helpers.journals import read_samples
from helpers.own_arms import compare
from helpers.processes import with_arms
from helpers.records import make_comparison, make_environment, make_plan, make_sample
from helpers.tasks import make_pass_job, make_pass_task

SELECTION = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
COMPARISONS = tuple(expand(GRID, SELECTION))


def task_in(
    folder: Path, comparisons: tuple[Comparison, ...], seconds: float = 3.0, **changes: Any
) -> Task[PassJob]:
    """Build a pass over comparisons in a new run's folder; keywords change its jobs."""
    create_run_folder(folder, make_plan(comparisons=comparisons), make_environment())
    return make_pass_task(
        folder / "journal.jsonl",
        *(make_pass_job(each, check=False, **changes) for each in comparisons),
        deadline_s=time.time() + seconds,
        end_s=time.time() + seconds,
        parent=os.getpid(),
    )


def test_a_pass_is_a_job_for_each_comparison() -> None:
    """Each job has its weight and time; outputs already checked are not checked again."""
    first, second = comparisons = (make_comparison("mha"), make_comparison("manual"))
    plan = make_plan(each_s=6.0, passes=3, budget_s=100.0, directory=Path("/arms"))
    place = Place(journal=Path("/run/j"), compiled=Path("/run/c"), threads=2, spent_s=30.0)
    coming = NextPass(index=4, comparisons=comparisons, seconds=20.0, weights={second.key: 0.5})
    samples = [
        make_sample(first, prepare_s=5.0, output_error=1e-7),
        make_sample(first, 1, prepare_s=3.0),
        make_sample(second, status="skipped", arm_s=(), baseline_s=(), prepare_s=0.1),
    ]
    now_s = time.time()
    task = pass_task(plan, coming, place, samples)
    assert task.jobs == (
        make_pass_job(first, pass_index=4, ready_s=3.0, measure_s=2.0, check=False),
        make_pass_job(second, pass_index=4, weight=0.5, measure_s=1.0),
    )
    assert (task.kind, task.name, task.parent) == ("pass", "pass-5", os.getpid())
    assert (task.deadline_s - now_s, task.end_s - now_s) == pytest.approx((20.0, 70.0), abs=1.0)
    assert (task.journal, task.compiled, task.directory) == (
        *(place.journal, place.compiled, Path("/arms")),
    )


def test_a_pass_over_chosen_combinations_has_another_name() -> None:
    """A choice's pass has file names of its own, and shares its time by default."""
    chosen = replace(make_comparison(), factor="choice")
    coming = NextPass(index=3, comparisons=(chosen,), seconds=20.0, weights={})
    place = Place(journal=Path("/run/j"), compiled=Path("/run/c"), threads=2)
    task = pass_task(make_plan(), coming, place)
    assert task.name == "choice-4"
    assert task.jobs == (make_pass_job(chosen, pass_index=3),)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a directory with modules named like bench, pytest and random."""
    for name in ("bench", "pytest", "random"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the other {name}')")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_a_killed_process_costs_one_comparison(tmp_path: Path) -> None:
    """The current comparison has the cause; the rest is measured."""
    arms = with_arms(tmp_path) / "arms.py"
    names = ("right#2", "is_killed", "right#3")
    comparisons = tuple(compare(f"{arms}:right", f"{arms}:{name}") for name in names)
    task = task_in(tmp_path / "run", comparisons, measure_s=0.1)
    seen: list[str] = []
    run_to_completion(task, JournalReader(task.journal), lambda e: seen.append(e["kind"]))
    samples = read_samples(tmp_path / "run")
    assert [sample.key for sample in samples] == [each.key for each in comparisons]
    assert [sample.status for sample in samples] == ["ok", "crashed", "ok"]
    assert samples[1].error == "the process was ended by SIGKILL; see passes/pass-1.log"
    two, one = ["process", *["start", "sample"] * 2], ["process", "start", "sample"]
    # A busy machine is waited for.
    assert [kind for kind in seen if kind != "progress"] == two + one


@pytest.mark.slow
def test_variables_of_pytest_do_not_reach_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of pytest and pytest-xdist does not affect a pass."""
    variables = {"XDIST_WORKER": "gw0", "ADDOPTS": "--benchmark-disable", "PLUGINS": "no.such"}
    for name, value in variables.items():
        monkeypatch.setenv(f"PYTEST_{name}", value)
    arm = f"{with_arms(tmp_path) / 'arms.py'}:right"
    task = task_in(tmp_path / "run", (compare(arm, arm),), measure_s=0.1)
    run_to_completion(task, JournalReader(task.journal), lambda _: None)
    (sample,) = read_samples(tmp_path / "run")
    assert len(sample.arm_s) == len(sample.baseline_s) > 0


@pytest.mark.slow
def test_a_process_that_measures_nothing_is_an_error(tmp_path: Path) -> None:
    """A pass that ends before its first comparison is not restarted forever."""
    task = replace(task_in(tmp_path / "run", COMPARISONS), parent=1)
    with pytest.raises(RunError, match=r"measured nothing: .*see passes/pass-1\.log"):
        run_to_completion(task, JournalReader(task.journal), lambda _: None)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_comparisons_after_the_deadline_are_skipped(tmp_path: Path) -> None:
    """Comparisons without time are skipped samples with the remedy."""
    task = task_in(tmp_path / "run", COMPARISONS, seconds=-1)
    # Half a second is less than the import of torch, which does not count as a comparison's time.
    task = replace(task, limit_s=0.5)
    run_to_completion(task, JournalReader(task.journal), lambda _: None)
    samples = read_samples(tmp_path / "run")
    assert {sample.status for sample in samples} == {"skipped"}
    assert {"larger --budget" in str(sample.error) for sample in samples} == {True}
    assert len(samples) == len(COMPARISONS)


@pytest.mark.usefixtures("elsewhere")
def test_the_probe_describes_the_machine() -> None:
    """The probe lists the devices from a process of its own."""
    assert "cpu" in probe().devices


def test_a_journal_without_space_for_a_sample_is_an_error(tmp_path: Path) -> None:
    """The error is raised even if a short line would still fit."""
    task = task_in(tmp_path / "run", COMPARISONS)
    with pytest.raises(OSError, match="no room for what was measured"):
        _raise_unwritable(task)
