"""Plan of a run, and what a run chooses to measure beyond it. Standard library only."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.records.comparison import CHOICE, DELTA, OBJECTIVES, Comparison


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Comparisons that a run chose by its rows: of combinations, or at another precision."""

    comparisons: tuple[Comparison, ...]
    """Controls and candidates."""
    passes: int
    """Number of passes that measure them; 0: further passes do, beside the parts of their model."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Instructions for a run: comparisons, order, time, and the rules by which it stops."""

    run_id: str
    """Name of the run's folder."""
    started: str
    """Time of the start, in ISO 8601 with its offset from UTC."""
    command: str
    """Command line that repeats the run."""
    passes: int
    """Least number of passes; with ``precision`` further ones follow."""
    seed: int
    """Seed of the order of the comparisons, which differs from pass to pass."""
    budget_s: float
    """Time of the whole run, in seconds."""
    precision: float | None = None
    """Half-width at which an interval is narrow enough for further passes to leave it out, relative
    to the speed-up (0.01 is one percent); None: no further passes.
    """
    delta: float = DELTA
    """Relative difference below which two arms count as equivalent."""
    case_timeout_s: float = 300.0
    """Most seconds for one comparison in one pass, or for one case of the survey."""
    each_s: float | None = None
    """Seconds to measure each comparison, over all passes, whatever else takes time; None: the
    comparisons share ``budget_s``.
    """
    weights: dict[str, float] = field(default_factory=dict)
    """Factor on a comparison's share of the time, by key; 1 if a key is missing."""
    comparisons: tuple[Comparison, ...]
    """Comparisons, controls included, in the order of the rows of results.csv."""
    directory: Path | None = None
    """Folder in which a user's own arms were named, and from which they are imported."""
    commit: str | None = None
    """Git revision that is checked out in the user's repository."""
    has_changes: bool = False
    """Whether the user's repository has changes that are not committed."""
    sources: dict[str, str] = field(default_factory=dict)
    """SHA-256 digests of the user's files, by path from ``directory``; a run stops when one of them
    changes.
    """
    survey: bool = False
    """Whether each arm is also surveyed alone: memory, FLOPs, limits, energy."""
    choose: bool = False
    """Whether the combinations chosen by the rows are measured, too."""
    precision_first: bool = False
    """Whether the first pass compares precisions alone, and later ones the rest, also at the
    precision that won.
    """
    objective: str = OBJECTIVES[0]
    """Objective of that choice."""
    max_error: float | None = None
    """Largest output error (relative norm) of an arm to choose; None: any."""
    choice_passes: int = 0
    """Number of passes that measure what was chosen; 0 until a run has chosen."""
    gate: float | None = None
    """Relative slow-down that decides: further passes leave out an arm whose interval is all below
    or all above it.
    """

    @property
    def measured_first(self) -> tuple[Comparison, ...]:
        """Comparisons of the request, without those that the run chose since."""
        return tuple(each for each in self.comparisons if each.factor != CHOICE)
