"""Everything that is shown of a run, or of several side by side, as one record each."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision
from bench.analysis.rows import Analysis
from bench.analysis.run_agreement import RunAgreement
from bench.records.comparison import DELTA
from bench.records.environment import Environment


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """A run's rows and decisions, its machine and its command.

    ``own_commit`` is the git revision of a user's own arms, ``has_changes`` whether their tree had
    uncommitted changes; ``folder`` is the run's, ``left`` the number of planned measurements that
    are missing; ``spent_s`` are the seconds of the run, ``timed_share`` is the
    share of them inside timed calls.
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
    spent_s: float = 0.0
    timed_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunLabel:
    """What tells a run from others: its folder, vitbench's commit, and its start."""

    folder: str
    commit: str | None
    has_changes: bool
    started: str


@dataclass(frozen=True, kw_only=True)
class AgreementData:
    """Several runs side by side.

    ``pairs`` are the agreements of every two of the ``runs``, by their places (0 is the first);
    ``warnings`` name what else than chance may make them differ.
    """

    runs: tuple[RunLabel, ...]
    pairs: dict[tuple[int, int], RunAgreement]
    delta: float = DELTA
    warnings: tuple[str, ...] = ()
