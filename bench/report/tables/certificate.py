"""How sure a choice is: what was not chosen could still gain, and what does not matter."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.decision import BEST, Decision
from bench.analysis.estimates import CONFIDENCE, Interval
from bench.analysis.gains import CHOSEN, DOES_NOT_MATTER, OPEN, Part
from bench.analysis.regret import interval_of
from bench.records.comparison import DEFAULT_ARM, OBJECTIVES
from bench.report.labels import grouped, situation_name
from bench.report.units import bound, duration

# A longer time to halve a bound is not printed.
_MOST_S = 2 * 3600.0
_SURE = f"({100 * CONFIDENCE:.0f} %)"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The choice of one factor in one situation, with its effect on the whole."""

    decision: Decision
    part: Part

    @property
    def is_default(self) -> bool:
        """Whether the default level was kept."""
        return self.part.level == DEFAULT_ARM.level(self.part.factor)

    @property
    def is_by_latency(self) -> bool:
        """Whether the choice is by latency: gains of the whole are bounded for no other."""
        return self.decision.objective == OBJECTIVES[0]

    @property
    def is_open(self) -> bool:
        """Whether another arm may be better."""
        return self.part.status == OPEN if self.is_by_latency else bool(self.part.contenders)

    @property
    def is_idle(self) -> bool:
        """Whether no arm of the factor changes the whole by more than delta."""
        return self.is_by_latency and self.part.status == DOES_NOT_MATTER

    @property
    def effect(self) -> Interval | None:
        """Speed-up of the whole over the default level; None if that was not measured."""
        usual = DEFAULT_ARM.level(self.part.factor)
        rival = next((each for each in self.part.rivals if each.arm == usual), None)
        return interval_of(rival) if rival else None

    @property
    def outcome(self) -> str:
        """``chosen``, ``does not matter``, or ``open`` and why."""
        if not self.is_open:
            return "does not matter" if self.is_idle else CHOSEN
        if self.part.contenders:
            return f"{OPEN} ({', '.join(self.part.contenders)})"
        return f"{OPEN} (only measured at {DEFAULT_ARM.precision})"


def cells(decisions: Sequence[Decision]) -> list[Cell]:
    """Return every factor of every decision, those that are open last."""
    found = [Cell(decision=each, part=part) for each in decisions for part in each.parts]
    return sorted(found, key=lambda cell: cell.is_open)


def has_bound(decision: Decision) -> bool:
    """Return whether a choice is bounded: it is by latency, measured and not given up."""
    return not (decision.objective != OBJECTIVES[0] or decision.has_no_data or decision.is_refuted)


def certificate(decision: Decision, spent_s: float, *, short: bool = False) -> str:
    """Return what could be gained beyond a choice, and the time that would halve that.

    ``spent_s`` are the seconds of the run so far. ``short`` leaves out what the sentence before has
    said; '' if the choice has no bound.
    """
    if not has_bound(decision):
        return ""
    if decision.regret_bound is None:
        names = [part.factor for part in decision.parts if part.bound_of_whole is None]
        return f"What another {' or '.join(names)} could gain of the model is unknown."
    most = bound(decision.regret_bound)
    first = f"What was not chosen could make the model at most {most} faster {_SURE}"
    more_s = decision.seconds_to_halve(spent_s)
    more = duration(more_s) if more_s is not None and 1 <= more_s <= _MOST_S else ""
    if short:
        return f"The rest: at most {most}" + (f"; {more} more would halve it." if more else ".")
    return first + (f"; {more} more would halve that." if more else ".")


def idle_lines(decisions: Sequence[Decision]) -> list[str]:
    """Return a sentence for each factor that does not matter, with the most that it could.

    The situations are named unless these are all.
    """
    found = cells([each for each in decisions if each.level == BEST and has_bound(each)])
    groups = grouped(found, lambda cell: cell.part.factor)
    return [
        _idle_line(factor, idle, is_everywhere=len(idle) == len(group))
        for factor, group in groups.items()
        if (idle := [cell for cell in group if cell.is_idle])
    ]


def _idle_line(factor: str, idle: Sequence[Cell], *, is_everywhere: bool) -> str:
    most = bound(max(cell.part.reach_of_whole or 0.0 for cell in idle))
    places = ", ".join(situation_name(cell.decision.situation) for cell in idle)
    where = "" if is_everywhere else f" ({places})"
    return f"{factor} does not matter: at most {most} of the model{where}."
