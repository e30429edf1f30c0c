"""Choose the level of each factor in one situation, and bound what the others could gain."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.analysis.aim import OTHER_ALGORITHMS, Aim, Situation, nearest
from bench.analysis.estimates import Interval
from bench.analysis.gains import (
    NO_GAIN,
    OPEN,
    Part,
    Repeats,
    best_of,
    cell_status,
    gain_of,
    is_better,
    is_rival,
    rivals_of,
    speedup_of,
)
from bench.analysis.of_whole import effect_on_whole, gain_of_whole
from bench.analysis.regret import Rival, is_likely
from bench.records.comparison import DEFAULT_ARM, OBJECTIVES
from bench.records.errors import FAR, FAR_SLOWER, OUT_OF_TIME
from bench.records.row import Record

# Factors that combine to one implementation.
DECIDED = ("patcher", "attention", "compile", "precision", "checkpoint", "optimizer")
_PRECISION = "precision"
# Stands for the gain of an arm that is not admissible and so needs none.
_KNOWN = Interval(1.0)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How to choose: the aim, the instances of parts, and what does not matter of the whole."""

    aim: Aim
    repeats: Repeats
    delta: float


def choose_parts(
    place: Situation,
    records: Sequence[Record],
    whole: Record | None,
    rule: Rule,
    *,
    full_precision: bool,
) -> tuple[Part, ...]:
    """Choose the precision, unless it is to be full; then every other factor at it.

    ``whole`` is a row of the whole model with the default arm, if there is one.
    """
    found = []
    rows = nearest([r for r in records if r.factor == _PRECISION], place)
    if rows and not full_precision:
        found.append(_Arms(rows, whole, rule, place).part)
    precision = found[0].level if found else DEFAULT_ARM.precision
    for name in (name for name in DECIDED if name != _PRECISION):
        own = [r for r in records if r.factor == name]
        if at := nearest([r for r in own if r.precision == precision], place):
            found.append(_Arms(at, whole, rule, place).part)
        elif other := nearest([r for r in own if r.precision == DEFAULT_ARM.precision], place):
            # Judged at another precision than the one that will be run.
            found.append(replace(_Arms(other, whole, rule, place).part, status=OPEN))
    return tuple(sorted(found, key=lambda part: DECIDED.index(part.factor)))


class _Arms:
    """The rows of one factor at one workload."""

    def __init__(
        self, rows: Sequence[Record], whole: Record | None, rule: Rule, place: Situation
    ) -> None:
        self.rows, self.rule, self.objective = rows, rule, rule.aim.objective
        self.controls = {r.component: r for r in rows if r.is_control}
        self.contenders = [r for r in rows if not r.is_control and rule.aim.admits(r)]
        self.gains = {
            r.arm: gain_of(r, self.controls.get(r.component), self.objective)
            for r in self.contenders
        }
        self.of_whole = {
            r.arm: gain_of_whole(r, whole, rule.repeats, place.batch_size) for r in self.contenders
        }

    @property
    def part(self) -> Part:
        """The choice; by default the default level."""
        best, first = self.best, self.best or self.rows[0]
        control = next(iter(self.controls.values()), None)
        has_gain = any(self.gains.values())
        return Part(
            factor=first.factor,
            level=self.level,
            gain=(best and self.gains[best.arm]) or NO_GAIN,
            speedup=(best and speedup_of(best)) or NO_GAIN,
            component=first.component,
            batch_size=first.batch_size or 1,
            baseline_ms=control.latency_ms if control else None,
            contenders=self.may_be_better,
            of_whole=effect_on_whole(best) if best else None,
            rivals=self.rivals,
            status=cell_status(self.rivals, self.rule.delta, is_default=self.best is None),
            is_known=has_gain,
            has_no_data=(bool(self.gains) and not has_gain)
            or (control is not None and control.status != "ok"),
            unmeasured=tuple(r.arm for r in self.rows if _is_unmeasured(r, self.gains)),
        )

    @cached_property
    def best(self) -> Record | None:
        """The row of the arm to choose instead of the default; None: the default."""
        better = [r for r in self.contenders if self._is_better(r) and self._matters(r.arm)]
        wholes = {r.arm: self.of_whole[r.arm] for r in better}
        is_by_whole = self.objective == OBJECTIVES[0] and all(wholes.values())
        return best_of(better, wholes if is_by_whole else self.gains, self.objective)

    def _is_better(self, row: Record) -> bool:
        """Return whether an arm may replace the default level.

        By latency it is likely to make the whole faster; a precision, which costs accuracy, needs a
        verdict, as does an arm whose effect of the whole is unknown.
        """
        whole = self.of_whole[row.arm]
        if self.objective == OBJECTIVES[0] and row.factor != _PRECISION and whole is not None:
            return is_likely(whole)
        return is_better(row, self.gains[row.arm], self.objective)

    @property
    def level(self) -> str:
        """The chosen level."""
        return self.best.arm if self.best else self.rows[0].baseline

    @cached_property
    def rivals(self) -> tuple[Rival, ...]:
        """The other arms; one that lacked time may gain anything, one that lost by far nothing."""
        known = {arm: gain for arm, gain in self.of_whole.items() if gain is not None}
        gains = {self.rows[0].baseline: NO_GAIN, **known}
        unknown = {*self._late, *(arm for arm, gain in self.of_whole.items() if gain is None)}
        missing = (
            Rival(arm=arm, log_gain=0.0, error=math.inf) for arm in sorted(unknown - {self.level})
        )
        lost = (Rival(arm=arm, log_gain=-math.log(FAR), error=0.0) for arm in self._lost)
        if self.level not in gains:
            return (*lost, *missing)
        kept = {arm: gain for arm, gain in gains.items() if arm not in unknown}
        known = {**kept, self.level: gains[self.level]}
        return (*rivals_of(known, self.level), *lost, *missing)

    @property
    def may_be_better(self) -> tuple[str, ...]:
        """Arms that may be better than the choice by more than what does not matter."""
        if self.objective == OBJECTIVES[0]:
            count, delta = len(self.rivals), self.rule.delta
            return tuple(each.arm for each in self.rivals if each.upper(count) > delta)
        gain = self.gains[self.best.arm] if self.best else None
        others = (r for r in self.contenders if r is not self.best)
        return tuple(r.arm for r in others if is_rival(r, self.gains[r.arm], gain, self.objective))

    @property
    def _late(self) -> set[str]:
        """Arms that only lacked time."""
        rows = (r for r in self.rows if r.arm not in OTHER_ALGORITHMS)
        return {r.arm for r in rows if r.error in OUT_OF_TIME}

    @property
    def _lost(self) -> list[str]:
        """Arms left out since they were slower by far on a smaller workload."""
        return [r.arm for r in self.rows if _has_lost(r)]

    def _matters(self, arm: str) -> bool:
        """Return whether an arm can change the whole by more than delta; by latency alone."""
        gain = self.of_whole[arm]
        if self.objective != OBJECTIVES[0] or gain is None or gain.high is None:
            return True
        return gain.high > 1 + self.rule.delta


def _has_lost(record: Record) -> bool:
    """Return whether an arm was left out since it was slower by far on a smaller workload."""
    return (record.error or "").startswith(FAR_SLOWER)


def _is_unmeasured(record: Record, gains: Mapping[str, Interval | None]) -> bool:
    """Return whether an arm that might be chosen has no measurement to choose by."""
    if record.is_control or record.arm in OTHER_ALGORITHMS or _has_lost(record):
        return False
    return record.status not in ("ok", "wrong") or gains.get(record.arm, _KNOWN) is None
