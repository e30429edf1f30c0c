"""What one combination of levels gains of the whole over another, by what a run measured."""

import math
from collections.abc import Iterator, Sequence

from bench.analysis.choosing import DECIDED
from bench.analysis.decision import Decision
from bench.analysis.gains import Part
from bench.analysis.regret import Rival, error_of
from bench.records.comparison import DEFAULT_ARM, OBJECTIVES, Arm

_PRECISION = "precision"
_OTHERS = tuple(name for name in DECIDED if name != _PRECISION)


def gain_over(decisions: Sequence[Decision], first: Arm, second: Arm) -> Rival | None:
    """Return the gain of the second combination over the first by a run's decisions.

    ``decisions`` are those of one situation, at both levels. A combination that the run measured as
    a whole against the default arm is compared with it by that; others factor by factor, whose
    gains multiply and whose errors are taken as independent. None if the run did not measure both,
    or chose by another objective than latency.
    """
    if any(each.objective != OBJECTIVES[0] for each in decisions):
        return None
    for start, end, sign in ((first, second, 1), (second, first, -1)):
        if start == DEFAULT_ARM and (whole := _whole(decisions, end)) is not None:
            return Rival(arm=second.choice, log_gain=sign * whole.log_gain, error=whole.error)
    return _sum(second.choice, list(_steps(decisions, first, second)))


def _whole(decisions: Sequence[Decision], arm: Arm) -> Rival | None:
    """Return the gain of a combination over the default arm, measured as a whole."""
    for each in decisions:
        found = each.speedup if each.combination == arm else None
        if found is not None and math.isfinite(error := error_of(found)):
            return Rival(arm=arm.choice, log_gain=math.log(found.value), error=error)
    return None


def _steps(decisions: Sequence[Decision], first: Arm, second: Arm) -> Iterator[Rival | None]:
    """Yield the gains of each change on the way from one combination to another.

    Other factors are compared at their combination's own precision: between two precisions the way
    leads over the default levels, at which precisions are compared.
    """
    legs = [(first, second, first.precision)]
    if first.precision != second.precision:
        legs = [(first, DEFAULT_ARM, first.precision), (DEFAULT_ARM, second, second.precision)]
        parts = (part for each in decisions for part in each.parts if part.factor == _PRECISION)
        yield _contrast(next(parts, None), first.precision, second.precision)
    for start, end, precision in legs:
        parts_at = {
            part.factor: part
            for each in decisions
            if each.combination.precision == precision
            for part in each.parts
        }
        for factor in _OTHERS:
            if start.level(factor) != end.level(factor):
                levels = (start.level(factor), end.level(factor))
                yield _contrast(parts_at.get(factor), *levels)


def _contrast(part: Part | None, first: str, second: str) -> Rival | None:
    """Return the gain of one level of a factor over another; None if it was not measured."""
    if part is None:
        return None
    known = {each.arm: each for each in part.rivals}
    known[part.level] = Rival(arm=part.level, log_gain=0.0, error=0.0)
    if first not in known or second not in known:
        return None
    gain = known[second].log_gain - known[first].log_gain
    error = math.hypot(known[first].error, known[second].error)
    # An arm whose gain is only known not to exceed 0 has no error.
    is_measured = math.isfinite(error) and error > 0
    return Rival(arm=second, log_gain=gain, error=error) if is_measured else None


def _sum(name: str, steps: Sequence[Rival | None]) -> Rival | None:
    """Return the gain of several changes together; None if there is none, or one is unknown."""
    known = [each for each in steps if each is not None]
    if not steps or len(known) < len(steps):
        return None
    total = math.fsum(each.log_gain for each in known)
    return Rival(arm=name, log_gain=total, error=math.hypot(*(each.error for each in known)))
