"""bench.analysis.gate: three outcomes by interval, exact outcomes for counted metrics."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.gate import (
    Check,
    TargetRows,
    Thresholds,
    checks,
    is_open,
    over_looks,
    worst_outcome,
)
from bench.analysis.replication import Effect
from bench.records.notes import Note, NoteKind
from bench.records.row import Record
from helpers.records import NOT_MEASURED, make_effect, make_note, make_record

TARGET = "mine.py:f"
OWN: dict[str, Any] = {"factor": "factory", "baseline": f"{TARGET}@main", "variant": None}


def row(slowdown: float = 0.0, half: float = 0.01, **changes: Any) -> Record:
    """Row of the tree, slower than the base by a share, give or take ``half``."""
    value = 1 / (1 + slowdown)
    return make_record(
        **{
            **OWN,
            "arm": TARGET,
            "latency_ms": 10.0 * (1 + slowdown),
            "speedup": value,
            "speedup_low": 1 / (1 + slowdown + half),
            "speedup_high": 1 / (1 + slowdown - half),
            **changes,
        }
    )


def checked(
    tree: Record, base: Record | None = None, notes: tuple[Note, ...] = (), **thresholds: float
) -> dict[str, Check]:
    """The checks of one target by metric."""
    measured = TargetRows(target=TARGET, tree=tree, base=base, notes=notes, spent_s=10.0)
    return {each.metric: each for each in checks([measured], Thresholds(**thresholds))}


def test_a_withheld_verdict_is_never_worse() -> None:
    """A slow-down without bounds, under load that does not cancel, stays open."""
    withheld = row(0.5, verdict="undecided", speedup_low=None, speedup_high=None)
    assert checked(withheld)["latency"].outcome == "undecided"
    assert is_open(withheld, 0.03)


@pytest.mark.parametrize(
    ("slowdown", "half", "said"),
    [
        (0.05, 0.015, "worse"),
        (0.05, 0.025, "undecided"),
        (0.0, 0.02, "ok"),
        (0.0, 0.04, "undecided"),
        (-0.10, 0.05, "ok"),
        (0.03, 0.001, "undecided"),
        (0.5, 0.4, "worse"),
    ],
)
def test_the_whole_interval_decides(slowdown: float, half: float, said: str) -> None:
    """Beyond the threshold a target is worse, within it ok, across it undecided."""
    found = checked(row(slowdown, half))["latency"]
    assert found.outcome == said
    assert found.change == pytest.approx(slowdown)
    assert (found.low, found.high) == pytest.approx((slowdown - half, slowdown + half))
    assert is_open(row(slowdown, half), 0.03) is (said == "undecided")


@given(
    slowdown=st.floats(-0.5, 1.0),
    half=st.floats(1e-4, 0.3),
    threshold=st.floats(0.0, 0.2),
    looser=st.floats(0.0, 0.2),
)
def test_a_larger_threshold_is_never_stricter(
    slowdown: float, half: float, threshold: float, looser: float
) -> None:
    """A larger threshold only moves worse to undecided to ok."""
    order = ["ok", "undecided", "worse"]
    strict, loose = (
        checked(row(slowdown, half), latency=each)["latency"].outcome
        for each in (threshold, threshold + looser)
    )
    assert order.index(loose) <= order.index(strict)


def test_both_latencies_are_in_milliseconds() -> None:
    """The base's time is taken from its pairs with the tree."""
    found = checked(row(0.25))["latency"]
    assert (found.before, found.after) == pytest.approx((10.0, 12.5))


def test_time_needed_for_a_decision() -> None:
    """Half-widths shrink with the root of the time: half of it needs four times as long."""
    found = checked(row(0.05, 0.04))["latency"]
    assert found.need_s == pytest.approx(10.0 * 4 - 10.0)
    assert checked(row(0.05))["latency"].need_s is None
    assert checked(row(0.03, 0.01))["latency"].need_s is None
    assert checked(row(0.030001, 0.04))["latency"].need_s is None


def test_an_inconclusive_interval_is_wide() -> None:
    """An interval far wider than the threshold is marked as wide."""
    assert checked(row(0.05, 0.8))["latency"].is_wide
    assert not checked(row(0.04, 0.02))["latency"].is_wide
    assert not checked(row(0.5, 0.4))["latency"].is_wide
    assert not checked(row(0.0, 0.005), latency=0.0)["latency"].is_wide


def test_the_reason_is_the_survey_note() -> None:
    """The reason of a missing metric is the arm's own survey note, no other note."""
    notes = (
        make_note("cost survey skipped: this is about a meter"),
        make_note("any words; with a remedy", NoteKind.SURVEY),
        make_note("of the base", NoteKind.SURVEY),
    )
    found = checked(row(), row(arm=OWN["baseline"], allocated_bytes=5), notes)
    assert found["memory"].reason == "not measured in this tree (any words, with a remedy)"


def test_all_notes_are_the_reason_without_a_failed_survey() -> None:
    """The reason lists each note once, or states that none was recorded."""
    base = row(arm=OWN["baseline"], allocated_bytes=5)
    notes = (make_note("no meter"), make_note("no compiler"), make_note("no meter"))
    reason = checked(row(), base, notes)["memory"].reason
    assert reason == "not measured in this tree (no meter; no compiler)"
    assert checked(row(), base)["memory"].reason == "not measured in this tree (no reason recorded)"


def test_without_a_survey_only_the_rest_is_gated() -> None:
    """Without a survey only latency, first compiled call and outputs are checked."""
    base, tree = row(arm=OWN["baseline"], compile_cold_s=2.0), row(compile_cold_s=4.0)
    measured = [TargetRows(target=TARGET, tree=tree, base=base)]
    found = {each.metric: each.outcome for each in checks(measured, Thresholds(), survey=False)}
    assert found == {"latency": "ok", "numeric error": "ok", "compile time": "worse"}


def test_a_failed_target_has_one_check() -> None:
    """A failed target has the check of its latency only."""
    base = row(arm=OWN["baseline"], allocated_bytes=5, flop=7)
    tree = row(**NOT_MEASURED, status="crashed", error="why")
    assert list(checked(tree, base)) == ["latency"]


def test_without_an_interval_nothing_is_decided() -> None:
    """A single pass of unknown spread is undecided, without a time needed."""
    found = checked(row(0.5, speedup_low=None, speedup_high=None))["latency"]
    assert (found.outcome, found.need_s) == ("undecided", None)


@pytest.mark.parametrize("status", ["crashed", "timeout", "oom", "skipped"])
def test_an_unmeasured_target_is_unknown(status: str) -> None:
    """A target without a time is unknown, with status and error as its reason."""
    found = checked(row(**NOT_MEASURED, status=status, error="why"))
    assert list(found) == ["latency"]
    assert (found["latency"].outcome, found["latency"].reason) == ("unknown", f"{status}: why")


def test_wrong_outputs_are_worse() -> None:
    """Wrong outputs are worse at any speed; within the tolerance the error is reported."""
    found = checked(row(status="wrong", error="outputs differ", verdict=None))["numeric error"]
    assert (found.outcome, found.reason) == ("worse", "outputs differ")
    fine = checked(row(output_error=1e-7))["numeric error"]
    assert (fine.outcome, fine.after) == ("ok", 1e-7)


@pytest.mark.parametrize(
    ("metric", "column", "allowed"),
    [
        ("memory", "allocated_bytes", 0.01),
        ("flops", "flop", 0.001),
        ("parameters", "parameters", 0.0),
        ("compile time", "compile_cold_s", 0.5),
    ],
)
def test_counted_metrics_have_no_interval(metric: str, column: str, allowed: float) -> None:
    """A counted metric is ok up to its threshold and worse beyond; a smaller count is ok."""
    base = row(arm=OWN["baseline"], **{column: 1_000_000})
    for growth, said in ((allowed, "ok"), (allowed + 1e-5, "worse"), (-0.5, "ok")):
        found = checked(row(**{column: round(1_000_000 * (1 + growth))}), base)[metric]
        assert (found.outcome, found.threshold) == (said, allowed)
        assert found.low is None
    assert metric not in checked(row(**{column: 1}))


@pytest.mark.parametrize("column", ["allocated_bytes", "flop", "parameters", "compile_cold_s"])
@pytest.mark.parametrize("is_base", [True, False])
def test_a_metric_of_one_tree_alone_is_unknown(column: str, *, is_base: bool) -> None:
    """A metric that either tree lacks is unknown and keeps the gate from passing."""
    told, untold = {"allocated_bytes": 5, column: 7}, {"allocated_bytes": 5, column: None}
    base, tree = (told, untold) if is_base else (untold, told)
    rows = row(**tree), row(arm=OWN["baseline"], **base)
    found = list(checked(*rows, (make_note("no time"),)).values())
    (unknown,) = [each for each in found if each.outcome == "unknown"]
    where = "in this tree" if is_base else "at the base"
    assert unknown.reason == f"not measured {where} (no time)"
    assert worst_outcome(found) == "unknown"


def test_a_metric_of_neither_tree_has_no_check() -> None:
    """A metric that both trees lack has no check; memory alone is unknown."""
    found = checked(row(), row(arm=OWN["baseline"]), (make_note("why"),))
    assert list(found) == ["latency", "numeric error", "memory"]
    assert found["memory"].outcome == "unknown"
    assert found["memory"].reason == "not measured at the base and in this tree (why)"


def test_each_metric_has_a_threshold() -> None:
    """The threshold of memory can be set by itself."""
    base = row(arm=OWN["baseline"], allocated_bytes=100)
    assert checked(row(allocated_bytes=104), base)["memory"].outcome == "worse"
    assert checked(row(allocated_bytes=104), base, memory=0.05)["memory"].outcome == "ok"


@pytest.mark.parametrize(("error", "said"), [(1e-7, "ok"), (2e-6, "worse"), (None, "worse")])
def test_the_numeric_error_has_a_threshold(error: float | None, said: str) -> None:
    """A threshold below the tolerance applies; a missing error is worse."""
    found = checked(row(output_error=error), numeric_error=1e-6)["numeric error"]
    assert (found.outcome, found.threshold, found.after) == (said, 1e-6, error)
    assert checked(row(output_error=error))["numeric error"].outcome == "ok"


def test_growth_from_zero_is_worse() -> None:
    """A count above a base of zero is worse."""
    base = row(arm=OWN["baseline"], parameters=0)
    assert checked(row(parameters=1), base)["parameters"].outcome == "worse"
    assert checked(row(parameters=0), base)["parameters"].outcome == "ok"


@pytest.mark.parametrize(
    ("said", "all_"),
    [
        (["ok", "worse", "unknown"], "worse"),
        (["ok", "undecided", "unknown"], "unknown"),
        (["ok", "undecided"], "undecided"),
        (["ok", "ok"], "ok"),
        (["new", "ok"], "ok"),
        (["new", "undecided"], "undecided"),
        (["new", "new"], "new"),
        ([], "unknown"),
    ],
)
def test_the_worst_counts(said: list[str], all_: str) -> None:
    """The outcome of a tree is that of its worst target."""
    assert (
        worst_outcome([Check(target="t", metric="latency", outcome=each) for each in said]) == all_
    )


def outcome(slow_downs: np.ndarray, looks: int, *, is_last: bool) -> str:
    """Outcome of a target whose passes slowed down by these logarithms, after some looks."""
    mean, error = float(slow_downs.mean()), float(slow_downs.std(ddof=1) / len(slow_downs) ** 0.5)
    found = Effect(-mean, error, len(slow_downs) - 1.0, error)
    tree = over_looks(row(math.expm1(mean)), found, looks, is_last=is_last)
    return checked(tree)["latency"].outcome


def gated(slow_downs: np.ndarray, first: int = 3) -> str:
    """Outcome of a gate that looks after each pass from the first on, until one decides."""
    last = len(slow_downs)
    for count in range(first, last + 1):
        said = outcome(slow_downs[:count], count - first + 1, is_last=count == last)
        if said != "undecided":
            return said
    return "undecided"


def histories(slow_down: float, count: int) -> np.ndarray:
    """Twelve passes, which differ by 2 %, of each of some targets that are slower by a share."""
    return np.random.default_rng(0).normal(math.log1p(slow_down), 0.02, (count, 12))


def test_looking_does_not_make_targets_worse() -> None:
    """A change equal to the threshold is called worse in at most 2.5 % of gates of ten looks."""
    said = [gated(each) for each in histories(0.03, 2000)]
    # Two standard errors are 0.7 %.
    assert said.count("worse") / len(said) < 0.032


def test_an_interval_of_one_look_does_not_hold_at_ten() -> None:
    """Looked at ten times with an interval for one look, twice as many are called worse."""
    found = [
        any(outcome(each[:count], 1, is_last=True) == "worse" for count in range(3, 13))
        for each in histories(0.03, 400)
    ]
    assert np.mean(found) > 0.045


@pytest.mark.parametrize(("slow_down", "said"), [(0.08, "worse"), (-0.02, "ok")])
def test_looking_finds_what_is_there(slow_down: float, said: str) -> None:
    """Nearly every target that is far from the threshold is decided within twelve passes."""
    assert [gated(each) for each in histories(slow_down, 100)].count(said) >= 95


def test_one_look_has_the_usual_interval() -> None:
    """With no look before and none to come the interval is that of the row; else it is wider."""
    found = make_effect(-0.05, 0.01)
    once, going_on, later = (
        over_looks(row(0.05), found, looks, is_last=is_last)
        for looks, is_last in ((1, True), (1, False), (4, False))
    )
    assert (once.speedup_low, once.speedup_high) == pytest.approx(
        (found.interval.low, found.interval.high)
    )
    lows = [each.speedup_low or 0 for each in (once, going_on, later)]
    assert lows == sorted(lows, reverse=True)
    assert over_looks(row(0.05), None, 1, is_last=True) == row(0.05)


def test_a_control_is_never_open() -> None:
    """Neither a control nor an unmeasured target gets further passes."""
    assert not is_open(row(0.03, arm=OWN["baseline"]), 0.03)
    assert not is_open(row(**NOT_MEASURED), 0.03)
