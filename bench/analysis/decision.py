"""What to choose: from the rows of a run to one combination of levels for each situation.

The rule, for each device, variant, mode and batch size:

1. An arm is admissible where its status is ``ok`` and its numeric error at most the one allowed.
2. A factor keeps its plain level unless an admissible arm is better by the objective: a verdict
   ``faster`` (latency), a ratio of throughputs whose interval lies above 1, at least 1 % less
   memory, at least 5 % less energy.
3. Of those that are better, the best is chosen, and of those that need alike much memory or energy
   the fastest. Others that may be more than 2 % better are named.
4. A factor that was measured at other batch sizes alone is judged by the nearest of them.
5. The combination is measured as a whole: effects do not simply multiply. One that fails, errs by
   more than is allowed, is slower than the plain arm or needs as much is given up for that.
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
    may_beat,
    speedup_of,
)
from bench.records.comparison import CHOICE, OBJECTIVES, PLAIN, Arm
from bench.records.row import Record

# What combines to one implementation. SGD is another algorithm than AdamW, not a faster way to it.
DECIDED = ("patcher", "attention", "compile", "precision", "checkpoint", "optimizer")
_OTHER_ALGORITHMS = ("sgd",)
# Of an arm that may not be chosen enough is known.
_KNOWN = Interval(1.0)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is wanted of an implementation. ``max_error`` bounds output and gradient errors."""

    objective: str = OBJECTIVES[0]
    max_error: float | None = None

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise ValueError(f"objective is {self.objective!r}; expected one of {known}")

    def admits(self, record: Record) -> bool:
        """Whether a row's arm may be chosen."""
        if record.status != "ok" or record.arm in _OTHER_ALGORITHMS:
            return False
        if self.max_error is None:
            return True
        # An error that nobody measured is not within a bound; forward has none of gradients.
        errors = (record.output_error, record.gradient_error)
        return record.output_error is not None and all(
            error is None or error <= self.max_error for error in errors
        )


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Where a decision is asked for."""

    device: str
    device_name: str
    variant: str
    patch_size: int | None
    image_size: int | None
    mode: str
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to choose in one situation, and what that was as a whole where it was measured.

    ``whole`` and ``plain`` are the rows of the combination and of what it is compared with;
    ``expected`` is the speed-up that its parts, measured one by one, let expect of it, ``gain`` how
    many times better it is by another objective than latency. Of one that is ``is_refuted`` the
    whole is no better than the plain arm, cannot be had, or ``errs`` by more than is allowed.
    """

    situation: Situation
    parts: tuple[Part, ...]
    objective: str = OBJECTIVES[0]
    whole: Record | None = None
    plain: Record | None = None
    expected: Interval | None = None
    gain: Interval | None = None
    is_refuted: bool = False
    errs: bool = False

    @property
    def arm(self) -> Arm:
        """What to choose."""
        return PLAIN if self.is_refuted else self.combination

    @property
    def combination(self) -> Arm:
        """What the parts let choose."""
        return replace(PLAIN, **{part.factor: part.level for part in self.parts})

    @property
    def speedup(self) -> Interval | None:
        """Of the whole over the plain arm; None where it was not measured."""
        if self.whole is None or self.whole.speedup is None:
            return None
        return Interval(self.whole.speedup, self.whole.speedup_low, self.whole.speedup_high)

    @property
    def is_blind(self) -> bool:
        """Whether nothing could be chosen: what is chosen by was not measured."""
        is_known = any(part.is_known for part in self.parts)
        return not is_known and any(part.is_blind for part in self.parts)

    @property
    def differs(self) -> bool:
        """Whether the intervals of the whole and of what its parts let expect share nothing."""
        found, expected = self.speedup, self.expected
        if found is None or expected is None or found.low is None or expected.low is None:
            return False
        return (found.high or math.inf) < expected.low or found.low > (expected.high or math.inf)


def decide(records: Sequence[Record], aim: Aim, repeats: Repeats) -> list[Decision]:
    """One decision for each situation of the rows; none for a user's own arms."""
    parts = [record for record in records if record.factor in DECIDED and record.variant]
    wholes = [record for record in records if record.factor == CHOICE]
    return [_decision(place, parts, wholes, aim, repeats) for place in _situations(parts)]


def _situations(records: Iterable[Record]) -> list[Situation]:
    """In the rows' order of variants, modes and batch sizes."""
    found = dict.fromkeys(situation(record) for record in records)
    variants = list(dict.fromkeys(each.variant for each in found))
    return sorted(found, key=lambda s: (s.device, variants.index(s.variant), s.mode, s.batch_size))


def situation(record: Record) -> Situation:
    """That of a row of vitcore."""
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
    wholes: Sequence[Record],
    aim: Aim,
    repeats: Repeats,
) -> Decision:
    by_factor = (_nearest([r for r in records if r.factor == name], place) for name in DECIDED)
    parts = tuple(_part(rows, aim) for rows in by_factor if rows)
    found = Decision(situation=place, parts=parts, objective=aim.objective)
    here = [record for record in wholes if situation(record) == place]
    plain = next((r for r in here if r.is_control), None)
    rest = [record for record in here if not record.is_control]
    whole = next((r for r in rest if r.arm == found.arm.as_part(r.component).choice), None)
    return replace(
        found,
        whole=whole,
        plain=plain,
        expected=expected_speedup(parts, plain or whole, place.batch_size, repeats),
        gain=gain_of(whole, plain, aim.objective) if whole and aim.objective != "latency" else None,
        is_refuted=whole is not None and _is_refuted(whole, plain, aim),
        errs=whole is not None and whole.status == "ok" and not aim.admits(whole),
    )


def _is_refuted(whole: Record, plain: Record | None, aim: Aim) -> bool:
    """Whether a combination is surely no better than the plain arm; what had no time is not."""
    if whole.status == "skipped":
        return False
    if not aim.admits(whole):
        return True
    gain = gain_of(whole, plain, aim.objective)
    if aim.objective in LEAST:
        return gain is not None and gain.value < LEAST[aim.objective]
    if aim.objective == "throughput" and whole.throughput_ratio is not None:
        return gain is not None and gain.high is not None and gain.high < 1
    return whole.verdict == "slower"


def _nearest(records: Sequence[Record], place: Situation) -> list[Record]:
    """One factor's rows at the situation's batch size, or else at the nearest that was measured."""
    anywhere = [r for r in records if replace(situation(r), batch_size=place.batch_size) == place]
    if not anywhere:
        return []
    sizes = {record.batch_size or 1 for record in anywhere}
    nearest = min(sizes, key=lambda size: abs(math.log(size / place.batch_size)))
    return [record for record in anywhere if (record.batch_size or 1) == nearest]


def _part(records: Sequence[Record], aim: Aim) -> Part:
    """What the rows of one factor at one workload say; the plain level where nothing is better."""
    control = next((record for record in records if record.is_control), None)
    rivals = [record for record in records if not record.is_control and aim.admits(record)]
    gains = {record.arm: gain_of(record, control, aim.objective) for record in rivals}
    better = [r for r in rivals if is_better(r, gains[r.arm], aim.objective)]
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
        rivals=tuple(r.arm for r in rivals if r is not best and may_beat(gains[r.arm], gain)),
        is_known=any(gains.values()),
        is_blind=(bool(gains) and not any(gains.values()))
        or (control is not None and control.status != "ok"),
        silent=tuple(each.arm for each in records if _is_silent(each, gains)),
    )


def _is_silent(record: Record, gains: Mapping[str, Interval | None]) -> bool:
    """Whether nobody knows how good an arm is, which might be chosen."""
    if record.is_control or record.arm in _OTHER_ALGORITHMS:
        return False
    return record.status not in ("ok", "wrong") or gains.get(record.arm, _KNOWN) is None
