"""bench.analysis.verdicts: the effect of controls (baseline against its copy) on a run."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.replication import Effect
from bench.analysis.verdicts import WITHHELD_BEYOND, check_controls, judge
from helpers.records import make_effect


def scored(score: float) -> Effect:
    """An effect at a number of standard errors from 1, with enough degrees for a normal score."""
    return make_effect(0.005 * score, 0.005, degrees=1e6)


SCORES = st.lists(st.floats(-6, 6), max_size=30)


@pytest.mark.parametrize(
    ("scores", "widening"),
    [
        ((), 1.0),
        ((0.0,), 1.0),
        ((1.0, -1.0), 1.0),
        ((2.0,), math.sqrt((6 + 4) / 7)),
        ((2.0, -2.0, 2.0), math.sqrt((6 + 12) / 9)),
        ((2.0,) * 30, math.sqrt((6 + 120) / 36)),
        ((3.0, 0.0, 0.0), math.sqrt((6 + 9) / 9)),
        ((0.1,) * 30, 1.0),  # calm copies narrow nothing
    ],
)
def test_controls_widen_by_a_shrunk_ratio(scores: Sequence[float], widening: float) -> None:
    """Intervals are widened by the root of the mean square of the scores and of six ones."""
    found = check_controls([scored(score) for score in scores])
    assert found.widening == pytest.approx(widening, rel=1e-4)
    assert not found.withheld


@settings(deadline=None)
@given(scores=SCORES, at=st.floats(0, 6), step=st.floats(1e-6, 1e-3))
def test_widening_is_continuous(scores: list[float], at: float, step: float) -> None:
    """A control that strays a little further widens a little more, never less."""
    before, after = (
        check_controls([scored(score) for score in (*scores, last)]).widening
        for last in (at, at + step)
    )
    assert before <= after + 1e-9
    assert after - before < 2 * step + 1e-6


def test_far_stray_controls_withhold() -> None:
    """Controls that stray too far withhold every verdict; a single one proves less than many."""
    one, many = (check_controls([scored(5.0)] * count) for count in (1, 8))
    assert not one.withheld
    assert many.widening == pytest.approx(math.sqrt((6 + 8 * 25) / 14), rel=1e-4)
    assert many.widening > WITHHELD_BEYOND
    judged = judge({"clear": make_effect(0.5), "same": make_effect(0.0, 1e-4)}, many)
    assert [each.verdict for each in judged.values()] == ["undecided"] * 2


def test_hopelessly_stray_controls() -> None:
    """A control whose p-value underflows to 0 still gives a finite widening."""
    found = check_controls([make_effect(1.0, 1e-6, degrees=1e6)])
    assert 3 < found.widening < 100
    assert found.strayed == 1


@pytest.mark.parametrize("count", [1, 4, 18])
def test_good_controls_cost_little(count: int) -> None:
    """Controls within their own intervals widen by a few percent on average."""
    numbers = np.random.default_rng(count)
    widened = [
        check_controls([scored(float(score)) for score in numbers.normal(size=count)]).widening
        for _ in range(400)
    ]
    assert 1 < np.mean(widened) < 1.08
    assert np.quantile(widened, 0.95) < 1.3


@pytest.mark.parametrize(
    ("log_ratios", "strayed"), [((0.1, -0.1, 0.0), 2), ((0.011, 0.0), 0), ((-0.05,), 1), ((), 0)]
)
def test_strayed_controls_are_counted(log_ratios: Sequence[float], strayed: int) -> None:
    """Controls with a difference count; one within the band is equivalent."""
    found = check_controls([make_effect(each, 0.002) for each in log_ratios])
    assert (found.strayed, found.count) == (strayed, len(log_ratios))
