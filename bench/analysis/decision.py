"""Decide: from the rows of a run to one combination of levels for each situation and level.

The rule, for each device, variant, mode and batch size:

1. An arm is admissible if its status is ``ok`` and its numeric error is within the bound.
2. Precision is chosen first; every other factor is judged at the precision that is chosen, and
   once more at full precision, which gives a second answer.
3. A factor keeps its default level unless an admissible arm is better by the objective: likely to
   make the whole model faster, by possibly more than delta (latency; a precision, which costs
   accuracy, needs a verdict ``faster``), a ratio of throughputs with an interval above 1, at least
   1 % less memory, at least 5 % less energy.
4. The best of the better arms is chosen; of those with nearly equal memory or energy, the fastest.
   What the others could still gain of the whole is bounded; those that could gain more than delta
   are named as contenders.
5. A factor measured only at other batch sizes is judged at the nearest of them.
6. The combination is measured as one arm, because effects do not simply multiply; one that differs
   in a single part is that part's row, if it was measured inside the model. There its speed-up is
   the weighted mean of its own measurement and that of its parts, unless the two differ. The
   default arm replaces a combination that fails, exceeds the error bound, or is not better.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.analysis.aim import Aim, Situation, situation, situations
from bench.analysis.choosing import DECIDED, Rule, choose_parts
from bench.analysis.estimates import Interval
from bench.analysis.gains import (
    LEAST,
    WHOLES,
    Part,
    Repeats,
    gain_of,
    speedup_of,
)
from bench.analysis.of_whole import effect_on_whole, expected_speedup
from bench.analysis.regret import combined_bound, mean_of, seconds_to_halve
from bench.records.comparison import CHOICE, DEFAULT_ARM, DELTA, OBJECTIVES, Arm
from bench.records.row import Record

# The two answers: the best combination at full precision, and the best of all.
FULL, BEST = LEVELS = ("best_full_precision", "best")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The choice in one situation, and the measurement of the combination, if there is one.

    ``level`` is one of LEVELS.
    ``combined`` and ``default`` are the rows of the combination and of the default arm;
    ``expected`` is the speed-up expected from its parts, measured one by one, ``gain`` the
    improvement by an objective other than latency, as a factor. ``is_refuted``: the combination is
    not better than the default arm, did not run, or ``errs``: exceeds the error bound.
    """

    situation: Situation
    device_name: str = ""
    parts: tuple[Part, ...]
    level: str = BEST
    objective: str = OBJECTIVES[0]
    combined: Record | None = None
    default: Record | None = None
    expected: Interval | None = None
    gain: Interval | None = None
    is_refuted: bool = False
    errs: bool = False

    @property
    def arm(self) -> Arm:
        """The arm to choose."""
        return DEFAULT_ARM if self.is_refuted else self.combination

    @property
    def combination(self) -> Arm:
        """The combination of the levels chosen for each factor."""
        return replace(DEFAULT_ARM, **{part.factor: part.level for part in self.parts})

    @property
    def regret_bound(self) -> float | None:
        """Largest gain of the whole by what was not chosen, at 95 %; None if unknown."""
        bound = combined_bound([part.rivals for part in self.parts])
        return bound if math.isfinite(bound) and self.parts else None

    def seconds_to_halve(self, spent_s: float) -> float | None:
        """Return the further seconds that halve the bound, after ``spent_s`` of measuring."""
        return seconds_to_halve([part.rivals for part in self.parts], spent_s)

    @property
    def measured(self) -> Interval | None:
        """Speed-up of the combination as a whole over the default arm; None if not measured."""
        row = self.combined
        return None if row is None else effect_on_whole(row) or speedup_of(row)

    @property
    def speedup(self) -> Interval | None:
        """Best estimate of that speed-up; None if the combination was not measured as a whole.

        Inside the model the combination and its parts are two measurements of one number: their
        weighted mean, unless they differ.
        """
        found, expected, row = self.measured, self.expected, self.combined
        is_inside = row is not None and row.factor == CHOICE and row.is_inside
        if not is_inside or found is None or expected is None or self.differs:
            return found
        return mean_of(found, expected)

    @property
    def has_no_data(self) -> bool:
        """Whether there is nothing to choose by: the objective was not measured."""
        is_known = any(part.is_known for part in self.parts)
        return not is_known and any(part.has_no_data for part in self.parts)

    @property
    def differs(self) -> bool:
        """Whether the measured and the expected speed-up differ, by their difference's interval."""
        found, expected = self.measured, self.expected
        if found is None or expected is None or not (found.low and expected.low):
            return False
        halves = (
            math.log((each.high or math.inf) / (each.low or 1)) / 2 for each in (found, expected)
        )
        return abs(math.log(found.value / expected.value)) > math.hypot(*halves)


def decide(
    records: Sequence[Record], aim: Aim, repeats: Repeats, delta: float = DELTA
) -> list[Decision]:
    """Return the decisions for each situation of the rows; none for a user's own arms.

    The best at full precision comes before the best of all, and is left out where both are one.
    """
    parts = [record for record in records if record.factor in DECIDED and record.variant]
    wholes = [each for each in records if each.factor == CHOICE or _is_whole(each)]
    rule = Rule(aim=aim, repeats=repeats, delta=delta)
    found = []
    for place in situations(parts):
        best = _decision(place, parts, wholes, rule, BEST)
        if best.combination.precision != DEFAULT_ARM.precision:
            found.append(_decision(place, parts, wholes, rule, FULL))
        found.append(best)
    return found


def both_levels(decision: Decision) -> Iterator[Decision]:
    """Yield a decision at its level, and a best of all at full precision also as the best there."""
    if decision.level == BEST and decision.combination.precision == DEFAULT_ARM.precision:
        yield replace(decision, level=FULL)
    yield decision


def _is_whole(record: Record) -> bool:
    """Return whether a row compares whole models with the default arm, or blocks for them."""
    is_default = not record.common_precision and not record.is_inside
    return is_default and record.factor in DECIDED and record.component in WHOLES


def _decision(
    place: Situation,
    records: Sequence[Record],
    wholes: Sequence[Record],
    rule: Rule,
    level: str,
) -> Decision:
    here = [record for record in wholes if situation(record) == place]
    default = _default_row(here)
    parts = choose_parts(place, records, default, rule, full_precision=level == FULL)
    found = Decision(
        situation=place,
        device_name=next((r.device_name for r in records if r.device == place.device), ""),
        parts=parts,
        level=level,
        objective=rule.aim.objective,
    )
    combined = _combined(found, here) or _only_part(found, records)
    base = None if combined is None else _control_of(combined, here)
    return replace(
        found,
        combined=combined,
        default=base or default,
        expected=expected_speedup(parts, default or combined, place.batch_size, rule.repeats),
        gain=_gain(combined, base, rule.aim.objective),
        is_refuted=combined is not None and _is_refuted(combined, base, rule.aim),
        errs=combined is not None and combined.status == "ok" and not rule.aim.admits(combined),
    )


def _default_row(here: Sequence[Record]) -> Record | None:
    """Return the row of the default arm as a whole, preferably that of the choice."""
    controls = sorted((r for r in here if r.is_control), key=lambda r: r.factor != CHOICE)
    return next((r for r in controls if r.latency_ms), next(iter(controls), None))


def _control_of(combined: Record, here: Sequence[Record]) -> Record | None:
    return next((r for r in here if r.is_control and r.factor == combined.factor), None)


def _combined(found: Decision, here: Sequence[Record]) -> Record | None:
    """Return the row of the combination as a whole: its own, or that of its only factor."""
    candidates = [record for record in here if not record.is_control]
    for record in sorted(candidates, key=lambda r: r.factor != CHOICE):
        arm = found.combination.as_part(record.component)
        name = record.arm
        if record.factor != CHOICE:
            name = replace(DEFAULT_ARM, **{record.factor: record.arm}).choice
        if name == arm.choice:
            return record
    return None


def _only_part(found: Decision, records: Sequence[Record]) -> Record | None:
    """Return the row of the only factor of a combination that was measured inside the model."""
    changed = [part for part in found.parts if part.level != DEFAULT_ARM.level(part.factor)]
    if len(changed) != 1 or changed[0].of_whole is None:
        return None
    (part,) = changed
    rows = (
        record
        for record in records
        if (situation(record), record.factor, record.arm)
        == (found.situation, part.factor, part.level)
        and record.is_inside
        and not record.common_precision
    )
    return next(rows, None)


def _gain(combined: Record | None, default: Record | None, objective: str) -> Interval | None:
    """Return the gain of a combination by an objective other than latency."""
    if combined is None or objective == "latency":
        return None
    return gain_of(combined, default, objective)


def _is_refuted(combined: Record, default: Record | None, aim: Aim) -> bool:
    """Return whether a combination, unless it was skipped, is certainly not better."""
    if combined.status == "skipped":
        return False
    if not aim.admits(combined):
        return True
    gain = gain_of(combined, default, aim.objective)
    if aim.objective in LEAST:
        return gain is not None and gain.value < LEAST[aim.objective]
    if aim.objective == "throughput" and combined.throughput_ratio is not None:
        return gain is not None and gain.high is not None and gain.high < 1
    return combined.verdict == "slower"
