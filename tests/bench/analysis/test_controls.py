"""bench.analysis.verdicts: the effect of controls (baseline against its copy) on a run."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from bench.analysis.replication import Effect
from bench.analysis.verdicts import WITHHELD_BEYOND, Controls, check_controls, judge
from helpers.records import make_effect


def scored(score: float) -> Effect:
    """An effect at a number of standard errors from 1, with enough degrees for a normal score."""
    return make_effect(0.005 * score, 0.005, degrees=1e6)


@pytest.mark.parametrize(
    "scores", [(), (0.0,), (1.9,), (1.0, -1.0, 1.5), (0.5,) * 20, (1.2, -1.2) * 10]
)
def test_behaving_controls_widen_nothing(scores: Sequence[float]) -> None:
    """Controls within their own intervals, or no controls, leave the intervals unchanged."""
    found = check_controls([scored(score) for score in scores])
    assert found == Controls(count=len(scores), strayed=0, widening=1.0)
    assert not found.withheld


@pytest.mark.parametrize(
    ("scores", "widening"),
    [((2.0,), 2.0), ((2.0, -2.0, 2.0), 2.0), ((2.9,) * 4, 2.9), ((3.0, 0.0, 0.0), math.sqrt(3))],
)
def test_stray_controls_widen_by_the_birge_ratio(scores: Sequence[float], widening: float) -> None:
    """Stray controls widen intervals by the root of their mean square score."""
    found = check_controls([scored(score) for score in scores])
    assert found.widening == pytest.approx(widening, rel=1e-4)
    assert not found.withheld


def test_far_stray_controls_withhold() -> None:
    """Controls that stray too far withhold every verdict."""
    found = check_controls([scored(score) for score in (3.2, -3.2, 3.2)])
    assert found.widening == pytest.approx(3.2, rel=1e-4)
    assert found.widening > WITHHELD_BEYOND
    judged = judge({"clear": make_effect(0.5), "same": make_effect(0.0, 1e-4)}, found)
    assert [each.verdict for each in judged.values()] == ["undecided"] * 2


def test_hopelessly_stray_controls() -> None:
    """A control whose p-value underflows to 0 still gives a finite widening."""
    found = check_controls([make_effect(1.0, 1e-6, degrees=1e6)])
    assert 3 < found.widening < 100
    assert found.strayed == 1


@pytest.mark.parametrize("seed", range(5))
def test_good_controls_are_rarely_suspected(seed: int) -> None:
    """About one in twenty runs with correct controls is widened."""
    numbers = np.random.default_rng(seed)
    widened = [
        check_controls([scored(float(score)) for score in numbers.normal(size=8)]).widening > 1
        for _ in range(400)
    ]
    assert 0.02 < np.mean(widened) < 0.08


@pytest.mark.parametrize(
    ("log_ratios", "strayed"), [((0.1, -0.1, 0.0), 2), ((0.011, 0.0), 0), ((-0.05,), 1), ((), 0)]
)
def test_strayed_controls_are_counted(log_ratios: Sequence[float], strayed: int) -> None:
    """Controls with a difference count; one within the band is equivalent."""
    found = check_controls([make_effect(each, 0.002) for each in log_ratios])
    assert (found.strayed, found.count) == (strayed, len(log_ratios))
