"""Compare a user's own arms: from a request to a plan, and to results."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.files.run_folder import check_run_folder, new_run_id
from bench.records.comparison import Comparison, Workload
from bench.records.plan import Plan
from bench.runs.run import Progress, execute
from bench.runs.state import RunState
from bench.runs.tasks import probe
from bench.runs.worktrees import has_changes, head_of
from bench.suite.availability import check_devices
from bench.suite.grid import CONTROL_SHARE, against_first
from bench.usercode.sources import digests
from bench.usercode.spec import ArmSpec, FunctionRef, InputSpec


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """A comparison of candidates with a baseline. Raises InputError for a folder that exists.

    ``arms`` are the baseline and the candidates. ``budget_s`` is the time to measure each
    candidate, all passes together. Without ``folder`` the files of the run are removed at its end.
    """

    arms: tuple[ArmSpec, ...]
    inputs: InputSpec
    precision: str
    device: str
    mode: str
    cache: str
    budget_s: float
    passes: int
    delta: float
    case_timeout_s: float
    allow_different: bool
    seed: int
    command: str
    survey: bool = True
    folder: Path | None = None
    lock: bool = True

    def __post_init__(self) -> None:
        if self.folder is not None:
            check_run_folder(self.folder)

    @property
    def sources(self) -> dict[str, str]:
        """Digests of the user's files."""
        specs: tuple[ArmSpec | InputSpec, ...] = (*self.arms, self.inputs)
        files = (each.code.file for each in specs if isinstance(each.code, FunctionRef))
        return digests([file for file in files if file], Path.cwd())

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The control, then each candidate against the baseline."""
        workload = Workload(
            component="callable",
            mode=self.mode,
            device=self.device,
            inputs=self.inputs.text,
        )
        return against_first(
            [arm.text for arm in self.arms],
            workload,
            precision=self.precision,
            cache=self.cache,
            allow_different=self.allow_different,
        )


def compare(request: CompareRequest, progress: Progress) -> RunState:
    """Measure a baseline against candidates. Raises like ``bench.runs.run.run``.

    A temporary folder is kept where an arm failed, for its logs, or where the run was ended.
    """
    sources, environment = request.sources, probe()
    check_devices((request.device,), environment.devices)
    with _folder(request.folder) as folder:
        plan = _plan(request, folder.absolute().name, sources)
        results = execute(plan, environment, folder, progress, lock=request.lock)
        if not request.folder and all(each.status in ("ok", "wrong") for each in results.records):
            shutil.rmtree(folder)
    return results


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """Where to measure; of a temporary folder nothing stays where nothing stands in it."""
    if given is not None:
        yield given
        return
    parent = Path(tempfile.mkdtemp(prefix="vitbench-"))
    try:
        yield parent / new_run_id(datetime.now(UTC))
    finally:
        with suppress(OSError):  # Something was left to read.
            parent.rmdir()


def _plan(request: CompareRequest, run_id: str, sources: dict[str, str]) -> Plan:
    comparisons = request.comparisons
    return Plan(
        run_id=run_id,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command,
        passes=request.passes,
        seed=request.seed,
        budget_s=request.budget_s * (len(comparisons) - 1 + CONTROL_SHARE),
        delta=request.delta,
        case_timeout_s=request.case_timeout_s,
        each_s=request.budget_s,
        weights={each.key: CONTROL_SHARE for each in comparisons if each.is_control},
        comparisons=comparisons,
        directory=Path.cwd(),
        commit=head_of(Path.cwd()),
        has_changes=has_changes(Path.cwd()),
        sources=sources,
        survey=request.survey,
    )
