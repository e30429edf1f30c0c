"""Decide: from the rows of a run to one combination of levels for each situation.

The rule, for each device, variant, mode and batch size:

1. An arm is admissible if its status is ``ok`` and its numeric error is within the bound.
2. A factor keeps its default level unless an admissible arm is better by the objective: a verdict
   ``faster`` (latency), a ratio of throughputs with an interval above 1, at least 1 % less memory,
   at least 5 % less energy.
3. The best of the better arms is chosen; of those with nearly equal memory or energy, the fastest.
   Others that may be more than 2 % better are named as contenders.
4. A factor measured only at other batch sizes is judged at the nearest of them.
5. The combination is measured as one arm, because effects do not simply multiply. The default arm
   replaces a combination that fails, exceeds the error bound, or is not better.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis.estimates import Interval
from bench.analysis.gains import (
    LEAST,
    Part,
    Repeats,
    best_of,
    expected_speedup,
    gain_of,
    is_better,
    is_rival,
    speedup_of,
)
from bench.records.comparison import CHOICE, DEFAULT_ARM, OBJECTIVES, Arm
from bench.records.row import Record

# Factors that combine to one implementation.
DECIDED = ("patcher", "attention", "compile", "precision", "checkpoint", "optimizer")
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
    device_name: str
    variant: str
    patch_size: int | None
    image_size: int | None
    mode: str
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The choice in one situation, and the measurement of the combination, if there is one.

    ``combined`` and ``default`` are the rows of the combination and of the default arm;
    ``expected`` is the speed-up expected from its parts, measured one by one, ``gain`` the
    improvement by an objective other than latency, as a factor. ``is_refuted``: the combination is
    not better than the default arm, did not run, or ``errs``: exceeds the error bound.
    """

    situation: Situation
    parts: tuple[Part, ...]
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


def decide(records: Sequence[Record], aim: Aim, repeats: Repeats) -> list[Decision]:
    """Return one decision for each situation of the rows; none for a user's own arms."""
    parts = [record for record in records if record.factor in DECIDED and record.variant]
    combinations = [record for record in records if record.factor == CHOICE]
    return [_decision(place, parts, combinations, aim, repeats) for place in _situations(parts)]


def _situations(records: Iterable[Record]) -> list[Situation]:
    """Return the situations of rows by device, variant (in the rows' order), mode, batch size."""
    found = dict.fromkeys(situation(record) for record in records)
    variants = list(dict.fromkeys(each.variant for each in found))
    return sorted(found, key=lambda s: (s.device, variants.index(s.variant), s.mode, s.batch_size))


def situation(record: Record) -> Situation:
    """Return the situation of a row of vitcore."""
    return Situation(
        device=record.device,
        device_name=record.device_name,
        variant=record.variant or "",
        patch_size=record.patch_size,
        image_size=record.image_size,
        mode=record.mode,
        batch_size=record.batch_size or 1,
    )


def _decision(
    place: Situation,
    records: Sequence[Record],
    combinations: Sequence[Record],
    aim: Aim,
    repeats: Repeats,
) -> Decision:
    by_factor = (_nearest([r for r in records if r.factor == name], place) for name in DECIDED)
    parts = tuple(_part(rows, aim) for rows in by_factor if rows)
    found = Decision(situation=place, parts=parts, objective=aim.objective)
    here = [record for record in combinations if situation(record) == place]
    default = next((r for r in here if r.is_control), None)
    rest = [record for record in here if not record.is_control]
    combined = next((r for r in rest if r.arm == found.arm.as_part(r.component).choice), None)
    return replace(
        found,
        combined=combined,
        default=default,
        expected=expected_speedup(parts, default or combined, place.batch_size, repeats),
        gain=_gain(combined, default, aim.objective),
        is_refuted=combined is not None and _is_refuted(combined, default, aim),
        errs=combined is not None and combined.status == "ok" and not aim.admits(combined),
    )


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


def _part(records: Sequence[Record], aim: Aim) -> Part:
    """Choose a level by the rows of one factor at one workload; by default the default level."""
    control = next((record for record in records if record.is_control), None)
    contenders = [record for record in records if not record.is_control and aim.admits(record)]
    gains = {record.arm: gain_of(record, control, aim.objective) for record in contenders}
    better = [r for r in contenders if is_better(r, gains[r.arm], aim.objective)]
    best = best_of(better, gains, aim.objective)
    gain = gains[best.arm] if best else None
    first = records[0]
    return Part(
        factor=first.factor,
        level=best.arm if best else first.baseline,
        gain=gain or Interval(1.0, 1.0, 1.0),
        speedup=(best and speedup_of(best)) or Interval(1.0, 1.0, 1.0),
        component=first.component,
        batch_size=first.batch_size or 1,
        baseline_ms=control.latency_ms if control else None,
        contenders=tuple(
            r.arm
            for r in contenders
            if r is not best and is_rival(r, gains[r.arm], gain, aim.objective)
        ),
        is_known=any(gains.values()),
        has_no_data=(bool(gains) and not any(gains.values()))
        or (control is not None and control.status != "ok"),
        unmeasured=tuple(each.arm for each in records if _is_unmeasured(each, gains)),
    )


def _is_unmeasured(record: Record, gains: Mapping[str, Interval | None]) -> bool:
    """Return whether an arm that might be chosen has no measurement to choose by."""
    if record.is_control or record.arm in _OTHER_ALGORITHMS:
        return False
    return record.status not in ("ok", "wrong") or gains.get(record.arm, _KNOWN) is None
