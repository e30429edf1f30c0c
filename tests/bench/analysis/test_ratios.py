"""bench.analysis.ratios: queued calls of an arm against those of its control, pass by pass."""

import pytest

from bench.analysis.ratios import control_key, throughput_ratio, with_throughput
from helpers.records import make_comparison, make_record, make_sample

CONTROL, ARM = make_comparison("mha"), make_comparison("sdpa")


def test_each_pass_is_compared_with_itself() -> None:
    """A process that is slower throughout does not change the ratio."""
    control = [make_sample(CONTROL, n, arm_queued_s=s) for n, s in enumerate((1.0, 2.0, 4.0))]
    arm = [make_sample(ARM, n, arm_queued_s=s) for n, s in enumerate((0.5, 1.0, 2.0))]
    found = throughput_ratio(control, arm)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_two_passes_have_no_interval() -> None:
    """Two passes give a value without an interval."""
    control = [make_sample(CONTROL, n, arm_queued_s=1.0) for n in range(2)]
    found = throughput_ratio(control, [make_sample(ARM, n, arm_queued_s=0.5) for n in range(3)])
    assert found is not None
    assert (found.value, found.low) == (2.0, None)


def test_without_queued_calls_the_ratio_is_empty() -> None:
    """The ratio is empty on a CPU, and where no pass has queued calls of both arms."""
    assert throughput_ratio([make_sample(CONTROL)], [make_sample(ARM)]) is None
    queued = make_sample(ARM, 1, arm_queued_s=0.5)
    assert throughput_ratio([make_sample(CONTROL, 0, arm_queued_s=1.0)], [queued]) is None


def test_a_row_has_the_ratio_of_its_samples() -> None:
    """The control is that of the comparison's own baseline."""
    assert control_key(ARM) == CONTROL.key
    by_key = {
        CONTROL.key: [make_sample(CONTROL, n, arm_queued_s=1.0) for n in range(3)],
        ARM.key: [make_sample(ARM, n, arm_queued_s=0.8) for n in range(3)],
    }
    row = with_throughput(make_record(), ARM, by_key)
    assert row.throughput_ratio == pytest.approx(1.25)
    assert row.throughput_low == pytest.approx(1.25)
    assert with_throughput(make_record(), ARM, {}) == make_record()
