"""Compare a user's own arms: from a request to a plan and to results."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from bench.records.comparison import Comparison, Workload
from bench.runs.run import Progress, execute
from bench.runs.settings import RunSettings, run_folder
from bench.runs.state import RunState
from bench.runs.tasks import probe
from bench.suite.availability import check_devices
from bench.suite.own_arms import CONTROL_SHARE, against_first
from bench.usercode.sources import digests
from bench.usercode.spec import ArmSpec, FunctionRef, InputSpec


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """Request for a comparison of arms: the first is the baseline, the others candidates."""

    settings: RunSettings
    arms: tuple[ArmSpec, ...]
    inputs: InputSpec
    precision: str
    device: str
    mode: str
    cache: str
    delta: float
    allow_different: bool
    weights: str

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
            weights=self.weights,
        )


def compare(request: CompareRequest, progress: Progress) -> RunState:
    """Measure a baseline against candidates. Raises like ``bench.runs.run.run``.

    A temporary folder is kept if an arm failed, for its logs, or if the run was ended.
    """
    settings, compared = request.settings, request.comparisons
    sources, environment = request.sources, probe()
    check_devices((request.device,), environment.devices)
    with run_folder(settings.folder) as folder:
        plan = replace(
            settings.own_plan(folder, compared, sources, Path.cwd()),
            budget_s=settings.budget_s * (len(compared) - 1 + CONTROL_SHARE),
            each_s=settings.budget_s,
            delta=request.delta,
        )
        results = execute(plan, environment, folder, progress, lock=settings.lock)
        if not settings.folder and all(each.status in ("ok", "wrong") for each in results.records):
            shutil.rmtree(folder)
    return results
