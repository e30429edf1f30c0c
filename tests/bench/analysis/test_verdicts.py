"""bench.analysis.verdicts: what may be said of an interval, at its edges too."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.intervals import Interval
from bench.analysis.verdicts import DELTA, verdict
from bench.record import VERDICTS

LOWER, UPPER = 1 / (1 + DELTA), 1 + DELTA
MIRRORED = {"faster": "slower", "slower": "faster"}


def after(value: float) -> float:
    """Next number above."""
    return math.nextafter(value, math.inf)


def before(value: float) -> float:
    """Next number below."""
    return math.nextafter(value, -math.inf)


def test_band_is_two_percent() -> None:
    """Differences below 2 % are no reason to choose."""
    assert DELTA == 0.02


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (LOWER, UPPER, "equivalent"),
        (1.0, 1.0, "equivalent"),
        (1.005, 1.015, "equivalent"),  # too small a difference to choose by
        (0.985, 0.995, "equivalent"),
        (before(LOWER), UPPER, "undecided"),
        (LOWER, after(UPPER), "undecided"),
        (0.5, 2.0, "undecided"),
        (1.0, 1.5, "undecided"),
        (after(1.0), 1.5, "faster"),
        (1.2, 1.3, "faster"),
        (0.5, 1.0, "undecided"),
        (0.5, before(1.0), "slower"),
        (0.7, 0.8, "slower"),
    ],
)
def test_truth_table(low: float, high: float, expected: str) -> None:
    """The interval decides; a bound on the edge of the band is in it, one on 1 does not exclude."""
    assert verdict(Interval((low + high) / 2, low, high)) == expected


@pytest.mark.parametrize("value", [0.5, 1.0, 2.0])
def test_without_bounds(value: float) -> None:
    """One pass decides nothing, whatever its value."""
    assert verdict(Interval(value)) == "undecided"


@pytest.mark.parametrize(("delta", "expected"), [(0.1, "equivalent"), (0.01, "faster")])
def test_other_band(delta: float, expected: str) -> None:
    """Who cares for less or more can have another band."""
    assert verdict(Interval(1.05, 1.02, 1.08), delta) == expected


@settings(deadline=None)
@given(bounds=st.lists(st.integers(300, 3000), min_size=2, max_size=2).map(sorted))
def test_swapped_arms(bounds: list[int]) -> None:
    """Swapping the arms swaps faster and slower and changes nothing else."""
    low, high = bounds[0] / 1000 + 1e-6, bounds[1] / 1000 + 1e-6  # never on an edge
    said = verdict(Interval(low, low, high))
    assert said in VERDICTS
    assert verdict(Interval(1 / low, 1 / high, 1 / low)) == MIRRORED.get(said, said)
