"""Check whether a tree is worse than its base revision: one check for each metric of a target.

A change is relative: 0.05 is 5 % more time, memory or operations than at the base. A change with an
interval is ``worse`` if all of the interval is beyond the threshold, ``ok`` if none of it is, else
``undecided``: more time would decide. Passes go on until all is decided, so that interval holds
over all looks at it (a repeated confidence interval: Jennison and Turnbull 2000, "Group sequential
methods", chapter 9). Counted metrics have no interval. A target that the base does not have is
``new``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.estimates import CONFIDENCE
from bench.analysis.looks import level
from bench.analysis.replication import Effect
from bench.records.notes import Note, NoteKind, joined
from bench.records.row import Record

METRICS = ("latency", "memory", "flops", "parameters", "compile time", "numeric error")
# The worst outcome first.
OUTCOMES = ("worse", "unknown", "undecided", "ok", "new")
# Upper bound on suggested extra time.
_MOST_S = 86_400.0
_ROUNDING = 1e-9
# Half-widths below this never count as wide.
_LEAST_WIDTH = 0.01
_TREES = ("at the base", "in this tree")
# Metrics that a survey measures; without one they are not gated.
SURVEYED_METRICS = ("memory", "flops", "parameters")
# A survey that has no value of these is an error; the others may not apply to a target.
_ALWAYS = ("memory",)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Maximum relative growth of each metric, and maximum difference of outputs from the base's.

    ``numeric_error`` is a relative norm; None is the tolerance of the target's precision.
    """

    latency: float = 0.03
    memory: float = 0.01
    flops: float = 0.001
    parameters: float = 0.0
    compile_time: float = 0.5
    numeric_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One metric of one target: ``before`` at the base, ``after`` in the tree, and their change.

    ``need_s`` are the further seconds of measuring that would decide it: None if it is decided, or
    if a day would not suffice. ``is_wide``: the interval is too wide to extrapolate.
    """

    target: str
    metric: str
    outcome: str
    threshold: float | None = None
    before: float | None = None
    after: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    need_s: float | None = None
    is_wide: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class TargetRows:
    """The rows of one target: the tree against the base, and the base against its own copy."""

    target: str
    tree: Record
    base: Record | None
    notes: tuple[Note, ...] = ()
    """The notes on both rows, those of the tree first."""
    spent_s: float = 0.0
    """Seconds of the run that went into the tree's row."""


def checks(
    measured: Sequence[TargetRows], thresholds: Thresholds, *, survey: bool = True
) -> list[Check]:
    """Return the checks of every metric of every target.

    Without a survey there are no checks of ``SURVEYED_METRICS``.
    """
    found = [check for each in measured for check in _checks(each, thresholds)]
    return [check for check in found if survey or check.metric not in SURVEYED_METRICS]


def new_target(target: str) -> Check:
    """Return the check of a target that the base does not have."""
    reason = (
        "not at the base: nothing to compare it with; if it has another name there, give "
        "--base-target"
    )
    return Check(target=target, metric="latency", outcome="new", reason=reason)


def worst_outcome(found: Sequence[Check]) -> str:
    """Return the worst outcome of several checks."""
    outcomes = {check.outcome for check in found}
    return next((each for each in OUTCOMES if each in outcomes), "unknown")


def _checks(each: TargetRows, thresholds: Thresholds) -> Iterator[Check]:
    tree, base = each.tree, each.base
    yield _latency(each, thresholds.latency)
    if tree.status not in ("ok", "wrong"):
        # The same reason holds for every other metric.
        return
    yield _error(each, thresholds.numeric_error)
    if base is None:
        return
    counted: Mapping[str, tuple[float, float | None, float | None]] = {
        "memory": (thresholds.memory, base.allocated_bytes, tree.allocated_bytes),
        "flops": (thresholds.flops, base.flop, tree.flop),
        "parameters": (thresholds.parameters, base.parameters, tree.parameters),
        "compile time": (thresholds.compile_time, base.compile_cold_s, tree.compile_cold_s),
    }
    for metric, (threshold, before, after) in counted.items():
        if before is not None and after is not None:
            yield _counted(each.target, metric, threshold, before, after)
        elif metric in _ALWAYS or before is not None or after is not None:
            yield _not_measured(each, metric, threshold, (before, after))


def _latency(each: TargetRows, threshold: float) -> Check:
    tree = each.tree
    if tree.speedup is None:
        reason = f"{tree.status}: {tree.error}" if tree.error else tree.status
        return _unknown(each, "latency", threshold, reason)
    change = 1 / tree.speedup - 1
    low = 1 / tree.speedup_high - 1 if tree.speedup_high else -1.0
    high = 1 / tree.speedup_low - 1 if tree.speedup_low else math.inf
    decided = "worse" if low > threshold else "ok" if high <= threshold else "undecided"
    return Check(
        target=each.target,
        metric="latency",
        outcome=decided,
        threshold=threshold,
        before=tree.latency_ms * tree.speedup if tree.latency_ms else None,
        after=tree.latency_ms,
        change=change,
        low=low,
        high=high,
        need_s=_need_s(each.spent_s, change, (low, high), threshold)
        if decided == "undecided"
        else None,
        is_wide=decided == "undecided" and high - low > 2 * max(threshold, _LEAST_WIDTH),
    )


def over_looks(record: Record, found: Effect | None, looks: int, *, is_last: bool) -> Record:
    """Return a row whose interval holds at every look so far, not at one alone.

    ``found`` is the effect of the row after a number of ``looks``; without one the row is as it
    was. ``is_last``: no look follows, since the time is over.
    """
    if found is None or record.speedup is None:
        return record
    interval = found.bounded(1 - level(looks, 1 - CONFIDENCE, is_last=is_last))
    return replace(record, speedup_low=interval.low, speedup_high=interval.high)


def is_open(record: Record, threshold: float) -> bool:
    """Return whether a candidate's slow-down may be on either side of a threshold."""
    if record.is_control or record.speedup is None:
        return False
    measured = TargetRows(target=record.arm, tree=record, base=None)
    return _latency(measured, threshold).outcome == "undecided"


def _need_s(
    spent_s: float, change: float, bounds: tuple[float, float], threshold: float
) -> float | None:
    """Return the further seconds until an interval that shrinks with 1 / √time is decided."""
    half = (bounds[1] - bounds[0]) / 2
    distance = abs(change - threshold)
    if not spent_s or half > distance * math.sqrt(_MOST_S / spent_s):
        return None
    return max(spent_s * ((half / distance) ** 2 - 1), 0.0)


def _error(each: TargetRows, threshold: float | None) -> Check:
    """Compare the outputs of both trees; beyond the tolerance the row is ``wrong``."""
    is_wrong, error = each.tree.status == "wrong", each.tree.output_error
    is_far = threshold is not None and (error is None or error > threshold)
    return Check(
        target=each.target,
        metric="numeric error",
        outcome="worse" if is_wrong or is_far else "ok",
        threshold=threshold,
        after=error,
        reason=each.tree.error if is_wrong else None,
    )


def _not_measured(
    each: TargetRows, metric: str, threshold: float, values: tuple[float | None, ...]
) -> Check:
    """Return the check of a metric that one tree or both lack: unknown, which is not ok.

    The reason is the status of a cost survey, if one failed, otherwise all notes.
    """
    where = [name for name, value in zip(_TREES, values, strict=True) if value is None]
    failed = [note for note in each.notes if note.kind is NoteKind.SURVEY]
    reason = joined(failed[:1] or each.notes) or "no reason recorded"
    reason = f"not measured {' and '.join(where)} ({reason})"
    return _unknown(each, metric, threshold, reason)


def _unknown(each: TargetRows, metric: str, threshold: float, reason: str) -> Check:
    return Check(
        target=each.target, metric=metric, outcome="unknown", threshold=threshold, reason=reason
    )


def _counted(target: str, metric: str, threshold: float, before: float, after: float) -> Check:
    change = after / before - 1 if before else math.inf if after else 0.0
    return Check(
        target=target,
        metric=metric,
        outcome="worse" if change > threshold + _ROUNDING else "ok",
        threshold=threshold,
        before=before,
        after=after,
        change=change,
    )
