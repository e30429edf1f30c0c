"""Decide: from the rows of a run to one combination of levels for each situation and level.

The rule, for each device, variant, mode and batch size:

1. An arm is admissible if its status is ``ok`` and its numeric error is within the bound.
2. Precision is chosen first; every other factor is judged at the precision that is chosen, and
   once more at full precision, which gives a second answer.
3. A factor keeps its default level unless an admissible arm is better by the objective: a verdict
   ``faster`` whose effect on the whole model can exceed delta (latency), a ratio of throughputs
   with an interval above 1, at least 1 % less memory, at least 5 % less energy.
4. The best of the better arms is chosen; of those with nearly equal memory or energy, the fastest.
   What the others could still gain of the whole is bounded; those that could gain more than delta
   are named as contenders.
5. A factor measured only at other batch sizes is judged at the nearest of them.
6. The combination is measured as one arm, because effects do not simply multiply. The default arm
   replaces a combination that fails, exceeds the error bound, or is not better.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.estimates import Interval
from bench.analysis.gains import (
    LEAST,
    OPEN,
    WHOLES,
    Part,
    Repeats,
    best_of,
    cell_status,
    expected_speedup,
    gain_of,
    gain_of_whole,
    is_better,
    is_rival,
    rivals_of,
    speedup_of,
)
from bench.analysis.regret import Rival, combined_bound, seconds_to_halve
from bench.records.comparison import CHOICE, DEFAULT_ARM, DELTA, MODEL, OBJECTIVES, Arm
from bench.records.errors import OUT_OF_TIME
from bench.records.row import Record

# Factors that combine to one implementation.
DECIDED = ("patcher", "attention", "compile", "precision", "checkpoint", "optimizer")
# The two answers: the best combination at full precision, and the best of all.
FULL, BEST = LEVELS = ("best_full_precision", "best")
_PRECISION = "precision"
# SGD is another algorithm than AdamW, not a faster implementation.
_OTHER_ALGORITHMS = ("sgd",)
# Stands for the gain of an arm that is not admissible and so needs none.
_KNOWN = Interval(1.0)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """Objective of the choice; ``max_error`` bounds output and gradient errors."""

    objective: str = OBJECTIVES[0]
    max_error: float | None = None

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise ValueError(f"objective is {self.objective!r}; expected one of {known}")

    def admits(self, record: Record) -> bool:
        """Return whether a row's arm may be chosen."""
        if record.status != "ok" or record.arm in _OTHER_ALGORITHMS:
            return False
        if self.max_error is None:
            return True
        # An unmeasured error is not within a bound; forward has no gradient error.
        errors = (record.output_error, record.gradient_error)
        return record.output_error is not None and all(
            error is None or error <= self.max_error for error in errors
        )


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Device, model, mode and batch size of one decision."""

    device: str
    variant: str
    patch_size: int | None
    image_size: int | None
    mode: str
    batch_size: int


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
    def speedup(self) -> Interval | None:
        """Speed-up of the combination over the default arm; None if not measured."""
        return None if self.combined is None else speedup_of(self.combined)

    @property
    def has_no_data(self) -> bool:
        """Whether there is nothing to choose by: the objective was not measured."""
        is_known = any(part.is_known for part in self.parts)
        return not is_known and any(part.has_no_data for part in self.parts)

    @property
    def differs(self) -> bool:
        """Whether the measured and the expected speed-up differ, by their difference's interval."""
        found, expected = self.speedup, self.expected
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
    rule = _Rule(aim=aim, repeats=repeats, delta=delta)
    found = []
    for place in _situations(parts):
        best = _decision(place, parts, wholes, rule, BEST)
        if best.combination.precision != DEFAULT_ARM.precision:
            found.append(_decision(place, parts, wholes, rule, FULL))
        found.append(best)
    return found


@dataclass(frozen=True, kw_only=True)
class _Rule:
    aim: Aim
    repeats: Repeats
    delta: float


def _is_whole(record: Record) -> bool:
    """Return whether a row compares whole models, or blocks that stand for them."""
    is_inside = record.cache == MODEL and record.component != "model"
    return record.factor in DECIDED and record.component in WHOLES and not is_inside


def _situations(records: Iterable[Record]) -> list[Situation]:
    """Return the situations of rows by device, variant (in the rows' order), mode, batch size."""
    found = dict.fromkeys(situation(record) for record in records)
    variants = list(dict.fromkeys(each.variant for each in found))
    return sorted(found, key=lambda s: (s.device, variants.index(s.variant), s.mode, s.batch_size))


def situation(record: Record) -> Situation:
    """Return the situation of a row of vitcore."""
    return Situation(
        device=record.device,
        variant=record.variant or "",
        patch_size=record.patch_size,
        image_size=record.image_size,
        mode=record.mode,
        batch_size=record.batch_size or 1,
    )


def _decision(
    place: Situation,
    records: Sequence[Record],
    wholes: Sequence[Record],
    rule: _Rule,
    level: str,
) -> Decision:
    here = [record for record in wholes if situation(record) == place]
    default = _default_row(here)
    parts = _parts(place, records, default, rule, level)
    found = Decision(
        situation=place,
        device_name=next((r.device_name for r in records if r.device == place.device), ""),
        parts=parts,
        level=level,
        objective=rule.aim.objective,
    )
    combined = _combined(found, here)
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


def _parts(
    place: Situation,
    records: Sequence[Record],
    whole: Record | None,
    rule: _Rule,
    level: str,
) -> tuple[Part, ...]:
    """Choose the precision, unless it is to be full; then every other factor at it."""
    found = []
    rows = _nearest([r for r in records if r.factor == _PRECISION], place)
    if rows and level == BEST:
        found.append(_part(rows, whole, rule, place))
    precision = found[0].level if found else DEFAULT_ARM.precision
    for name in (name for name in DECIDED if name != _PRECISION):
        own = [r for r in records if r.factor == name]
        if at := _nearest([r for r in own if r.precision == precision], place):
            found.append(_part(at, whole, rule, place))
        elif other := _nearest([r for r in own if r.precision == DEFAULT_ARM.precision], place):
            # Judged at another precision than the one that will be run.
            found.append(replace(_part(other, whole, rule, place), status=OPEN))
    return tuple(sorted(found, key=lambda part: DECIDED.index(part.factor)))


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


def _nearest(records: Sequence[Record], place: Situation) -> list[Record]:
    """Return a factor's rows at the situation's batch size, or at the nearest measured."""
    anywhere = [r for r in records if replace(situation(r), batch_size=place.batch_size) == place]
    if not anywhere:
        return []
    sizes = {record.batch_size or 1 for record in anywhere}
    nearest = min(sizes, key=lambda size: abs(math.log(size / place.batch_size)))
    return [record for record in anywhere if (record.batch_size or 1) == nearest]


def _part(records: Sequence[Record], whole: Record | None, rule: _Rule, place: Situation) -> Part:
    """Choose a level by the rows of one factor at one workload; by default the default level."""
    aim, objective = rule.aim, rule.aim.objective
    controls = {r.component: r for r in records if r.is_control}
    control = next(iter(controls.values()), None)
    contenders = [r for r in records if not r.is_control and aim.admits(r)]
    gains = {r.arm: gain_of(r, controls.get(r.component), objective) for r in contenders}
    of_whole = {r.arm: gain_of_whole(r, whole, rule.repeats, place.batch_size) for r in contenders}
    better = [
        r
        for r in contenders
        if is_better(r, gains[r.arm], objective) and _matters(of_whole[r.arm], rule)
    ]
    best = best_of(better, gains, objective)
    gain = gains[best.arm] if best else None
    first = best or records[0]
    unmeasured = tuple(each.arm for each in records if _is_unmeasured(each, gains))
    default_level = records[0].baseline
    level = best.arm if best else default_level
    late = [r.arm for r in records if r.error in OUT_OF_TIME and r.arm not in _OTHER_ALGORITHMS]
    rivals = _rivals(of_whole, late, default_level, level)
    status = cell_status(rivals, rule.delta)
    if objective == OBJECTIVES[0]:
        may = tuple(each.arm for each in rivals if each.upper(len(rivals)) > rule.delta)
    else:
        may = tuple(
            r.arm
            for r in contenders
            if r is not best and is_rival(r, gains[r.arm], gain, objective)
        )
    return Part(
        factor=first.factor,
        level=level,
        gain=gain or Interval(1.0, 1.0, 1.0),
        speedup=(best and speedup_of(best)) or Interval(1.0, 1.0, 1.0),
        component=first.component,
        batch_size=first.batch_size or 1,
        baseline_ms=control.latency_ms if control else None,
        contenders=may,
        of_whole=_measured_of_whole(best),
        rivals=rivals,
        status=status,
        is_known=any(gains.values()),
        has_no_data=(bool(gains) and not any(gains.values()))
        or (control is not None and control.status != "ok"),
        unmeasured=unmeasured,
    )


def _measured_of_whole(best: Record | None) -> Interval | None:
    """Return the speed-up of the whole by the chosen arm, if its part's share was measured."""
    if best is None or best.of_whole is None:
        return None
    values = (best.of_whole, best.of_whole_low, best.of_whole_high)
    value, low, high = (None if each is None else 1 + each for each in values)
    return Interval(value or 1.0, low, high)


def _matters(of_whole: Interval | None, rule: _Rule) -> bool:
    """Return whether an arm can change the whole by more than delta; by latency alone."""
    if rule.aim.objective != OBJECTIVES[0] or of_whole is None or of_whole.high is None:
        return True
    return of_whole.high > 1 + rule.delta


def _rivals(
    of_whole: Mapping[str, Interval | None],
    late: Sequence[str],
    default_level: str,
    level: str,
) -> tuple[Rival, ...]:
    """Return the rivals of a choice; an arm that lacked time may gain anything."""
    known = {arm: gain for arm, gain in of_whole.items() if gain is not None}
    gains = {default_level: Interval(1.0, 1.0, 1.0), **known}
    unknown = {*late, *(arm for arm, gain in of_whole.items() if gain is None)}
    missing = (Rival(arm=a, log_gain=0.0, error=math.inf) for a in sorted(unknown - {level}))
    if level not in gains:
        return tuple(missing)
    kept = {arm: gain for arm, gain in gains.items() if arm not in unknown}
    return (*rivals_of({**kept, level: gains[level]}, level), *missing)


def _is_unmeasured(record: Record, gains: Mapping[str, Interval | None]) -> bool:
    """Return whether an arm that might be chosen has no measurement to choose by."""
    if record.is_control or record.arm in _OTHER_ALGORITHMS:
        return False
    return record.status not in ("ok", "wrong") or gains.get(record.arm, _KNOWN) is None
