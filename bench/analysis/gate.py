"""Whether a tree is worse than the revision it is compared with: rows in, one check a metric out.

A change is relative: 0.05 is 5 % more time, memory, operations than at the base. With an interval a
change is ``worse`` where all of it lies beyond the threshold, ``ok`` where none does, and else
``undecided``: what would be decided by more time. What is counted and not measured has none. What
the base does not have is ``new``: there is nothing that it could be worse than.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.records.row import Record

METRICS = ("latency", "memory", "flops", "parameters", "compile time", "numeric error")
OUTCOMES = ("ok", "worse", "undecided", "unknown", "new")
# Whatever an interval says, nobody waits longer.
_MOST_S = 86_400.0
_ROUNDING = 1e-9
# No interval is wide that is as narrow as this either way.
_LEAST_WIDTH = 0.01
_TREES = ("at the base", "in this tree")
# How a note begins that says why an arm could not be looked at alone.
_ALONE = "alone it "
# Metrics that a survey measures; without one they are not gated.
SURVEYED = ("memory", "flops", "parameters")
# A survey that has no value of these is an error; the others may not apply to a target.
_ALWAYS = ("memory",)


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """By how much each metric may grow, and how far outputs may be from the base's.

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

    ``need_s`` are seconds of measuring beyond those spent that would decide it; None where it is
    decided, or a day would not do. That is no wonder where it ``is_wide``: the interval is wider
    than the threshold itself, and says nothing of how it would shrink.
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
    spent_s: float = 0.0


def checks(
    measured: Sequence[TargetRows], thresholds: Thresholds, *, survey: bool = True
) -> list[Check]:
    """Every metric of every target that there is something to say of.

    Without a survey there is no check of what only a survey measures (``SURVEYED``).
    """
    found = [check for each in measured for check in _checks(each, thresholds)]
    return [check for check in found if survey or check.metric not in SURVEYED]


def new_target(target: str) -> Check:
    """What there is to say of a target that the base does not have."""
    reason = "not at the base: nothing to compare it with"
    return Check(target=target, metric="latency", outcome="new", reason=reason)


def outcome(found: Sequence[Check]) -> str:
    """What the checks say together: the worst that there is."""
    said = {check.outcome for check in found}
    order = ("worse", "unknown", "undecided", "ok", "new")
    return next((each for each in order if each in said), "unknown")


def _checks(each: TargetRows, thresholds: Thresholds) -> Iterator[Check]:
    tree, base = each.tree, each.base
    yield _latency(each, thresholds.latency)
    if tree.status not in ("ok", "wrong"):
        # Whatever kept it from being measured is the reason for all else.
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
            yield _untold(each, metric, threshold, (before, after))


def _latency(each: TargetRows, threshold: float) -> Check:
    tree = each.tree
    if tree.speedup is None:
        reason = f"{tree.status}: {tree.error}" if tree.error else tree.status
        return _unknown(each, "latency", threshold, reason)
    change = 1 / tree.speedup - 1
    low = 1 / tree.speedup_high - 1 if tree.speedup_high else -1.0
    high = 1 / tree.speedup_low - 1 if tree.speedup_low else math.inf
    said = "worse" if low > threshold else "ok" if high <= threshold else "undecided"
    return Check(
        target=each.target,
        metric="latency",
        outcome=said,
        threshold=threshold,
        before=tree.latency_ms * tree.speedup if tree.latency_ms else None,
        after=tree.latency_ms,
        change=change,
        low=low,
        high=high,
        need_s=_need_s(each.spent_s, change, (low, high), threshold)
        if said == "undecided"
        else None,
        is_wide=said == "undecided" and high - low > 2 * max(threshold, _LEAST_WIDTH),
    )


def is_open(record: Record, threshold: float) -> bool:
    """Whether a candidate's slow-down could lie on either side of a threshold."""
    if record.is_control or record.speedup is None:
        return False
    measured = TargetRows(target=record.arm, tree=record, base=None)
    return _latency(measured, threshold).outcome == "undecided"


def _need_s(
    spent_s: float, change: float, bounds: tuple[float, float], threshold: float
) -> float | None:
    """Intervals shrink with the root of the time: how much more until one leaves the threshold."""
    half = (bounds[1] - bounds[0]) / 2
    distance = abs(change - threshold)
    if not spent_s or half > distance * math.sqrt(_MOST_S / spent_s):
        return None
    return max(spent_s * ((half / distance) ** 2 - 1), 0.0)


def _error(each: TargetRows, threshold: float | None) -> Check:
    """Outputs of both trees beside each other; beyond the tolerance the row is ``wrong``."""
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


def _untold(
    each: TargetRows, metric: str, threshold: float, values: tuple[float | None, ...]
) -> Check:
    """A metric that only one of the trees has, or neither: what nobody knows is not ok."""
    where = [name for name, value in zip(_TREES, values, strict=True) if value is None]
    told = [row.note for row in (each.tree, each.base) if row is not None and row.note]
    best = (note for notes in told for note in notes.split("; ") if note.startswith(_ALONE))
    reason = next(best, None) or next(iter(told), "no reason was told")
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
