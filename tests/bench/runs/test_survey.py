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
from bench.records.comparison import CHOICE, DEFAULT_ARM, Comparison
from bench.records.errors import NO_TIME, RunError
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


SLOWER: dict[str, Any] = {"baseline_s": (0.01,) * 6, "arm_s": (0.02,) * 6}


def test_what_is_decided_by_comes_first() -> None:
    """The default and the chosen arm of a block or model come before all parts."""
    part, block = make_comparison("mha"), {"factor": "precision", "component": "block"}
    rival = make_comparison("bf16", baseline="fp32", **block)
    default = replace(rival, baseline=DEFAULT_ARM, arm=DEFAULT_ARM)
    chosen = replace(default, factor=CHOICE, arm=replace(DEFAULT_ARM, precision="amp_bf16"))
    found = [each.comparison for each in survey_jobs([part, rival, chosen, default])]
    assert found == [chosen, default, part, rival]


@pytest.mark.parametrize(
    ("changes", "is_last"),
    [
        (SLOWER, True),
        ({"baseline_s": (0.01,) * 6, "arm_s": (0.0115,) * 6}, False),  # by less than a fifth
        ({"baseline_s": (0.02,) * 6, "arm_s": (0.01,) * 6}, False),
        ({"status": "wrong"}, True),
        ({"status": "oom", "baseline_s": (), "arm_s": ()}, True),
    ],
)
def test_an_arm_that_lost_comes_last(changes: dict[str, Any], *, is_last: bool) -> None:
    """An arm that failed, or is slower by far in all passes, comes after larger cases."""
    small = make_comparison("mha_weights", baseline="mha")
    large = make_comparison("mha", baseline="mha", batch_size=64)
    samples = [make_sample(small, index, **changes) for index in range(3)]
    found = [each.comparison for each in survey_jobs([small, large], samples)]
    assert found == ([large, small] if is_last else [small, large])


def test_one_pass_cannot_tell_that_an_arm_lost() -> None:
    """An arm with a single pass has no interval and keeps its turn."""
    small = make_comparison("mha_weights", baseline="mha")
    large = make_comparison("mha", baseline="mha", batch_size=64)
    found = survey_jobs([large, small], [make_sample(small, **SLOWER)])
    assert [each.comparison for each in found] == [small, large]


def test_a_baseline_never_loses() -> None:
    """A control keeps its turn, also where its case has lost as a candidate."""
    other = make_comparison("mha", baseline="sdpa")
    control = replace(other, factor="kernel", baseline=other.arm)
    large = make_comparison("sdpa", baseline="sdpa", batch_size=64)
    samples = [
        make_sample(each, index, **SLOWER) for each in (other, control) for index in range(3)
    ]
    found = [each.key for each in survey_jobs([large, other, control], samples)]
    assert found == [make_survey_job(other).key, make_survey_job(large).key]


def test_formats_of_lost_arms_need_no_limit() -> None:
    """A number format in which every arm lost is left out, that of the baseline never."""
    levels = ("fp32", "amp_bf16", "bf16", "amp_fp16")
    chosen = [make_comparison(each, factor="precision", baseline="fp32") for each in levels]
    slow = [make_sample(each, index, **SLOWER) for each in chosen[1:] for index in range(3)]
    slow = [each for each in slow if each.key != chosen[2].key]
    (found,) = [each.limits for each in survey_jobs(chosen, slow) if each.limits]
    assert found == ("fp32", "bf16")


def test_small_cases_come_first_and_compiled_ones_last() -> None:
    """A survey that runs out of time has covered most cases."""
    levels, compiled = ("compile", "eager", "compile_blocks"), {"factor": "compile"}
    chosen = [make_comparison(each, baseline="eager", **compiled) for each in levels]
    large = make_comparison("eager", baseline="eager", **compiled, component="model")
    found = [each.comparison for each in survey_jobs([large, *chosen, make_comparison("mha")])]
    whole = [(each.workload.component, each.arm.compile) for each in found]
    # The default arm as a whole is what others are compared with.
    assert whole[0] == ("model", "eager")
    assert [level for _, level in whole[-2:]] == ["compile", "compile_blocks"]
    assert {level for _, level in whole[1:-2]} == {"eager"}


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
        ({"budget_s": 600.0}, 400.0, 36.0),  # a small share
        ({"budget_s": 600.0, "objective": "memory"}, 400.0, 120.0),  # what the choice needs
        ({"budget_s": 60.0}, 10.0, 30.0),  # at least half a minute …
        ({"budget_s": 60.0}, 40.0, 20.0),  # … if the budget has it left
        ({"budget_s": 60.0}, 99.0, 3.6),
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
@pytest.mark.long
def test_the_next_run_keeps_what_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes compute costs once, keep them in one file, and write nothing elsewhere."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    found, files = [], []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        surveyed = Surveyed(tmp_path / name, "right")
        chosen = (make_comparison("mha"),)
        surveyed.plan = replace(surveyed.plan, comparisons=chosen, each_s=LIMIT_S)
        assert surveyed.look() == [("ok", None)]
        (survey,) = surveys_from(read_events(surveyed.place.journal)[0]).values()
        found.append((survey.predicted, survey.flop, survey.top1_agreement))
        files += [(each, each.stat().st_mtime_ns) for each in (tmp_path / "cache").iterdir()]
    assert found[0] == found[1]
    assert None not in found[0]
    assert len(files) == 2
    assert files[0] == files[1]


@pytest.mark.slow
def test_a_case_without_time_is_skipped(tmp_path: Path) -> None:
    """A case that the survey did not reach has status skipped and the remedy."""
    surveyed = Surveyed(tmp_path, "right", "right#2")
    surveyed.plan = replace(surveyed.plan, each_s=None, budget_s=0.0)
    assert surveyed.look() == [("skipped", NO_TIME)] * 2


@pytest.mark.slow
def test_a_process_without_a_survey_is_an_error(tmp_path: Path) -> None:
    """The process is not restarted forever, and the error names its log."""
    surveyed = Surveyed(tmp_path, "right")
    surveyed.place = replace(surveyed.place, threads=0)
    with pytest.raises(RunError, match=r"survey measured nothing: .*see passes/survey\.log"):
        surveyed.look()


def test_combinations_inside_a_model_are_not_surveyed() -> None:
    """They may be chosen after the survey, and are no case of their own."""
    first = make_comparison(cache="model")
    inside = replace(first, factor=CHOICE, workload=replace(first.workload, component="block"))
    alone = replace(inside, cache="cold")
    assert [job.comparison for job in survey_jobs([first, inside])] == [first]
    assert alone in [job.comparison for job in survey_jobs([first, alone])]
