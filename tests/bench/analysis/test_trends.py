"""bench.analysis.trends: an arm is unsteady if it moves, alone and against its partner."""

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.trends import kendall_p, moved

Pass = tuple[list[float], list[float]]


def falling(by: float, count: int = 30) -> list[float]:
    """Times that fall evenly by a share of the first, with a little noise."""
    return [1 - by * index / count + 0.001 * (index % 3) for index in range(count)]


def noise(seed: int, passes: int, pairs: int, sd: float = 0.1) -> list[Pass]:
    """Passes of independent normal logarithms of times."""
    numbers = np.random.default_rng(seed).normal(0, sd, (passes, 2, pairs))
    return [(np.exp(own).tolist(), np.exp(partner).tolist()) for own, partner in numbers]


STEADY = falling(0.0)


@pytest.mark.parametrize(
    ("own", "partner", "sign"),
    [
        (falling(0.2), STEADY, -1),
        (falling(-0.2), STEADY, 1),
        (falling(0.2), falling(0.2), 0),  # the machine got faster, for both
        (falling(0.2), falling(0.1), -1),
        (falling(0.1), falling(0.2), 0),  # faster, but less so than its partner
        (falling(0.02), STEADY, 0),  # too little to matter
        (STEADY, falling(0.2), 0),  # the other one moved
        (STEADY, falling(-0.2), 0),
        (falling(0.5, 6), STEADY[:6], -1),
        (falling(0.5, 5), STEADY[:5], 0),  # too short for a trend
        ([], [], 0),
    ],
)
def test_one_pass(own: list[float], partner: list[float], sign: int) -> None:
    """An arm moved if its times did, both absolutely and against its partner's."""
    found = moved([(own, partner)])
    assert (0 if found is None else math.copysign(1, found)) == sign


def test_the_change_is_from_start_to_end() -> None:
    """The change is that from the first third to the last, relative to the partner."""
    step: list[float] = [2.0] * 10 + [1.5] * 10 + [1.0] * 10
    assert moved([(step, [1.0] * 30)]) == pytest.approx(-0.5)
    assert moved([(step[::-1], [1.0] * 30)]) == pytest.approx(1.0)


@pytest.mark.parametrize("passes", [1, 3])
def test_passes_add_up(passes: int) -> None:
    """A trend under much noise is found in three passes of six pairs, not in one."""
    numbers = np.random.default_rng(0)
    found = 0
    for _ in range(40):
        drift = -np.linspace(0, 0.3, 6)
        times = [np.exp(drift + numbers.normal(0, 0.05, 6)).tolist() for _ in range(passes)]
        found += moved([(each, [1.0] * 6) for each in times]) is not None
    assert (found > 35) is (passes == 3)


@pytest.mark.parametrize(("passes", "pairs"), [(1, 30), (3, 6), (3, 10), (6, 6)])
def test_noise_is_not_a_trend(passes: int, pairs: int) -> None:
    """Steady arms are rarely taken for moving, at any number of pairs."""
    found = [moved(noise(seed, passes, pairs)) is not None for seed in range(400)]
    # Two directions, each at 1 %, of which own and relative times must agree.
    assert sum(found) <= 8


def test_a_machine_that_moves_is_no_trend() -> None:
    """A machine that becomes twice as fast during each pass leaves both arms steady."""
    drift = np.linspace(0, math.log(2), 12)
    shared = [
        (np.exp(np.log(own) - drift).tolist(), np.exp(np.log(partner) - drift).tolist())
        for own, partner in noise(1, 3, 12, sd=0.02)
    ]
    assert moved(shared) is None


@settings(deadline=None)
@given(seed=st.integers(0, 50), factor=st.floats(1e-3, 1e3), order=st.permutations(range(4)))
def test_unit_and_order_of_passes_do_not_matter(
    seed: int, factor: float, order: Sequence[int]
) -> None:
    """Times in another unit, and passes in another order, move as far."""
    passes = [(falling(0.3 + seed / 100, 6), STEADY[:6]), *noise(seed, 3, 6, sd=0.02)]
    scaled = [([factor * t for t in passes[i][0]], passes[i][1]) for i in order]
    before, after = moved(passes), moved(scaled)
    assert (before is None) == (after is None)
    assert after == (before if before is None else pytest.approx(before))


@pytest.mark.parametrize("index", range(0, 720, 90))
def test_kendall_is_the_share_of_orders_that_fall_as_far(index: int) -> None:
    """The probability matches the exact count over all orders of six values."""
    orders = [np.array(order, dtype=float) for order in permutations(range(6))]

    def falls(values: np.ndarray) -> int:
        return sum(int(values[i] > values[j]) for i in range(6) for j in range(i + 1, 6))

    exact = np.mean([falls(order) >= falls(orders[index]) for order in orders])
    assert kendall_p([orders[index]]) == pytest.approx(exact, abs=0.02)


def test_scores_of_passes_add() -> None:
    """Three passes that fall as far as they can are less likely by chance than one."""
    down = np.arange(6.0)[::-1]
    assert kendall_p([down] * 3) < kendall_p([down]) ** 2 < kendall_p([down])
    assert kendall_p([down, down[::-1]]) == pytest.approx(0.5, abs=0.06)
