"""Tasks of a worker process: a pass of pairs, a survey of arms."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.records.arm_costs import Case
from bench.records.comparison import Comparison

# How a pass process ends when an arm has made the GPU unusable, and when it cannot write.
LOST = 86
UNWRITABLE = 87


@dataclass(frozen=True, kw_only=True)
class PassPlan:
    """What one pass process is told: which comparisons in which order, until when, and where to.

    ``deadline_s``, when the pass should end, and ``end_s``, when the run must, are in seconds
    since the epoch; with ``each_s`` every comparison gets so many seconds to measure instead.
    ``weights`` multiply the share of the time that a comparison's key gets; ``ready_s`` is what it
    took to build, check and compile it in an earlier pass. ``checked`` are the
    keys of the comparisons whose arms were already compared with float64. ``threads`` are those of
    torch, the same in every pass. ``parent`` is the process without which the pass is to end,
    ``directory`` the folder from which a user named arms of their own, ``compiled`` that in which
    this run's compiler keeps what it made.
    """

    pass_index: int
    deadline_s: float
    end_s: float
    each_s: float | None
    weights: dict[str, float]
    checked: tuple[str, ...]
    threads: int
    parent: int
    journal: Path
    comparisons: tuple[Comparison, ...]
    ready_s: dict[str, float] = field(default_factory=dict)
    directory: Path | None = None
    compiled: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SurveyItem:
    """A case to look at: the arm of a comparison, which is one against itself for a baseline.

    ``limits`` are the precisions (``arm_costs.computed_in``) in which the limit of its
    matrix products is to be measured. With ``shapes_only`` it is not run: memory did not suffice.
    """

    comparison: Comparison
    limits: tuple[str, ...] = ()
    shapes_only: bool = False

    @property
    def key(self) -> str:
        """The case's name."""
        return Case(workload=self.comparison.workload, arm=self.comparison.arm).key


@dataclass(frozen=True, kw_only=True)
class SurveyPlan:
    """What a survey process is told: the cases, and until when; the rest is as in ``PassPlan``."""

    items: tuple[SurveyItem, ...]
    end_s: float
    threads: int
    parent: int
    journal: Path
    directory: Path | None = None
    compiled: Path | None = None
