"""Inside a pass: shares of the time, statuses, and what a sample holds."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bench_patchers import GRID
from bench.cases import Selection, expand
from bench.measure.accuracy import TOLERANCES
from bench.measure.clocks import WallClock
from bench.measure.pairs import MIN_ROUNDS
from bench.record import Arm, Comparison, Sample
from bench.session import Allotment, BudgetSpentError, Job, Need, measure
from fakes import FakeBenchmark, FakeClock

SMALL = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
CONTROL, UNFOLD, LINEAR = expand(GRID, SMALL)


def sample_of(comparison: Comparison, *, check: bool = True) -> Sample:
    """Measure a comparison for a tenth of a second, with the wall's clock."""
    clock = WallClock()
    benchmark = FakeBenchmark(clock)
    job = Job(comparison=comparison, benchmark=benchmark, clock=clock, share_s=0.1, check=check)
    return measure(job)


def test_a_sample_holds_pairs_and_errors() -> None:
    """Both arms have as many times as there were pairs, all positive, and an error against fp64."""
    sample = sample_of(UNFOLD)
    assert sample.status == "ok"
    assert len(sample.arm_s) == len(sample.baseline_s) >= MIN_ROUNDS
    assert min(sample.arm_s + sample.baseline_s) > 0
    assert sample.output_error is not None
    assert 0 < sample.output_error < 1e-5
    assert sample.gradient_error is None
    assert sample.arm_wall_s == ()
    assert 0 < sample.timed_s <= sample.measure_s


def test_only_a_checking_pass_looks_at_the_error() -> None:
    """Later passes do not spend time on float64."""
    assert sample_of(LINEAR, check=False).output_error is None


def test_training_also_checks_gradients() -> None:
    """In train mode the sample has both errors."""
    train = replace(LINEAR, workload=replace(LINEAR.workload, mode="train"))
    sample = sample_of(train)
    assert sample.gradient_error is not None
    assert 0 < sample.gradient_error < 1e-5


def test_beyond_its_tolerance_an_arm_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong arm gets its error and no times, so that no verdict can be made of it."""
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-12)
    sample = sample_of(UNFOLD)
    assert sample.status == "wrong"
    assert "fp32 allows 1e-12" in str(sample.error)
    assert sample.arm_s == ()


def test_too_large_an_input_is_out_of_memory() -> None:
    """An allocation that cannot be met becomes a status, not an exception."""
    workload = replace(UNFOLD.workload, batch_size=10**10)
    sample = sample_of(replace(UNFOLD, workload=workload))
    assert sample.status == "oom"
    assert "\n" not in str(sample.error)


def test_an_exception_in_an_arm_is_a_crash() -> None:
    """Whatever else an arm raises is its result, with one line of cause."""
    sample = sample_of(replace(UNFOLD, arm=Arm(attention="none")))
    assert sample.status == "crashed"
    assert str(sample.error).startswith("ValueError: unknown attention 'none'")


def test_without_a_compiler_the_arm_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the run goes on; the row says what to install."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    sample = sample_of(replace(UNFOLD, arm=Arm(compile="compile_blocks")))
    assert sample.status == "skipped"
    assert "apt-get install g++" in str(sample.error)


def test_a_fake_clock_makes_a_whole_case_exact() -> None:
    """With a clock that stands still no time passes, whatever the machine does."""
    clock = FakeClock()
    job = Job(
        comparison=CONTROL,
        benchmark=FakeBenchmark(clock),
        clock=clock,
        share_s=0.0,
        check=False,
    )
    assert set(measure(job).arm_s) == {0.0}


@given(works=st.lists(st.floats(0.1, 10), min_size=1, max_size=8))
def test_shares_are_in_proportion_and_leave_a_margin(works: list[float]) -> None:
    """A share is its part of the time left, a little less: overruns must not starve the last."""
    needs = {str(place): Need(1.0, work) for place, work in enumerate(works)}
    allotment = Allotment(time.time() + 1e6, time.time() + 2e6, needs)
    exact_s = (1e6 - len(works)) * works[0] / sum(works)
    assert 0.8 * exact_s < allotment.take("0") < 0.95 * exact_s + 1
    assert "0" not in needs


def test_getting_ready_is_set_aside_for_all() -> None:
    """What a later comparison needs to compile is not given to an earlier one."""
    needs = {"plain": Need(0.0, 1.0), "compiled": Need(60.0, 1.0)}
    allotment = Allotment(time.time() + 100, time.time() + 200, needs)
    assert 15 < allotment.take("plain") < 20


def test_after_the_end_nothing_is_measured() -> None:
    """A spent budget is an error that says what to do."""
    allotment = Allotment(time.time() - 1, time.time() - 1, {"a": Need(1.0, 1.0)})
    with pytest.raises(BudgetSpentError, match="larger --budget"):
        allotment.take("a")


def test_a_late_pass_still_measures_the_least() -> None:
    """Between a pass's deadline and the run's end a comparison gets its fewest pairs."""
    allotment = Allotment(time.time() - 1, time.time() + 1e6, {"a": Need(0.25, 1.0)})
    assert allotment.take("a") == 0.25


def test_larger_work_needs_more() -> None:
    """Needs grow with the FLOPs of the workload and with compiling."""
    large = replace(CONTROL, workload=replace(CONTROL.workload, variant="H/14", image_size=224))
    compiled = replace(CONTROL, arm=Arm(compile="compile_blocks"))
    assert Need.of(large).work > Need.of(CONTROL).work
    assert Need.of(compiled).ready_s > Need.of(CONTROL).ready_s
