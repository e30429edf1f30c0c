"""bench.runs.survey: which cases are looked at, for how long, and what becomes of those lost."""

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

# No case here takes so long.
LIMIT_S = 120.0


def by_arm(*chosen: Comparison) -> dict[str, SurveyJob]:
    """The items of some comparisons by the level of their factor."""
    return {each.comparison.arm_name: each for each in survey_jobs(chosen)}


def test_every_case_of_a_run_is_looked_at_once() -> None:
    """Each arm on each workload, though it may be the baseline of several comparisons."""
    selection = Selection(devices=("cpu", "cuda"), factors=("compile", "precision"))
    chosen = comparisons(selection)
    found = [each.key for each in survey_jobs(chosen)]
    assert sorted(found) == sorted({Case(workload=c.workload, arm=c.arm).key for c in chosen})
    assert len(found) < len(chosen)


def test_baselines_tell_the_limits_of_what_is_compared_with_them() -> None:
    """In every precision that a rival computes in, its own first; rivals measure no limit."""
    levels = ("fp32", "amp_bf16", "bf16")
    found = by_arm(*(make_comparison(each, factor="precision", baseline="fp32") for each in levels))
    assert {name: item.limits for name, item in found.items()} == {
        "fp32": ("fp32", "bf16"),
        "amp_bf16": (),
        "bf16": (),
    }


def test_a_baseline_of_two_factors_tells_the_limits_of_both() -> None:
    """Of one comparison it is the candidate, too, which adds nothing."""
    first = make_comparison("sdpa", baseline="mha")
    control = replace(first, factor="kernel", baseline=first.arm)
    other = replace(control, arm=replace(control.arm, precision="bf16"))
    assert by_arm(first, control, other)["sdpa"].limits == ("fp32", "bf16")


def test_arms_of_ones_own_have_no_limit() -> None:
    """Nobody knows their products."""
    control = compare("a.py:f", "a.py:f")
    assert [each.limits for each in survey_jobs([control, compare("a.py:f", "a.py:g")])] == [(), ()]


def test_the_smallest_come_first_and_whole_models_that_compile_last() -> None:
    """Where the time is over before all had their turn, most have had it."""
    levels, compiled = ("compile", "eager", "compile_blocks"), {"factor": "compile"}
    chosen = [make_comparison(each, baseline="eager", **compiled) for each in levels]
    large = make_comparison("eager", baseline="eager", **compiled, component="model")
    found = [each.comparison for each in survey_jobs([large, *chosen, make_comparison("mha")])]
    whole = [(each.workload.component, each.arm.compile) for each in found]
    assert whole[-2:] == [("model", "eager"), ("attention", "compile")]
    assert {level for _, level in whole[:-2]} == {"eager", "compile_blocks"}


def test_what_is_left_to_look_at() -> None:
    """Without a survey nothing; else what the journal has not."""
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
def test_what_failed_in_every_pass_is_not_tried_again(
    statuses: tuple[str, ...], *, is_left: bool, shapes_only: bool
) -> None:
    """Of what lacked memory the need is told by shapes; other arms are none the worse for it."""
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


def test_a_case_of_two_comparisons_is_tried_where_one_of_them_ran() -> None:
    """As a baseline's copy it was measured, as a candidate it had no time."""
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
        ({"budget_s": 60.0}, 40.0, 20.0),  # … where the budget has it left
        ({"budget_s": 60.0}, 99.0, 12.0),
        ({"each_s": 1.0}, 500.0, 60.0),  # 20 s for each of three cases
        ({"each_s": 45.0}, 500.0, 135.0),
        ({"gate": 0.03, "budget_s": 15.0}, 500.0, 60.0),
    ],
)
def test_time_for_a_survey(changes: dict[str, Any], spent_s: float, expected_s: float) -> None:
    """A share of the budget; what must be told gets as much as each case may need."""
    assert seconds(make_plan(**changes), 3, spent_s) == pytest.approx(expected_s)


def test_a_task_of_the_cases_that_are_left() -> None:
    """Its workers run in the user's folder, and end with this process and with the time."""
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


def test_a_case_that_was_lost_says_how() -> None:
    """Its status and cause are those of the process; nothing else is known."""
    job = make_survey_job()
    survey = job.failed("oom", "the kernel killed the process")
    assert (survey.key, survey.measured.status) == (job.key, "oom")
    assert survey.measured.error == "the kernel killed the process"
    assert (survey.flop, survey.predicted, survey.notes) == (None, None, ())


class Surveyed:
    """Some of the failing arms, looked at in real processes in a run's folder."""

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
        """Look at every case; what the journal then has of them, by status and error."""
        reader = JournalReader(self.place.journal)
        reader.new_events(final=True)
        plan = replace(self.plan, case_timeout_s=limit_s)
        chosen = survey_jobs(plan.comparisons)
        task = survey_task(plan, chosen, self.place)
        run_to_completion(task, reader, lambda event: self.seen.append(event["kind"]))
        return self.measured(chosen)

    def measured(self, chosen: Sequence[SurveyJob]) -> list[Any]:
        """Status and error of every case, in order."""
        events, _ = read_events(self.place.journal)
        found = surveys_from(events)
        return [(found[e.key].measured.status, found[e.key].measured.error) for e in chosen]


@pytest.mark.slow
def test_a_killed_process_takes_one_case_with_it(tmp_path: Path) -> None:
    """The case under way is lost with the cause; the rest is looked at, each once."""
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
def test_however_a_process_ends_the_next_one_goes_on(tmp_path: Path) -> None:
    """A signal, half a line in the journal and a hang each cost one case, and say so."""
    surveyed = Surveyed(tmp_path, "faults_alone", "tears_alone", "waits_alone", "right")
    assert surveyed.look(limit_s=2.0) == [
        ("crashed", "the process was ended by SIGSEGV; see passes/survey.log"),
        ("crashed", "the process ended with code 3; see passes/survey-again-1.log"),
        ("timeout", "no result within 2 s; the process was killed; raise --case-timeout"),
        ("ok", None),
    ]


@pytest.mark.slow
def test_without_time_a_case_says_so(tmp_path: Path) -> None:
    """What a survey does not reach is no gap, and has the remedy."""
    surveyed = Surveyed(tmp_path, "right", "right#2")
    surveyed.plan = replace(surveyed.plan, each_s=None, budget_s=0.0)
    late = ("skipped", "out of time; give a larger --budget")
    assert surveyed.look() == [late, late]


@pytest.mark.slow
def test_a_process_that_looks_at_nothing_is_an_error(tmp_path: Path) -> None:
    """It is not tried for ever, and the message says where its output is."""
    surveyed = Surveyed(tmp_path, "right")
    surveyed.place = replace(surveyed.place, threads=0)
    with pytest.raises(RunError, match=r"survey measured nothing: .*see passes/survey\.log"):
        surveyed.look()
