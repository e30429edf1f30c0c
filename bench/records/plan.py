"""What a run, a pass and a survey are told, as records. Standard library only."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.records.comparison import CHOICE, DELTA, OBJECTIVES, Comparison


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a run chose to measure as a whole, in so many passes."""

    comparisons: tuple[Comparison, ...]
    passes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run was asked for.

    ``run_id`` is the folder's name, ``command`` the command line that repeats it, ``started`` the
    time in ISO 8601. ``passes`` are the least; more follow while ``budget_s`` lasts, until every
    interval is as narrow as ``precision`` either way (0.01 is one percent; None: no more). With
    ``each_s`` every comparison gets so many seconds to measure over all passes, whatever the rest
    takes. ``weights`` multiply a comparison's share of the time, ``delta`` is the difference below
    which arms count as equivalent, ``case_timeout_s`` what one comparison may take in one pass.
    ``directory`` is the folder from which a user named arms of their own, ``commit`` what is
    checked out there, which ``has_changes`` or not, ``sources`` the digests of their files, by
    paths from there. With ``survey``
    each arm is also looked at alone, with ``choose`` what the rows let choose by ``objective``,
    among arms of at most ``max_error``, is measured as a whole; in ``choice_passes``, once the run
    knows how many it has time for. With ``gate`` no further pass goes to what is surely less or
    more slower than that.
    """

    run_id: str
    started: str
    command: str
    passes: int
    seed: int
    budget_s: float
    precision: float | None = None
    delta: float = DELTA
    case_timeout_s: float = 300.0
    each_s: float | None = None
    weights: dict[str, float] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...]
    directory: Path | None = None
    commit: str | None = None
    has_changes: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    survey: bool = False
    choose: bool = False
    objective: str = OBJECTIVES[0]
    max_error: float | None = None
    choice_passes: int = 0
    gate: float | None = None

    @property
    def measured_first(self) -> tuple[Comparison, ...]:
        """What was asked for, without what the run chose since."""
        return tuple(each for each in self.comparisons if each.factor != CHOICE)
