"""bench.analysis.run_agreement: how often intervals of one run hold estimates of another."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from bench.analysis.estimates import Floats, Interval
from bench.analysis.run_agreement import Coverage, RunResult, agreement, expected_share
from bench.records.comparison import DELTA
from bench.records.row import Record
from helpers.records import make_effect, make_record

NORMAL = 1.959963984540054


def coverages(first: Sequence[Record], second: Sequence[Record]) -> tuple[Coverage, Coverage]:
    """Compare the intervals of two runs by their rows."""
    runs = [RunResult(records=each, decisions=[]) for each in (first, second)]
    return agreement(runs[0], runs[1], DELTA).coverages


def rows_of(logs: Floats, errors: Floats, quantile: float = NORMAL, **changes: Any) -> list[Record]:
    """Build a run's rows, one for each arm, with these log speed-ups and standard errors."""
    found = []
    for place, (log, error) in enumerate(zip(logs, errors, strict=True)):
        value, low, high = (math.exp(log + side * quantile * error) for side in (0, -1, 1))
        ends = {"speedup": value, "speedup_low": low, "speedup_high": high}
        found.append(make_record(arm=f"arm-{place}", **ends | changes))
    return found


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
def test_coverage_approaches_what_is_expected(ratio: float) -> None:
    """Two runs of 3000 arms of known truth hold each other's estimates as often as expected."""
    source, count = np.random.default_rng(3), 3000
    truth = source.normal(0.0, 0.2, count)
    errors = source.uniform(0.005, 0.02, count)
    runs = [
        rows_of(truth + error * source.standard_normal(count), error)
        for error in (errors, ratio * errors)
    ]
    for each in coverages(runs[0], runs[1]):
        assert each.rows == count
        spread = math.sqrt(each.expected * (1 - each.expected / count))
        assert abs(each.held - each.expected) < 4 * spread
        assert each.of_expected == each.held / each.expected


def test_each_run_has_its_own_coverage() -> None:
    """A wide interval holds what a narrow one does not."""
    narrow, wide = (
        rows_of(np.array([log]), np.array([error])) for log, error in ((0.0, 0.01), (0.05, 0.1))
    )
    first, second = coverages(narrow, wide)
    assert (first.held, second.held) == (0, 1)
    assert first.expected < 0.2
    assert second.expected > 0.9


@pytest.mark.parametrize(("degrees", "short"), [(4.0, 0.045), (16.0, 0.02), (100.0, 0.01)])
def test_coverage_of_intervals_with_few_degrees(degrees: float, short: float) -> None:
    """With estimated standard errors the expected share is Student's, or a little less."""
    source, count = np.random.default_rng(4), 4000
    quantile = float(stdtrit(degrees, 0.975))
    runs = []
    for _ in range(2):
        errors = 0.01 * np.sqrt(source.chisquare(degrees, count) / degrees)
        records = rows_of(0.01 * source.standard_normal(count), errors, quantile)
        effects = {row.key: make_effect(degrees=degrees) for row in records}
        runs.append(RunResult(records=records, decisions=[], effects=effects))
    found, _ = agreement(runs[0], runs[1], DELTA).coverages
    assert -0.015 < found.held / count - found.expected / count < short


@given(
    error=st.floats(1e-4, 0.5), ratio=st.floats(0.01, 100), degrees=st.sampled_from([3, math.inf])
)
def test_the_expected_share_lies_between_its_limits(
    error: float, ratio: float, degrees: float
) -> None:
    """It is 95 % against the truth, 83 % against an equal normal estimate, 0 against noise."""
    own, other, wider = (normal(error * factor) for factor in (1.0, ratio, 2 * ratio))
    found = expected_share(own, other, degrees)
    assert 0 < expected_share(own, wider, degrees) < found < 0.95
    assert expected_share(own, own) == pytest.approx(0.8342, abs=1e-4)


def normal(error: float) -> Interval:
    """Build the interval of an estimate with this standard error."""
    return Interval(1.0, math.exp(-NORMAL * error), math.exp(NORMAL * error))


def test_only_candidates_with_an_interval_in_both_runs_count() -> None:
    """Controls, withheld rows, wrong arms, other caches, sizes and baselines do not count."""
    kept = make_record()
    others: list[dict[str, Any]] = [
        {"arm": "mha"},
        {"speedup_low": None, "speedup_high": None, "verdict": "undecided"},
        {"status": "wrong", "verdict": None},
        {"speedup_low": 1.25, "speedup_high": 1.25},
    ]
    for changes in others:
        row = replace(kept, **changes)
        assert coverages([row], [row])[0].rows == 0
        assert coverages([row], [kept])[0].rows == 0
    for changes in ({"cache": "warm"}, {"image_size": 384}, {"baseline": "manual2"}):
        other = replace(kept, **changes)
        assert coverages([kept], [other])[0].rows == 0
    assert coverages([kept], [kept])[0].rows == 1
