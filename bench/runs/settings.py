"""Settings of every command that measures, and the folder of its run."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.files.run_folder import check_run_folder, new_run_id
from bench.records.comparison import Comparison
from bench.records.plan import Plan
from bench.runs.repositories import has_changes, head_of
from bench.suite.own_arms import CONTROL_SHARE


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of every command that measures. Raises InputError for a folder that exists.

    Fields of the same name mean the same in a plan.
    """

    budget_s: float
    """Seconds of the whole run; in ``compare``, of measuring each candidate."""
    passes: int
    seed: int
    command: str
    case_timeout_s: float = Plan.case_timeout_s
    survey: bool = False
    folder: Path | None = None
    """Folder to make for the run; None: a temporary one."""
    lock: bool = True
    """Whether to lock the device against other runs."""

    def __post_init__(self) -> None:
        if self.folder is not None:
            check_run_folder(self.folder)

    def plan(self, folder: Path, comparisons: Sequence[Comparison]) -> Plan:
        """Return the plan of a run that starts now, without the settings of single commands."""
        return Plan(
            run_id=folder.absolute().name,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=self.command,
            passes=self.passes,
            seed=self.seed,
            budget_s=self.budget_s,
            case_timeout_s=self.case_timeout_s,
            comparisons=tuple(comparisons),
            survey=self.survey,
        )

    def own_plan(
        self, folder: Path, comparisons: Sequence[Comparison], sources: dict[str, str], tree: Path
    ) -> Plan:
        """Return the plan of a run of a user's own arms; ``tree`` is a folder of their repository.

        Controls get less time than candidates.
        """
        return replace(
            self.plan(folder, comparisons),
            weights={each.key: CONTROL_SHARE for each in comparisons if each.is_control},
            directory=Path.cwd(),
            commit=head_of(tree),
            has_changes=has_changes(tree),
            sources=sources,
        )


@contextmanager
def run_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder to create for a run; for None one in a temporary folder.

    The temporary folder is removed unless it contains the run.
    """
    if given is not None:
        yield given
        return
    parent = Path(tempfile.mkdtemp(prefix="vitbench-"))
    try:
        yield parent / new_run_id(datetime.now(UTC))
    finally:
        with suppress(OSError):  # The run was left to be read.
            parent.rmdir()
