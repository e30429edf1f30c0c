"""simulated_runs: the intervals and verdicts keep their word where the answer is known.

``vitbench simulate`` shows the same for every scenario and for more runs.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis import simulated_runs as simulation
from bench.analysis.replication import Effect, effect
from bench.analysis.simulated_runs import SCENARIOS, Scenario, Score, simulate, simulate_fully
from bench.analysis.spread import Group, Spreads, fit_spread
from bench.analysis.verdicts import Controls

NAMED = {scenario.name: scenario for scenario in SCENARIOS}
# Scenario and number of runs: hundreds of comparisons each, half of them of identical arms.
TRIED = {
    "two passes": 20,
    "processes differ by 2 %": 20,
    "one call in ten an outlier": 20,
    "all of these": 20,
    "one candidate and its control": 200,
    "passes until 1 % is reached": 20,
    "controls five times as calm": 50,
}
QUIET = NAMED["quiet machine"]


def faults(score: Score) -> list[str]:
    """Requirements on intervals and verdicts that a score misses."""
    wanted = {
        "coverage": 0.93 <= score.coverage <= 1,
        "false verdicts": score.false <= 0.02,
    }
    return [name for name, given in wanted.items() if not given]


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.endurance)])
@pytest.mark.parametrize("name", TRIED)
def test_intervals_and_verdicts_meet_their_rates(name: str, times: int) -> None:
    """At least 93 % of intervals hold the truth, at most 2 % of identical arms differ."""
    score = simulate(NAMED[name], times * TRIED[name])
    assert score.comparisons >= 200
    assert faults(score) == []


def too_sure(*given: object) -> Effect:
    """An effect with a tenth of its variance."""
    found: Effect = effect(*given)  # type: ignore[arg-type]
    return found.widened(math.sqrt(0.1))


def silenced(effects: list[Effect]) -> Controls:
    """Controls without any influence."""
    return Controls(len(effects), 0, 1.0)


@pytest.mark.parametrize("name", ["two passes", "all of these", "passes until 1 % is reached"])
def test_too_small_a_variance_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same check catches an overconfident estimator, even with its controls."""
    monkeypatch.setattr(simulation, "effect", too_sure)
    assert "coverage" in faults(simulate(NAMED[name], 10))


def test_controls_correct_most_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its controls the same estimator errs far more often."""
    monkeypatch.setattr(simulation, "effect", too_sure)
    guarded = simulate(NAMED["processes differ by 2 %"], 20)
    monkeypatch.setattr(simulation, "check_controls", silenced)
    alone = simulate(NAMED["processes differ by 2 %"], 20)
    assert alone.coverage < guarded.coverage - 0.2
    assert alone.false > guarded.false + 0.05


def test_controls_do_not_vouch_for_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one spread for all, calm controls make the intervals of candidates too narrow."""

    def pooled(candidates: dict[str, list[Group]], controls: list[Group]) -> Spreads:
        together = fit_spread([*candidates[""], *controls])
        return Spreads(together, together, {})

    scenario = NAMED["controls five times as calm"]
    apart = simulate(scenario, 30)
    monkeypatch.setattr(simulation, "fit_spreads", pooled)
    assert simulate(scenario, 30).coverage < min(apart.coverage, 0.93)


def test_slow_downs_are_found() -> None:
    """On a quiet machine nearly every slow-down by 5 %, and most by 2 %, is called slower."""
    score = simulate(QUIET, 20)
    assert score.found_5 > 0.95
    assert score.found_2 > 0.6
    assert 0 < score.half_width < 0.02
    assert score.student_half_width > score.half_width


def test_a_seed_decides_everything() -> None:
    """Equal seeds give equal scores, different seeds different ones."""
    assert simulate(QUIET, 2, seed=7) == simulate(QUIET, 2, seed=7)
    assert simulate(QUIET, 2, seed=7) != simulate(QUIET, 2, seed=8)


@pytest.mark.parametrize("scenario", [QUIET, NAMED["one candidate and its control"]])
def test_small_runs_are_simulated_more_often(scenario: Scenario) -> None:
    """Every scenario is scored on as many comparisons, whatever the size of its runs."""
    assert simulate_fully(scenario, 3).comparisons == 30


def test_nothing_to_find() -> None:
    """Without slower arms the share of those found is empty."""
    score = simulate(replace(NAMED["one candidate and its control"], passes=2), 1)
    shares = [score.false, score.found_5, score.found_2]
    assert sum(math.isnan(share) for share in shares) == 2


def test_further_passes_go_to_the_widest() -> None:
    """A target precision adds passes to some comparisons and takes none away."""
    scenario = NAMED["passes until 1 % is reached"]
    outcomes = list(simulation._run(scenario, np.random.default_rng(0)))
    passes = {each.passes for each in outcomes}
    assert min(passes) >= scenario.passes
    assert scenario.passes < max(passes) <= simulation._MOST_PASSES
    planned = list(simulation._run(replace(scenario, precision=None), np.random.default_rng(0)))
    assert {each.passes for each in planned} == {scenario.passes}


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_noise_has_its_deviation_and_correlation(correlation: float) -> None:
    """Simulated noise has the requested standard deviation and correlation of neighbours."""
    values = simulation._correlated(20_000, 0.02, correlation, np.random.default_rng(0))
    assert np.std(values) == pytest.approx(0.02, rel=0.05)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(correlation, abs=0.03)


def test_names_are_unique() -> None:
    """Scenario names, which seed their random numbers, are unique."""
    assert len(NAMED) == len(SCENARIOS)
