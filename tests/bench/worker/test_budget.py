"""bench.worker.budget: each group's share of a pass's time."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.comparison import Arm, Comparison
from bench.records.task import PassJob, Task
from bench.worker.budget import BudgetSpentError, TimeBudget, TimeEstimate
from helpers.records import make_comparison
from helpers.tasks import make_pass_job, make_pass_task

CONTROL, CANDIDATE = make_comparison("mha"), make_comparison("manual")
NO_SIZES: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
OWN = make_comparison(
    "a.py:f", baseline="a.py:g", factor="factory", component="callable", inputs="1,8", **NO_SIZES
)


def task_of(*jobs: PassJob | Comparison, **changes: Any) -> Task[PassJob]:
    """Build a pass with 1000 s left, in a run with 2000 s left."""
    times = {"deadline_s": time.time() + 1000, "end_s": time.time() + 2000}
    made = (each if isinstance(each, PassJob) else make_pass_job(each) for each in jobs)
    return make_pass_task(Path("none"), *made, **times | changes)


@given(works=st.lists(st.floats(0.1, 10), min_size=1, max_size=8))
def test_shares_are_in_proportion_and_leave_a_margin(works: list[float]) -> None:
    """Shares are proportional with a margin, so that overruns do not starve the last one."""
    needs = {str(place): TimeEstimate(1.0, work) for place, work in enumerate(works)}
    allotment = TimeBudget(time.time() + 1e6, time.time() + 2e6, needs)
    exact_s = (1e6 - len(works)) * works[0] / sum(works)
    assert 0.8 * exact_s < allotment.measuring("0")(0.0) < 0.95 * exact_s + 1
    assert "0" not in needs


def test_preparation_is_reserved_for_all() -> None:
    """The compile time of a later comparison is reserved from the start."""
    needs = {"plain": TimeEstimate(0.0, 1.0), "compiled": TimeEstimate(600.0, 1.0)}
    allotment = TimeBudget(time.time() + 1000, time.time() + 2000, needs)
    assert 150 < allotment.measuring("plain")(0.0) < 200


def test_after_the_end_nothing_is_measured() -> None:
    """A spent budget raises an error with the remedy."""
    allotment = TimeBudget(time.time() - 1, time.time() - 1, {"a": TimeEstimate(1.0, 1.0)})
    with pytest.raises(BudgetSpentError, match="larger --budget"):
        allotment.measuring("a")


def test_a_late_pass_still_measures_the_least() -> None:
    """Between a pass's deadline and the run's end a comparison is started, for its minimum."""
    allotment = TimeBudget(time.time() - 1, time.time() + 1e6, {"a": TimeEstimate(0.25, 1.0)})
    assert allotment.measuring("a")(0.25) == 0.0


def test_a_share_is_of_what_is_left_when_ready() -> None:
    """The only comparison of a pass measures until its end, less a margin."""
    allotment = TimeBudget.of(task_of(CONTROL))
    left_s = allotment.measuring(CONTROL.key)
    before_s = left_s(0.0)
    assert 800 < before_s < 1000
    allotment.deadline_s -= 100.0
    assert before_s - left_s(100.0) == pytest.approx(90.0, abs=1.0)


def test_an_overrun_is_shared() -> None:
    """The first group of a process loads what all need; that must not starve it alone."""
    allotment = TimeBudget.of(task_of(CONTROL, CANDIDATE))
    first_s = allotment.measuring(CONTROL.key)
    allotment.deadline_s -= 100.0
    one_s = first_s(100.0)
    allotment.deadline_s -= one_s
    two_s = allotment.measuring(CANDIDATE.key)(0.0)
    assert 350 < one_s < two_s < 500


def test_earlier_preparation_replaces_the_estimate() -> None:
    """A later pass reserves the preparation time of an earlier one."""
    task = task_of(CONTROL, make_pass_job(CANDIDATE, ready_s=7.5))
    needs = TimeBudget.of(task).estimates
    assert needs[CANDIDATE.key].ready_s == 7.5
    assert needs[CONTROL.key].ready_s == TimeEstimate.of(CONTROL).ready_s


def test_a_group_shares_the_time_as_one() -> None:
    """A group has one share: its arms get ready one after another, and then take turns."""
    group = make_pass_job(CONTROL, CANDIDATE, make_comparison("sdpa"))
    needs = TimeBudget.of(task_of(group, OWN)).estimates
    assert list(needs) == [group.key, OWN.key]
    alone = [TimeEstimate.of(each) for each in group.comparisons]
    assert needs[group.key].ready_s == pytest.approx(sum(each.ready_s for each in alone))


@given(count=st.integers(1, 30), weight=st.floats(0.1, 10))
def test_shares_grow_slower_than_the_work(count: int, weight: float) -> None:
    """Four times as many arms get less than four times the time: cheap groups get more rounds."""
    few, many = (make_pass_job(*(CANDIDATE,) * n, weight=weight) for n in (count, 4 * count))
    assert 2.0 < TimeEstimate.of_job(many).work / TimeEstimate.of_job(few).work < 4.0


def test_a_fixed_time_ignores_preparation() -> None:
    """A comparison with a fixed time gets it, also after the deadline."""
    times_s = {CONTROL: 1.0, CANDIDATE: 4.0}
    jobs = [make_pass_job(each, measure_s=time_s) for each, time_s in times_s.items()]
    allotment = TimeBudget.of(task_of(*jobs, deadline_s=0.0, end_s=0.0))
    for comparison, expected_s in times_s.items():
        left_s = allotment.measuring(comparison.key)
        assert (left_s(0.0), left_s(1e3)) == (expected_s, expected_s)


def test_weights_multiply_the_work() -> None:
    """Three times the weight gives three times the measuring time."""
    task = task_of(CONTROL, make_pass_job(CANDIDATE, weight=3.0))
    ready_s = TimeEstimate.of(CONTROL).ready_s
    light = TimeBudget.of(task).measuring(CONTROL.key)(ready_s)
    heavy = TimeBudget.of(task).measuring(CANDIDATE.key)(ready_s)
    assert heavy == pytest.approx(3 * light, rel=0.01)


def test_larger_work_needs_more() -> None:
    """Estimates grow with the workload's FLOPs and with compilation."""
    large = replace(CONTROL, workload=replace(CONTROL.workload, variant="H/14", patch_size=14))
    compiled = replace(CONTROL, arm=Arm(compile="compile_blocks"))
    assert TimeEstimate.of(large).work > TimeEstimate.of(CONTROL).work
    assert TimeEstimate.of(compiled).ready_s > TimeEstimate.of(CONTROL).ready_s


def test_own_arms_have_one_estimate() -> None:
    """The estimate of an own arm does not depend on its inputs."""
    other = replace(OWN, workload=replace(OWN.workload, inputs="4096,4096"))
    assert TimeEstimate.of(OWN) == TimeEstimate.of(other)
    assert TimeEstimate.of(OWN).work > 0
