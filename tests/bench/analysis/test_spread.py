"""bench.analysis.spread: the variance between processes, of controls and of each factor's arms."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from bench.analysis.estimates import PassEstimate
from bench.analysis.replication import effect
from bench.analysis.spread import Spread, Spreads, fit_spread, fit_spreads
from helpers.records import make_estimate

LOGS = st.integers(-3000, 3000).map(lambda n: n / 10000)
ESTIMATES = st.builds(
    make_estimate, LOGS, variance=st.floats(1e-8, 1e-2), rounds=st.integers(2, 200)
)
GROUPS = st.lists(st.lists(ESTIMATES, min_size=1, max_size=5), min_size=2, max_size=6)


def group(logs: Sequence[float], variance: float = 1e-6) -> list[PassEstimate]:
    """Passes with given ratios and equal variances."""
    return [make_estimate(float(log), variance=variance) for log in logs]


def simulated(sds: Sequence[float], passes: int, seed: int = 0) -> list[list[PassEstimate]]:
    """One comparison for each standard deviation between its processes."""
    numbers = np.random.default_rng(seed)
    return [group(numbers.normal(0, sd, passes).tolist()) for sd in sds]


def known_spread(groups: Sequence[Sequence[PassEstimate]], variance: float) -> tuple[float, float]:
    """Variance and degrees of freedom by Smyth's formulas, for passes of equal variance."""
    half = (len(groups[0]) - 1) / 2
    logs = np.log([np.var([each.log_ratio for each in passes], ddof=1) for passes in groups])
    excess = max(float(np.var(logs, ddof=1) - polygamma(1, half)), 0.0)
    # The guess of four degrees of freedom weighs as much as four comparisons.
    wanted = ((len(groups) - 1) * excess + 4 * polygamma(1, 2)) / (len(groups) + 3)
    prior = brentq(lambda x: polygamma(1, x) - wanted, 1e-3, 1e3)
    log_scale = np.mean(logs) - digamma(half) + np.log(half) + digamma(prior) - np.log(prior)
    return math.exp(log_scale) - variance, 2 * prior


@pytest.mark.parametrize("passes", [2, 3, 5])
@pytest.mark.parametrize("sds", [(0.01,) * 8, (0.002, 0.01, 0.05), (0.005, 0.02)])
def test_spread_of_equal_variances(sds: tuple[float, ...], passes: int) -> None:
    """For passes of equal variance the spread is that of Smyth's closed formulas."""
    groups = simulated(sds, passes)
    found = fit_spread(groups)
    assert (found.variance, found.degrees) == pytest.approx(known_spread(groups, 1e-6), rel=1e-6)
    assert found.total_degrees == len(sds) * (passes - 1)


def test_spread_is_that_of_the_processes() -> None:
    """Many comparisons of few passes reveal the spread between processes."""
    found = fit_spread(simulated([0.02] * 400, 3))
    assert math.sqrt(found.variance) == pytest.approx(0.02, rel=0.1)


def test_noise_of_pairs_is_not_spread_of_processes() -> None:
    """Passes that differ by no more than the noise of their pairs have no process spread."""
    numbers = np.random.default_rng(0)
    groups = [group(numbers.normal(0, 0.01, 3).tolist(), 4e-4) for _ in range(50)]
    assert fit_spread(groups).variance < 1e-8


def test_unlike_comparisons_lend_less() -> None:
    """Comparisons of unequal spread lend fewer degrees of freedom."""
    numbers = np.random.default_rng(0)
    unlike = numbers.normal(size=40)
    degrees = [
        fit_spread(simulated((0.01 * np.exp(factor * unlike)).tolist(), 4)).degrees
        for factor in (0.0, 0.7, 2.0)
    ]
    assert degrees == sorted(degrees, reverse=True)
    assert degrees[0] > 2 * degrees[-1]


@pytest.mark.parametrize("groups", [[], [group([0.1])], [group([0.1]), group([0.2])]])
def test_without_repetition_the_prior_spread_holds(groups: list[list[PassEstimate]]) -> None:
    """Without repeated comparisons the spread between processes is taken as two percent."""
    assert fit_spread(groups) == Spread(variance=4e-4, degrees=4.0, total_degrees=math.inf)
    found = effect(group([0.1]), fit_spread(groups))
    assert found.degrees == 4
    assert found.standard_error == pytest.approx(0.02, rel=0.01)


@settings(deadline=None, max_examples=50)
@given(groups=GROUPS)
def test_degrees_are_borrowed_from_others_only(groups: list[list[PassEstimate]]) -> None:
    """A comparison has its own degrees of freedom plus at most those of all others."""
    spread = fit_spread(groups)
    for passes in groups:
        own = len(passes) - 1
        assert own <= effect(passes, spread).degrees <= max(spread.total_degrees, own)


def test_an_outlying_spread_borrows_less() -> None:
    """A comparison of far larger spread than all others relies on its own."""
    quiet = [group([0.0, 0.001 * place]) for place in range(1, 20)]
    restless = group([0.0, 0.5])
    spread = fit_spread([*quiet, restless])
    assert effect(restless, spread).degrees < 1.2
    assert effect(quiet[9], spread).degrees > 2


def sd(spread: Spread) -> float:
    """The standard deviation between processes."""
    return math.sqrt(spread.variance)


def width(passes: Sequence[PassEstimate], spreads: Spreads, stratum: str = "a") -> float:
    """The half-width of a candidate's interval."""
    return effect(passes, spreads.of(stratum)).half_width


def test_controls_are_fitted_apart() -> None:
    """Controls keep the spread that they have alone, if candidates spread further."""
    copies, others = simulated([0.002] * 18, 3), simulated([0.02] * 12, 3, seed=1)
    found = fit_spreads({"a": others}, copies)
    assert found.controls == fit_spread(copies)
    assert found.candidates == fit_spread(others)
    assert found.of("unknown") == found.candidates


@settings(deadline=None, max_examples=50)
@given(groups=GROUPS, seed=st.integers(0, 9), quiet=st.floats(1e-5, 1e-3))
def test_calm_controls_narrow_no_candidate(
    groups: list[list[PassEstimate]], seed: int, quiet: float
) -> None:
    """With controls that spread less, candidates have the interval that they have without them."""
    copies = simulated([quiet] * 18, 3, seed)
    assume(fit_spread(copies).variance < fit_spread(groups).variance)
    alone, beside = (fit_spreads({"a": groups}, each) for each in ([], copies))
    for passes in groups:
        assert width(passes, beside) >= width(passes, alone) * (1 - 1e-9)


def test_restless_controls_widen_candidates() -> None:
    """Controls that spread further than candidates are fitted with them: that is chance."""
    copies, others = simulated([0.02] * 6, 3), simulated([0.01] * 6, 3, seed=1)
    found = fit_spreads({"a": others}, copies)
    together = fit_spread([*others, *copies])
    assert found.controls == found.candidates == together
    assert sd(fit_spread(others)) < sd(found.of("a")) < sd(fit_spread(copies))


def test_a_large_stratum_has_its_own_spread() -> None:
    """Each of several factors with many arms is near the spread of its own processes."""
    strata = {"a": simulated([0.04] * 60, 3), "b": simulated([0.01] * 60, 3, seed=1)}
    found = fit_spreads(strata, [])
    assert [sd(found.of(name)) for name in strata] == pytest.approx([0.04, 0.01], rel=0.15)
    # Apart they are as alike as comparisons can be; together they are not.
    assert found.of("a").degrees == found.of("b").degrees > 2 * found.candidates.degrees


def test_a_small_stratum_is_shrunk() -> None:
    """The spread of a factor with few arms lies between its own and that of all candidates."""
    many, wide = simulated([0.01] * 40, 3), simulated([0.08] * 10, 3, seed=2)
    few = {count: fit_spreads({"a": many, "b": wide[:count]}, []) for count in (1, 3, 10)}
    for count, found in few.items():
        assert sd(found.candidates) < sd(found.of("b")) < sd(fit_spread(wide[:count]))
    assert sd(few[1].of("b")) < sd(few[10].of("b"))


def test_one_stratum_is_all_candidates() -> None:
    """With a single stratum the fit is that of its comparisons."""
    groups = simulated([0.002, 0.01, 0.05], 3)
    found, alone = fit_spreads({"a": groups}, []), fit_spread(groups)
    assert found.of("a").variance == pytest.approx(alone.variance)
    assert found.of("a").degrees == pytest.approx(alone.degrees)
    assert found.of("a").total_degrees == alone.total_degrees


def test_no_stratum_is_calmer_than_controls() -> None:
    """A factor whose arms agree by chance keeps at least the spread of controls."""
    copies = simulated([0.005] * 18, 3)
    strata = {"a": simulated([0.03] * 12, 3, seed=1), "b": [group([0.0, 0.0, 0.0])] * 12}
    found = fit_spreads(strata, copies)
    assert found.of("b").variance == pytest.approx(found.controls.variance)


@pytest.mark.parametrize("passes", [1, 3])
def test_without_repeated_candidates_the_usual_spread_holds(passes: int) -> None:
    """Candidates of a single pass have the assumed spread, beside any controls."""
    found = fit_spreads({"a": [group([0.1])]}, simulated([0.001] * 4, passes))
    assert found.of("a").is_guess
    assert sd(found.of("a")) == pytest.approx(0.02)


@pytest.mark.parametrize("calm", [1.0, 0.2])
def test_intervals_of_few_candidates_hold_the_truth(calm: float) -> None:
    """One candidate with its control, as in vitbench compare, is covered in 95 % of runs."""
    numbers = np.random.default_rng(0)
    held = []
    for _ in range(200):
        passes, copies = (
            group(numbers.normal(0, each, 4).tolist()) for each in (0.02, 0.02 * calm)
        )
        found = effect(passes, fit_spreads({"a": [passes]}, [copies]).of("a"))
        held.append(abs(found.log_ratio) <= found.half_width)
    assert np.mean(held) > 0.92
