"""Passes as real processes: their samples, and their results after a kill."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import Event, JournalReader, read_events
from bench.files.run_folder import create_run_folder
from bench.records.comparison import Comparison
from bench.records.errors import RunError
from bench.records.sample import Sample
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
    """Build a pass over one group in a new run's folder; keywords change its job."""
    create_run_folder(folder, make_plan(comparisons=comparisons), make_environment())
    return make_pass_task(
        folder / "journal.jsonl",
        make_pass_job(*comparisons, **changes),
        deadline_s=time.time() + seconds,
        end_s=time.time() + seconds,
        parent=os.getpid(),
    )


def place_of(**changes: Any) -> Place:
    """Build the place of a run that has just started."""
    given: dict[str, Any] = {"journal": Path("/run/j"), "compiled": Path("/run/c"), "threads": 2}
    return Place(**given | changes)


def test_a_pass_is_a_job_for_each_group() -> None:
    """Comparisons of one group are one job, its control first; each group has its time."""
    attention = tuple(make_comparison(name) for name in ("manual", "mha", "sdpa"))
    patcher = make_comparison("linear", baseline="conv", factor="patcher", component="patcher")
    plan = make_plan(each_s=6.0, passes=3, budget_s=100.0, directory=Path("/arms"))
    coming = NextPass(
        index=4,
        comparisons=(attention[0], patcher, *attention[1:]),
        seconds=20.0,
        weights={attention[0].key: 0.5, patcher.key: 2.0},
    )
    now_s = time.time()
    task = pass_task(plan, coming, place_of(spent_s=30.0))
    manual, control, sdpa = attention
    assert task.jobs == (
        make_pass_job(
            control, manual, sdpa, pass_index=4, weight=pytest.approx(2.5 / 3), measure_s=4.0
        ),
        make_pass_job(patcher, pass_index=4, weight=2.0, measure_s=2.0),
    )
    assert (task.kind, task.name, task.parent) == ("pass", "pass-5", os.getpid())
    assert (task.deadline_s - now_s, task.end_s - now_s) == pytest.approx((20.0, 70.0), abs=1.0)
    assert (task.journal, task.compiled, task.directory) == (
        *(Path("/run/j"), Path("/run/c"), Path("/arms")),
    )


def test_a_group_knows_its_earlier_passes() -> None:
    """Its least time of getting ready comes from them, and what needs no second check."""
    first, second = (make_comparison(name) for name in ("mha", "manual"))
    coming = NextPass(index=2, comparisons=(first, second), seconds=20.0, weights={})
    samples = [
        make_sample(first, prepare_s=5.0, output_error=1e-7),
        make_sample(second, prepare_s=4.0),
        make_sample(first, 1, prepare_s=3.0),
        make_sample(second, 1, prepare_s=2.5),
        # Of another group; and one that was not measured.
        make_sample(make_comparison(variant="L/16"), 1, prepare_s=0.1, output_error=1e-7),
        make_sample(second, 2, status="skipped", arm_s=(), baseline_s=(), prepare_s=0.1),
    ]
    (job,) = pass_task(make_plan(), coming, place_of(), samples).jobs
    assert job == make_pass_job(first, second, pass_index=2, ready_s=5.5, checked=(first.key,))


def test_a_lone_control_has_the_time_of_a_candidate() -> None:
    """A run of controls, such as a calibration, measures each as long as a candidate."""
    coming = NextPass(index=0, comparisons=(make_comparison("mha"),), seconds=20.0, weights={})
    (job,) = pass_task(make_plan(each_s=6.0), coming, place_of()).jobs
    assert job.measure_s == 2.0


def test_a_pass_over_chosen_combinations_has_another_name() -> None:
    """A choice's pass has file names of its own, and shares its time by default."""
    chosen = replace(make_comparison(), factor="choice")
    coming = NextPass(index=3, comparisons=(chosen,), seconds=20.0, weights={})
    task = pass_task(make_plan(), coming, place_of())
    assert task.name == "choice-4"
    assert task.jobs == (make_pass_job(chosen, pass_index=3),)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a directory with modules named like bench, pytest and random."""
    for name in ("bench", "pytest", "random"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the other {name}')")
    monkeypatch.chdir(tmp_path)


def group_of(folder: Path, *names: str) -> tuple[Comparison, ...]:
    """Copy the failing arms; return the group of the control and these candidates."""
    arms = with_arms(folder) / "arms.py"
    return tuple(compare(f"{arms}:right", f"{arms}:{name}") for name in ("right", *names))


def completed(task: Task[PassJob]) -> tuple[dict[str, Sample], list[str]]:
    """Run a task; return the samples by arm, and the kinds of events with their keys' arms."""
    seen: list[str] = []

    def note(event: Event) -> None:
        if event["kind"] not in ("progress", "alive"):
            seen.append(f"{event['kind']} {event.get('key', '').rpartition(':')[2]}".strip())

    run_to_completion(task, JournalReader(task.journal), note)
    samples = read_samples(task.journal.parent)
    return {each.key.rpartition(":")[2]: each for each in samples}, seen


@pytest.mark.slow
def test_a_process_that_dies_costs_only_the_arm_at_fault(tmp_path: Path) -> None:
    """The arms of a group whose process died are measured apart; the one at fault has the cause."""
    comparisons = group_of(tmp_path, "right#2", "is_killed", "right#3")
    task = task_in(tmp_path / "run", comparisons, measure_s=0.1)
    samples, seen = completed(task)
    assert {name: each.status for name, each in samples.items()} == {
        **dict.fromkeys(("right", "right#2", "right#3"), "ok"),
        "is_killed": "crashed",
    }
    lost = samples.pop("is_killed")
    assert lost.died
    assert lost.error == "the process was ended by SIGKILL; see passes/pass-1-again-1.log"
    assert all(len(each.arm_s) == len(each.baseline_s) > 0 for each in samples.values())
    # Each part has the group's control, whose first sample counts.
    assert seen == [
        *("process", "start right", "process"),
        *("start right#2", "sample right", "sample right#2", "group right#2"),
        *("start is_killed", "sample is_killed", "group is_killed", "process"),
        *("start right#3", "sample right", "sample right#3", "group right#3"),
    ]


@pytest.mark.slow
def test_a_group_is_complete_before_the_next_starts(tmp_path: Path) -> None:
    """Every comparison of a group has a sample with the group's name, in the same rounds."""
    group = group_of(tmp_path, "right#2", "wrong")
    other = replace(group[1], workload=replace(group[1].workload, inputs="2,4"))
    other = replace(
        other, arm=replace(other.arm, factory=str(other.arm.factory).replace("#2", "#4"))
    )
    task = task_in(tmp_path / "run", group, measure_s=0.1)
    task = replace(task, jobs=(*task.jobs, make_pass_job(other, measure_s=0.1)))
    samples, seen = completed(task)
    ready, wrong = [samples[name] for name in ("right", "right#2")], samples["wrong"]
    assert [kind.split()[0] for kind in seen] == [
        *("process", "start", "sample", "sample", "sample", "group"),
        *("start", "sample", "group"),
    ]
    assert {each.group for each in ready} == {group[0].group}
    assert (wrong.status, wrong.group, wrong.arm_s) == ("wrong", None, ())
    # One copy of the baseline, and one set of its times, serves the whole group.
    assert len({each.baseline_s for each in ready}) == 1


@pytest.mark.slow
def test_a_group_may_take_longer_than_one_comparison(tmp_path: Path) -> None:
    """Only a silence as long as the limit is a hang: a group shows that it goes on."""
    arms = [f"{with_arms(tmp_path) / 'arms.py'}:steady{suffix}" for suffix in ("", "#2")]
    group = tuple(compare(arms[0], arm) for arm in arms)
    task = task_in(tmp_path / "run", group, measure_s=6.0)
    task = replace(task, limit_s=2.5, directory=tmp_path)
    samples, seen = completed(task)
    assert {each.status for each in samples.values()} == {"ok"}
    assert [kind.split()[0] for kind in seen] == ["process", "start", "sample", "sample", "group"]
    events, _ = read_events(task.journal)
    assert sum(each["kind"] == "alive" for each in events) >= 2


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
    assert [each["kind"] for each in read_events(task.journal)[0]][-1] == "group"


@pytest.mark.usefixtures("elsewhere")
def test_the_probe_describes_the_machine() -> None:
    """The probe lists the devices from a process of its own."""
    assert "cpu" in probe().devices


def test_a_journal_without_space_for_a_sample_is_an_error(tmp_path: Path) -> None:
    """The error is raised even if a short line would still fit."""
    task = task_in(tmp_path / "run", COMPARISONS)
    with pytest.raises(OSError, match="no room for what was measured"):
        _raise_unwritable(task)
