"""Simulated runs with a known answer: coverage of intervals and rates of verdicts.

Each scenario disturbs the pairs in one way that real machines do. The estimators are those of
measured runs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from bench.analysis.estimates import Interval, PassEstimate, estimate_pass, geometric
from bench.analysis.replication import effect
from bench.analysis.spread import Spread, fit_spreads
from bench.analysis.verdicts import check_controls, judge

_BASE_S = 0.01
# Half of a run's comparisons are of identical arms; the others cycle through these.
TRUE_SPEEDUPS = (1.0, 0.95, 1.0, 0.98)
# Most passes of a run that continues until its intervals are narrow.
_MOST_PASSES = 8


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A machine and a run on it; sizes are standard deviations or shares of a call's time.

    ``noise`` is that of a pair's ratio, with ``correlation`` between neighbouring pairs; the share
    ``outliers`` of calls takes up to several times as long; the machine's speed changes by
    ``drift`` over a pass; in the share ``disturbed`` of passes the noise is five times as large.
    ``process`` is the effect of a process on a ratio, varied between comparisons by a factor of
    ``exp(process_spread)`` and five times as large for the share ``restless``; with it only these
    comparisons are scored. Of controls it is ``copied`` times as large as of candidates. With
    ``precision`` the run continues until every interval has that half-width.
    """

    name: str
    comparisons: int = 20
    passes: int = 3
    pairs: int = 30
    noise: float = 0.02
    correlation: float = 0.0
    process: float = 0.005
    process_spread: float = 0.3
    outliers: float = 0.0
    drift: float = 0.0
    disturbed: float = 0.0
    restless: float = 0.0
    copied: float = 1.0
    precision: float | None = None


SCENARIOS = (
    Scenario(name="quiet machine"),
    Scenario(name="two passes", passes=2),
    Scenario(name="five passes", passes=5),
    Scenario(name="six pairs a pass", pairs=6),
    Scenario(name="correlated pairs", correlation=0.6),
    Scenario(name="processes differ by 2 %", process=0.02),
    Scenario(name="processes differ unequally", process_spread=1.0),
    Scenario(name="drift of 40 %", drift=0.4),
    Scenario(name="one call in ten an outlier", outliers=0.1),
    Scenario(name="every third pass disturbed", disturbed=0.33),
    Scenario(name="all of these", correlation=0.5, drift=0.4, outliers=0.1, disturbed=0.33),
    Scenario(name="one candidate and its control", comparisons=2, passes=4),
    Scenario(name="one in twenty restless: these", restless=0.05, comparisons=40),
    Scenario(name="controls five times as calm", process=0.02, copied=0.2, pairs=6),
    Scenario(name="one process each", comparisons=2, passes=1),
    Scenario(name="passes until 1 % is reached", noise=0.04, correlation=0.3, precision=0.01),
)


@dataclass(frozen=True)
class SimulatedResult:
    """Result of one simulated comparison, with its true speed-up."""

    truth: float
    interval: Interval
    verdict: str
    student: Interval
    passes: int
    restless: bool


@dataclass(frozen=True)
class Score:
    """Summary of a scenario's outcomes; shares from 0 to 1, widths relative to the speed-up.

    ``coverage`` is the share of intervals that hold the truth, ``student_coverage`` that of
    Student's intervals over pass medians. ``false`` is the share of identical arms called faster or
    slower, ``found_5`` and ``found_2`` those of slow-downs by 5 and 2 % called slower.
    """

    scenario: str
    comparisons: int
    coverage: float
    half_width: float
    false: float
    found_5: float
    found_2: float
    student_coverage: float
    student_half_width: float


def simulate(scenario: Scenario, runs: int, seed: int = 0) -> Score:
    """Simulate a number of runs of a scenario and score their outcomes."""
    random = np.random.default_rng([seed, *scenario.name.encode()])
    outcomes = [each for _ in range(runs) for each in _run(scenario, random)]
    if scenario.restless:
        outcomes = [each for each in outcomes if each.restless] or outcomes
    return Score(
        scenario=scenario.name,
        comparisons=len(outcomes),
        coverage=fmean(_covers(each.interval, each.truth) for each in outcomes),
        half_width=median(_half(each.interval) for each in outcomes),
        false=_share(outcomes, 1.0, ("faster", "slower")),
        found_5=_share(outcomes, 0.95, ("slower",)),
        found_2=_share(outcomes, 0.98, ("slower",)),
        student_coverage=fmean(_covers(each.student, each.truth) for each in outcomes),
        student_half_width=median(_half(each.student) for each in outcomes),
    )


def _share(outcomes: Sequence[SimulatedResult], truth: float, verdicts: Sequence[str]) -> float:
    hits = [each.verdict in verdicts for each in outcomes if each.truth == truth]
    return fmean(hits) if hits else math.nan


def _covers(interval: Interval, truth: float) -> bool:
    return (interval.low or 0.0) <= truth <= (interval.high or math.inf)


def _half(interval: Interval) -> float:
    return math.log((interval.high or math.inf) / (interval.low or math.nan)) / 2


def _run(scenario: Scenario, random: np.random.Generator) -> Iterator[SimulatedResult]:
    """Simulate one run: half of its comparisons are controls, the other half candidates."""
    half = scenario.comparisons // 2
    truths = [1.0] * half
    truths += [TRUE_SPEEDUPS[int(random.integers(len(TRUE_SPEEDUPS)))] for _ in range(half)]
    restless = [bool(random.random() < scenario.restless) for _ in truths]
    processes = [
        scenario.process * math.exp(random.normal(0, scenario.process_spread)) * (5 if each else 1)
        for each in restless
    ]
    processes[:half] = [scenario.copied * each for each in processes[:half]]
    groups: list[list[PassEstimate]] = [[] for _ in truths]
    wanted = list(range(len(truths)))
    for index in range(_MOST_PASSES if scenario.precision else scenario.passes):
        if index >= scenario.passes:
            wanted = _too_wide(groups, half, scenario.precision or 0.0)
        for place in wanted:
            groups[place].append(_pass(scenario, truths[place], processes[place], random))
    yield from _outcomes(truths, groups, half, restless)


def _spreads(groups: Sequence[Sequence[PassEstimate]], controls: int) -> list[Spread]:
    """Return the spread of each comparison; the controls come first."""
    found = fit_spreads({"": groups[controls:]}, groups[:controls])
    return [found.controls if place < controls else found.of("") for place in range(len(groups))]


def _too_wide(
    groups: Sequence[Sequence[PassEstimate]], controls: int, precision: float
) -> list[int]:
    spreads = _spreads(groups, controls)
    return [
        place
        for place, (group, spread) in enumerate(zip(groups, spreads, strict=True))
        if effect(group, spread).stopping_width > precision
    ]


def _outcomes(
    truths: Sequence[float],
    groups: Sequence[Sequence[PassEstimate]],
    controls: int,
    restless: Sequence[bool],
) -> Iterator[SimulatedResult]:
    spreads = _spreads(groups, controls)
    effects = [effect(group, spread) for group, spread in zip(groups, spreads, strict=True)]
    found = check_controls(effects[:controls])
    judged = judge({str(k): effects[k] for k in range(controls, len(effects))}, found)
    for key, each in judged.items():
        group = groups[int(key)]
        yield SimulatedResult(
            truth=truths[int(key)],
            interval=each.effect.interval,
            verdict=each.verdict,
            student=geometric([one.log_ratio for one in group]),
            passes=len(group),
            restless=restless[int(key)],
        )


def _pass(
    scenario: Scenario, truth: float, process: float, random: np.random.Generator
) -> PassEstimate:
    pairs = scenario.pairs
    noise = scenario.noise * (5 if random.random() < scenario.disturbed else 1)
    ratio = (
        math.log(truth)
        + random.normal(0, process)
        + _correlated(pairs, noise, scenario.correlation, random)
    )
    machine = np.linspace(0, scenario.drift, pairs) + _correlated(pairs, 0.1, 0.9, random)
    baseline_s = _BASE_S * np.exp(machine + ratio / 2)
    arm_s = _BASE_S * np.exp(machine - ratio / 2)
    for times_s in (baseline_s, arm_s):
        hit = random.random(pairs) < scenario.outliers
        times_s[hit] *= 1 + random.exponential(1.0, int(hit.sum()))
    return estimate_pass(baseline_s.tolist(), arm_s.tolist())


def _correlated(
    count: int, deviation: float, correlation: float, random: np.random.Generator
) -> np.ndarray:
    """Return normal noise of a given standard deviation with correlated neighbours."""
    values = random.normal(0, deviation, count)
    for index in range(1, count):
        fresh = math.sqrt(1 - correlation**2) * values[index]
        values[index] = correlation * values[index - 1] + fresh
    return values


def simulate_fully(scenario: Scenario, runs: int, seed: int = 0) -> Score:
    """Simulate as many comparisons as ``runs`` runs of twenty have, also for smaller runs."""
    return simulate(scenario, max(runs * SCENARIOS[0].comparisons // scenario.comparisons, 1), seed)
