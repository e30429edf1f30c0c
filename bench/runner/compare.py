"""A user's own arms against each other: from what was named to a plan, and to results."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.arms.specs import CONTROL_SHARE, against_first, inputs_for, precision_of, read_arm
from bench.record import Comparison, Workload
from bench.runner.passes import probe
from bench.runner.plan import check_devices
from bench.runner.run import Progress, Results, execute
from bench.store import Plan, check_run_folder


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What a user wants compared; checked at birth (InputError says what cannot be).

    ``budget_s`` is the time to measure each candidate, all passes together. Without ``folder`` the
    files of the run are removed at its end.
    """

    baseline: str
    candidates: tuple[str, ...]
    inputs: str | None
    dtype: str | None
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
    folder: Path | None = None
    lock: bool = True

    def __post_init__(self) -> None:
        specs = [read_arm(text) for text in (self.baseline, *self.candidates)]
        inputs_for(self.inputs, specs)
        precision_of(self.dtype)
        if self.folder is not None:
            check_run_folder(self.folder)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The control, then each candidate against the baseline."""
        names = (self.baseline, *self.candidates)
        workload = Workload(
            component="callable",
            mode=self.mode,
            device=self.device,
            inputs=inputs_for(self.inputs, [read_arm(text) for text in names]),
        )
        return against_first(
            names,
            workload,
            precision=precision_of(self.dtype),
            cache=self.cache,
            allow_different=self.allow_different,
        )


def compare(request: CompareRequest, progress: Progress) -> Results:
    """Measure a baseline against candidates. Raises like ``bench.runner.run.run``."""
    comparisons = request.comparisons
    environment = probe()
    check_devices((request.device,), environment)
    with _folder(request.folder) as folder:
        plan = Plan(
            run_id=folder.absolute().name,
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
        )
        return execute(plan, environment, folder, progress, lock=request.lock)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        yield Path(folder) / datetime.now(UTC).strftime("compare-%Y%m%d-%H%M%S")
