"""bench.analysis.of_whole: from the speed-up of a part to that of the whole model."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.of_whole import effect_on_whole
from bench.analysis.row_times import change_of_whole
from bench.records.row import Record
from helpers.decisions import arm

SHARES = st.floats(0.01, 1.0)
SPEEDUPS = st.floats(0.2, 5.0)
POOLED = ("pooled_speedup", "pooled_low", "pooled_high")


def row(share: float, speedup: float, half: float = 0.05, **changes: Any) -> Record:
    """Build the row of an attention that has this share of the whole."""
    values = (speedup, speedup * (1 - half), speedup * (1 + half))
    names = ("speedup", "speedup_low", "speedup_high")
    wholes = (change_of_whole(share, each) for each in values)
    of_whole = dict(zip(("of_whole", "of_whole_low", "of_whole_high"), wholes, strict=True))
    found = arm("attention", "sdpa", **dict(zip(names, values, strict=True)), **of_whole)
    return replace(found, **changes)


@given(share=SHARES, speedup=SPEEDUPS)
def test_a_row_that_is_not_pooled_has_its_own_effect(share: float, speedup: float) -> None:
    """It is 1 + the column of the row, with its interval."""
    found = effect_on_whole(row(share, speedup))
    assert found is not None
    assert found.value == pytest.approx(1 + change_of_whole(share, speedup))
    assert found.low == pytest.approx(1 + change_of_whole(share, 0.95 * speedup))
    assert found.high == pytest.approx(1 + change_of_whole(share, 1.05 * speedup))


@given(share=SHARES, speedup=SPEEDUPS, pooled=SPEEDUPS)
def test_a_pooled_row_has_the_effect_of_all_workloads(
    share: float, speedup: float, pooled: float
) -> None:
    """The part's pooled speed-up acts on the same share of the whole."""
    values = dict(zip(POOLED, (pooled, 0.9 * pooled, 1.1 * pooled), strict=True))
    found = effect_on_whole(row(share, speedup, **values))
    assert found is not None
    assert found.value == pytest.approx(1 + change_of_whole(share, pooled), rel=1e-6)
    assert found.low == pytest.approx(1 + change_of_whole(share, 0.9 * pooled), rel=1e-6)
    assert found.high == pytest.approx(1 + change_of_whole(share, 1.1 * pooled), rel=1e-6)


def test_an_arm_as_fast_as_its_baseline_has_a_share_as_well() -> None:
    """Where the speed-up is 1 the interval's end gives the share; a row without either has none."""
    pooled = dict(zip(POOLED, (1.2, 1.1, 1.3), strict=True))
    found = effect_on_whole(row(0.3, 1.0, **pooled))
    assert found is not None
    assert found.value == pytest.approx(1 + change_of_whole(0.3, 1.2))
    exact = effect_on_whole(row(0.3, 1.0, 0.0, **pooled))
    assert exact is not None
    assert exact.value == 1.0


def test_a_part_of_unknown_share_has_no_effect() -> None:
    """It was measured alone."""
    assert effect_on_whole(arm("attention", "sdpa", 1.5, of_whole=None)) is None
