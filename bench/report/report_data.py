"""What a run tells to a page or to another tool, whole and in one record."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.decision import Aim, Decision
from bench.analysis.rows import Analysis
from bench.records.comparison import DELTA
from bench.records.environment import Environment


@dataclass(frozen=True, kw_only=True)
class Told:
    """A run's rows and what they let choose, where and how it was made.

    ``own_commit`` is that of a user's own arms, whose tree ``has_changes`` or not, ``folder`` where
    the run lies, ``left`` how many measurements are still to come.
    """

    run_id: str
    command: str
    started: str
    environment: Environment
    analysis: Analysis
    decisions: Sequence[Decision]
    aim: Aim
    delta: float = DELTA
    own_commit: str | None = None
    has_changes: bool = False
    folder: str | None = None
    left: int = 0
