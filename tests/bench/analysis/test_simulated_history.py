"""simulated_history: simulated histories, on which the suite's own method is the best."""

import numpy as np
import pytest

from bench.analysis.simulated_history import (
    DETECTORS,
    TREND,
    DetectedChange,
    History,
    MethodScore,
    simulate_histories,
)


@pytest.fixture(scope="module", name="found")
def _found() -> dict[str, MethodScore]:
    told = simulate_histories(histories=6, runs=30, series=12, change=0.08, seed=1)
    return {each.method: each for each in told}


def test_every_method_is_tried(found: dict[str, MethodScore]) -> None:
    """All methods run in their order on the same histories."""
    assert list(found) == list(DETECTORS)
    assert {(each.change, each.noise) for each in found.values()} == {(0.08, 0.02)}


def test_ratios_find_changes_with_few_false_alarms(found: dict[str, MethodScore]) -> None:
    """Change points of ratios find at least 90 % of changes, with at most one false alarm."""
    trend = found[TREND]
    assert trend.found >= 0.9
    assert trend.false_alarms <= 1.0
    assert trend.exact is not None
    assert trend.held is not None
    assert 0.5 < trend.exact <= trend.held
    assert trend.held >= 0.9


def test_thresholds_alarm_for_the_machine(found: dict[str, MethodScore]) -> None:
    """A fixed threshold has over three times the false alarms, mostly false, in ratios too."""
    trend = found[TREND]
    for name in ("10 % against the run before, raw times", "10 % against the run before, ratios"):
        assert found[name].false_alarms > 3 * max(trend.false_alarms, 1.0)
        assert (found[name].false_share or 0.0) > 0.5


def test_mixed_kinds_hide_changes(found: dict[str, MethodScore]) -> None:
    """Without the kind of machine changes are missed that are found with it."""
    for name in ("change points of raw times", "change points of ratios, kinds mixed"):
        assert found[name].found < 0.8 * found[TREND].found


def test_noise_hides_changes() -> None:
    """The same change is found less often amid more noise; false alarms stay rare."""
    scores = [
        next(
            each
            for each in simulate_histories(6, 30, 12, change=0.08, noise=noise, seed=1)
            if each.method == TREND
        )
        for noise in (0.02, 0.04, 0.08)
    ]
    shares = [each.found for each in scores]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.5 < shares[0]
    assert all(each.false_alarms <= 1 for each in scores)


def test_shares_without_a_report_are_empty() -> None:
    """A method without a report has found 0 and empty shares."""
    (silent,) = [
        each
        for each in simulate_histories(histories=2, runs=12, series=4, change=1e-6)
        if each.method == TREND
    ]
    assert silent.found == 0.0
    assert silent.false_alarms == 0.0
    assert silent.false_share is None
    assert (silent.exact, silent.held) == (None, None)


def test_a_threshold_is_one_run_against_the_one_before() -> None:
    """The threshold compares each run with the one before, in every series."""
    raw = np.array([[1.0, 1.2, 1.2], [1.0, 1.05, 1.2]])
    history = History(raw, raw, ["kind 0"] * 3)
    assert DETECTORS["10 % against the run before, raw times"](history) == [
        DetectedChange(0, 1),
        DetectedChange(1, 2),
    ]
