"""bench.analysis.ratios: ratios within a pass, over passes."""

import pytest

from bench.analysis.ratios import with_yardstick
from helpers.records import make_comparison, make_record, make_sample

COMPARISON = make_comparison()


def test_a_faster_machine_changes_nothing() -> None:
    """A faster machine does not change the ratio of a pass to its own yardstick."""
    samples = [
        make_sample(COMPARISON, n, arm_s=(0.008 * speed,) * 6, yardstick_s=0.02 * speed)
        for n, speed in enumerate((1.0, 0.5, 3.0))
    ]
    row = with_yardstick(make_record(), samples)
    assert row.yardstick_ratio == pytest.approx(0.4)
    assert (row.yardstick_low, row.yardstick_high) == pytest.approx((0.4, 0.4))
    assert row.yardstick_ms == pytest.approx(20.0)


def test_without_a_yardstick_the_ratio_is_empty() -> None:
    """The ratio is empty without a yardstick; two passes have no interval."""
    assert with_yardstick(make_record(), [make_sample(COMPARISON)]) == make_record()
    failed = make_sample(COMPARISON, arm_s=(), baseline_s=(), yardstick_s=0.02)
    assert with_yardstick(make_record(), [failed]) == make_record()
    two = [make_sample(COMPARISON, n, yardstick_s=0.02) for n in range(2)]
    row = with_yardstick(make_record(), two)
    assert row.yardstick_ratio == pytest.approx(0.4)
    assert row.yardstick_low is None
