"""The first screen of the page: what to choose, how sure that is, and what each factor is worth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.analysis.decision import BEST, Decision
from bench.analysis.estimates import Interval
from bench.records.comparison import DEFAULT_ARM
from bench.records.row import Record
from bench.report.labels import DEFAULT_ARM_TEXT, choice_name, level_name, situation_name
from bench.report.page.forest import Axis
from bench.report.plots.canvas import RATIOS, WIDEST, ticks
from bench.report.tables.certificate import Cell, cells, certificate
from bench.report.tables.decision import choice_text, whole_text
from bench.report.tables.decision_notes import ratio
from bench.report.tables.decision_parts import effect_text
from bench.report.units import bound, milliseconds

# Share of the axis that a label needs on a phone.
_ROOM = 0.16
_MARGIN = 1.02
# The axis is at least this long, so that no effect of a percent fills it.
_LEAST_SPAN = 1.1
_ORDER = ("precision", "attention", "compile", "patcher")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the waterfall: a bar between two places, its interval, and both as text.

    Places are in percent of the axis. ``kind`` is ``gain``, ``loss``, ``rest`` (the default was
    kept; the interval is what another arm could gain), ``total`` or ``expected``.
    """

    name: str
    kind: str
    start: float
    end: float
    text: str
    low: float | None = None
    high: float | None = None

    @property
    def left(self) -> float:
        """Left end of the bar."""
        return min(self.start, self.end)

    @property
    def width(self) -> float:
        """Width of the bar."""
        return round(abs(self.end - self.start), 2)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer for one situation at one level, with a step for each factor."""

    name: str
    choice: str
    worth: str
    how_sure: str
    other: str
    ticks: tuple[tuple[float, str], ...]
    steps: tuple[Step, ...]


def answers(decisions: Sequence[Decision], spent_s: float) -> list[Answer]:
    """Return the best of each situation, each followed by the best at full precision."""
    found = sorted(range(len(decisions)), key=lambda at: _place(decisions, at))
    return [_answer(decisions[at], decisions, spent_s) for at in found]


def _place(decisions: Sequence[Decision], at: int) -> tuple[int, bool]:
    first = next(n for n, d in enumerate(decisions) if d.situation == decisions[at].situation)
    return first, decisions[at].level != BEST


def _answer(decision: Decision, decisions: Sequence[Decision], spent_s: float) -> Answer:
    is_best = decision.level == BEST
    full = [d for d in decisions if d.situation == decision.situation and d.level != BEST]
    name = situation_name(decision.situation)
    axis = _axis(decision)
    places = ticks(RATIOS, axis.low, axis.high, _ROOM)
    return Answer(
        name=name if is_best else f"{name}, {level_name(decision)}",
        choice=DEFAULT_ARM_TEXT if choice_name(decision) == "default" else choice_name(decision),
        worth=whole_text(decision),
        how_sure=certificate(decision, spent_s),
        other=" ".join(_other(each, spent_s) for each in full if is_best),
        ticks=tuple((axis.place(tick), f"×{tick:g}") for tick in places),
        steps=tuple(_steps(decision, axis)),
    )


def _other(full: Decision, spent_s: float) -> str:
    """The best at full precision, in a sentence below the best of all."""
    how_sure = certificate(full, spent_s, short=True)
    return f"{level_name(full).capitalize()}: {choice_text(full)}. {how_sure}".rstrip()


def _ordered(decision: Decision) -> list[Cell]:
    """The factors as they were decided: precision first."""
    names = [*_ORDER, *(part.factor for part in decision.parts if part.factor not in _ORDER)]
    return sorted(cells([decision]), key=lambda cell: names.index(cell.part.factor))


def _total(decision: Decision) -> tuple[Interval | None, bool]:
    """Speed-up of the combination, and whether it was measured as a whole."""
    if decision.speedup is not None:
        return decision.speedup, True
    return decision.expected, False


def _axis(decision: Decision) -> Axis:
    """An axis that holds every step; intervals are cut beyond WIDEST times their value."""
    values, at = [1.0], 1.0
    for cell in _ordered(decision):
        low, value, high = _reach(cell)
        values += [at * low, at * value, at * high]
        at *= value
    total, _ = _total(decision)
    if total is not None:
        values += [total.value, *_cut(total)]
    low, high = min(values) / _MARGIN, max(values) * _MARGIN
    return Axis(low=low, high=max(high, low * _LEAST_SPAN))


def _reach(cell: Cell) -> tuple[float, float, float]:
    """Low end, value and high end of a step, as factors of the speed before it."""
    if not cell.is_default:
        effect = cell.effect or Interval(1.0)
        low, high = _cut(effect)
        return low, effect.value, high
    most = cell.part.bound_of_whole if cell.is_by_latency else None
    return 1.0, 1.0, min(1 + (most or 0.0), WIDEST)


def _cut(interval: Interval) -> tuple[float, float]:
    value, low, high = interval.value, interval.low, interval.high
    ends = (value if low is None else low, value if high is None else high)
    return max(ends[0], value / WIDEST), min(ends[1], value * WIDEST)


def _steps(decision: Decision, axis: Axis) -> Iterator[Step]:
    """Yield the default, a step for each factor, and the choice as a whole."""
    default = decision.default
    one = axis.place(1.0)
    levels = DEFAULT_ARM_TEXT.partition("(")[2].rstrip(")")
    text = ": ".join(filter(None, (levels, milliseconds(default.latency_ms) if default else "")))
    yield Step(name="default", kind="total", start=one, end=one, text=text)
    at = 1.0
    for cell in _ordered(decision):
        yield _step(cell, at, axis)
        at *= _reach(cell)[1]
    yield from _whole(decision, axis)


def _step(cell: Cell, at: float, axis: Axis) -> Step:
    low, value, high = _reach(cell)
    kind = "rest" if cell.is_default else "gain" if value >= 1 else "loss"
    has_interval = not math.isclose(low, high)
    return Step(
        name=f"{cell.part.factor}: {cell.part.level}",
        kind=kind,
        start=axis.place(at),
        end=axis.place(at * value),
        text=_step_text(cell),
        low=axis.place(at * low) if has_interval else None,
        high=axis.place(at * high) if has_interval else None,
    )


def _step_text(cell: Cell) -> str:
    """What the choice is worth of the whole, and what another arm could be."""
    if cell.is_idle:
        return f"does not matter: at most {bound(cell.part.reach_of_whole)}"
    others = f"{cell.outcome if cell.is_open else 'others'}: {_most(cell)}" if _most(cell) else ""
    return "; ".join(filter(None, (effect_text(cell), others))) or "no arm is better"


def _most(cell: Cell) -> str:
    """The most that another arm could gain; '' if it is nothing, or if the choice has no bound."""
    most = cell.part.bound_of_whole
    if not cell.is_by_latency or most == 0:
        return ""
    return "unknown" if most is None else f"at most {bound(most)}"


def _whole_ms(row: Record, total: Interval) -> float | None:
    """Return the milliseconds of the whole with the combination."""
    return row.whole_ms / total.value if row.whole_ms else row.latency_ms


def _whole(decision: Decision, axis: Axis) -> Iterator[Step]:
    """Yield the bar of the combination; none if that is the default, or if it is unknown."""
    total, is_measured = _total(decision)
    if total is None or decision.combination == DEFAULT_ARM:
        return
    low, high = _cut(total)
    row = decision.combined
    parts = [ratio(total), milliseconds(_whole_ms(row, total)) if row else ""]
    text = ", ".join(filter(None, parts))
    name = "given up" if decision.is_refuted else "all together"
    yield Step(
        name=name if is_measured else f"{name}, expected",
        kind="total" if is_measured else "expected",
        start=axis.place(1.0),
        end=axis.place(total.value),
        text=text,
        low=axis.place(low),
        high=axis.place(high),
    )
