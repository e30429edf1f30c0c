"""bench.runs.survey: the cases of a survey, their time limits, and lost cases."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import JournalReader, read_events
from bench.files.run_folder import create_run_folder
from bench.records.arm_costs import Case
from bench.records.comparison import Comparison
from bench.records.errors import RunError
from bench.records.task import SurveyJob
from bench.runs.processes import run_to_completion
from bench.runs.survey import left, seconds, survey_jobs
from bench.runs.tasks import Place, survey_task
from bench.suite.grid import Selection, comparisons
from helpers.journals import surveys_from
from helpers.own_arms import compare
from helpers.processes import with_arms
from helpers.records import make_comparison, make_environment, make_plan, make_sample, make_survey
from helpers.tasks import make_survey_job

# Longer than any case here.
LIMIT_S = 120.0


def by_arm(*chosen: Comparison) -> dict[str, SurveyJob]:
    """Return the survey jobs of some comparisons by arm name."""
    return {each.comparison.arm_name: each for each in survey_jobs(chosen)}


def test_every_case_of_a_run_is_surveyed_once() -> None:
    """A case is surveyed once, even as the baseline of several comparisons."""
    selection = Selection(devices=("cpu", "cuda"), factors=("compile", "precision"))
    chosen = comparisons(selection)
    found = [each.key for each in survey_jobs(chosen)]
    assert sorted(found) == sorted({Case(workload=c.workload, arm=c.arm).key for c in chosen})
    assert len(found) < len(chosen)


def test_baselines_measure_limits_in_every_precision() -> None:
    """A baseline measures limits in every precision of its candidates, its own first."""
    levels = ("fp32", "amp_bf16", "bf16")
    found = by_arm(*(make_comparison(each, factor="precision", baseline="fp32") for each in levels))
    assert {name: item.limits for name, item in found.items()} == {
        "fp32": ("fp32", "bf16"),
        "amp_bf16": (),
        "bf16": (),
    }


def test_a_shared_baseline_measures_the_limits_of_both() -> None:
    """A case that is also a candidate adds no limit for that comparison."""
    first = make_comparison("sdpa", baseline="mha")
    control = replace(first, factor="kernel", baseline=first.arm)
    other = replace(control, arm=replace(control.arm, precision="bf16"))
    assert by_arm(first, control, other)["sdpa"].limits == ("fp32", "bf16")


def test_own_arms_have_no_limit() -> None:
    """The products of own arms are unknown, so no limit is measured."""
    control = compare("a.py:f", "a.py:f")
    assert [each.limits for each in survey_jobs([control, compare("a.py:f", "a.py:g")])] == [(), ()]


def test_small_cases_come_first_and_compiled_wholes_last() -> None:
    """A survey that runs out of time has covered most cases."""
    levels, compiled = ("compile", "eager", "compile_blocks"), {"factor": "compile"}
    chosen = [make_comparison(each, baseline="eager", **compiled) for each in levels]
    large = make_comparison("eager", baseline="eager", **compiled, component="model")
    found = [each.comparison for each in survey_jobs([large, *chosen, make_comparison("mha")])]
    whole = [(each.workload.component, each.arm.compile) for each in found]
    assert whole[-2:] == [("model", "eager"), ("attention", "compile")]
    assert {level for _, level in whole[:-2]} == {"eager", "compile_blocks"}


def test_unsurveyed_cases_are_left() -> None:
    """Cases missing in the journal are left; without a survey none are."""
    chosen = tuple(make_comparison(each) for each in ("mha", "manual"))
    plan = make_plan(comparisons=chosen, survey=True)
    first, second = survey_jobs(chosen)
    assert left(plan, {}) == [first, second]
    assert left(plan, {first.key: make_survey(first.key)}) == [second]
    assert left(replace(plan, survey=False), {}) == []


@pytest.mark.parametrize(
    ("statuses", "is_left", "shapes_only"),
    [
        ((), True, False),  # no pass came so far
        (("ok", "ok"), True, False),
        (("ok", "crashed"), True, False),
        (("wrong",), True, False),
        (("oom", "oom"), True, True),
        (("oom", "ok"), True, False),
        (("crashed",), False, False),
        (("timeout", "skipped"), False, False),
    ],
)
def test_cases_that_always_failed_are_not_surveyed(
    statuses: tuple[str, ...], *, is_left: bool, shapes_only: bool
) -> None:
    """Out-of-memory cases are surveyed by shapes only; other arms are unaffected."""
    chosen = (make_comparison("mha"), make_comparison("manual"))
    plan = make_plan(comparisons=chosen, survey=True)
    samples = [
        make_sample(chosen[1], index, status=status) for index, status in enumerate(statuses)
    ]
    other, *found = left(plan, {}, [make_sample(chosen[0]), *samples])
    assert (other.comparison, other.shapes_only) == (chosen[0], False)
    assert [(each.comparison, each.shapes_only) for each in found] == (
        [(chosen[1], shapes_only)] if is_left else []
    )


def test_a_case_measured_in_one_comparison_is_surveyed() -> None:
    """One measured comparison of a case is enough for its survey."""
    control = make_comparison("sdpa", baseline="sdpa")
    other = replace(control, factor="kernel", baseline=replace(control.arm, kernel="math"))
    samples = [make_sample(control), make_sample(other, status="skipped")]
    plan = make_plan(comparisons=(control, other), survey=True)
    (found,) = left(plan, {}, samples)
    assert found.key == make_survey_job(control).key


@pytest.mark.parametrize(
    ("changes", "spent_s", "expected_s"),
    [
        ({"budget_s": 600.0}, 400.0, 120.0),  # a fifth
        ({"budget_s": 60.0}, 10.0, 30.0),  # at least half a minute …
        ({"budget_s": 60.0}, 40.0, 20.0),  # … if the budget has it left
        ({"budget_s": 60.0}, 99.0, 12.0),
        ({"each_s": 1.0}, 500.0, 60.0),  # 20 s for each of three cases
        ({"each_s": 45.0}, 500.0, 135.0),
        ({"gate": 0.03, "budget_s": 15.0}, 500.0, 60.0),
    ],
)
def test_time_for_a_survey(changes: dict[str, Any], spent_s: float, expected_s: float) -> None:
    """A survey gets a share of the budget; with a fixed time or a gate, enough for each case."""
    assert seconds(make_plan(**changes), 3, spent_s) == pytest.approx(expected_s)


def test_the_task_of_a_survey() -> None:
    """The task has the user's folder, this process as its parent, and the end time."""
    place = Place(journal=Path("/run/journal.jsonl"), compiled=Path("/run/compiled"), threads=2)
    plan = make_plan(directory=Path("/arms"), each_s=1.0, case_timeout_s=7.0)
    jobs = [make_survey_job(make_comparison("mha")), make_survey_job(None, "fp32")]
    before_s = time.time()
    task = survey_task(plan, jobs, place)
    assert (task.kind, task.name, task.jobs) == ("survey", "survey", tuple(jobs))
    assert (task.parent, task.threads, task.limit_s) == (os.getpid(), 2, 7.0)
    assert (task.journal, task.compiled, task.directory) == (
        *(place.journal, place.compiled, Path("/arms")),
    )
    assert task.end_s - before_s == pytest.approx(40.0, abs=1.0)


def test_a_lost_case_has_its_cause() -> None:
    """A lost case has the process's status and cause, and no numbers."""
    job = make_survey_job()
    survey = job.failed("oom", "the kernel killed the process")
    assert (survey.key, survey.measured.status) == (job.key, "oom")
    assert survey.measured.error == "the kernel killed the process"
    assert (survey.flop, survey.predicted, survey.notes) == (None, None, ())


class Surveyed:
    """Failing arms surveyed in real processes in a run's folder."""

    def __init__(self, folder: Path, *names: str, **plan: Any) -> None:
        arms = with_arms(folder) / "arms.py"
        chosen = tuple(compare(f"{arms}:right", f"{arms}:{name}") for name in names)
        self.plan = make_plan(comparisons=chosen, directory=folder, each_s=1.0, **plan)
        self.run = folder / "run"
        create_run_folder(self.run, self.plan, make_environment())
        self.place = Place(
            journal=self.run / "journal.jsonl", compiled=self.run / "compiled", threads=2
        )
        self.seen: list[str] = []

    def look(self, limit_s: float = LIMIT_S) -> list[Any]:
        """Survey every case; return status and error of each from the journal."""
        reader = JournalReader(self.place.journal)
        reader.new_events(final=True)
        plan = replace(self.plan, case_timeout_s=limit_s)
        chosen = survey_jobs(plan.comparisons)
        task = survey_task(plan, chosen, self.place)
        run_to_completion(task, reader, lambda event: self.seen.append(event["kind"]))
        return self.measured(chosen)

    def measured(self, chosen: Sequence[SurveyJob]) -> list[Any]:
        """Return status and error of every case, in order."""
        events, _ = read_events(self.place.journal)
        found = surveys_from(events)
        return [(found[e.key].measured.status, found[e.key].measured.error) for e in chosen]


@pytest.mark.slow
def test_a_killed_process_costs_one_case(tmp_path: Path) -> None:
    """The current case is lost with its cause; the rest is surveyed once."""
    surveyed = Surveyed(tmp_path, "right#2", "leaves_alone", "right#3")
    assert surveyed.look() == [
        ("ok", None),
        ("crashed", "the process ended with code 3; see passes/survey.log"),
        ("ok", None),
    ]
    two, one = ["process", *["survey_start", "survey"] * 2], ["process", "survey_start", "survey"]
    assert surveyed.seen == two + one


@pytest.mark.slow
@pytest.mark.long
def test_any_end_of_a_process_costs_one_case(tmp_path: Path) -> None:
    """A signal, a half-written line and a hang cost one case each, with the cause."""
    surveyed = Surveyed(tmp_path, "faults_alone", "tears_alone", "waits_alone", "right")
    assert surveyed.look(limit_s=2.0) == [
        ("crashed", "the process was ended by SIGSEGV; see passes/survey.log"),
        ("crashed", "the process ended with code 3; see passes/survey-again-1.log"),
        ("timeout", "no result within 2 s; the process was killed; raise --case-timeout"),
        ("ok", None),
    ]


@pytest.mark.slow
def test_a_case_without_time_is_skipped(tmp_path: Path) -> None:
    """A case that the survey did not reach has status skipped and the remedy."""
    surveyed = Surveyed(tmp_path, "right", "right#2")
    surveyed.plan = replace(surveyed.plan, each_s=None, budget_s=0.0)
    late = ("skipped", "no time left in the budget; give a larger --budget")
    assert surveyed.look() == [late, late]


@pytest.mark.slow
def test_a_process_without_a_survey_is_an_error(tmp_path: Path) -> None:
    """The process is not restarted forever, and the error names its log."""
    surveyed = Surveyed(tmp_path, "right")
    surveyed.place = replace(surveyed.place, threads=0)
    with pytest.raises(RunError, match=r"survey measured nothing: .*see passes/survey\.log"):
        surveyed.look()
