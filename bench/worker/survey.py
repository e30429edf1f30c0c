"""Survey jobs: one look at each arm of a run alone.

What takes long or may fail for reasons of its own is tried one by one: what cannot be told is left
out, with the reason among the notes.
"""

import math
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch

from bench.arms.candidate import Candidate
from bench.arms.compiling import start_compiler, use_cache
from bench.arms.levels import dtype_of, pinned_precision, tf32
from bench.arms.pairs import build_one
from bench.costs.flops import counted_by_running, disagreement
from bench.costs.graphs import graphs_of
from bench.costs.kernels import kernels_of
from bench.costs.limits import copy_bytes_per_s, fastest, paired_ratio
from bench.costs.memory import ProcessBaseline, memory_of
from bench.costs.memory_prediction import predict
from bench.costs.top1 import top1_agreement, trained
from bench.machine.energy import NoMeter, joules_per_call, meter_for
from bench.records.arm_costs import Case, Limit, MeasuredMemory, Survey
from bench.records.comparison import Arm
from bench.records.notes import Note, NoteKind
from bench.records.task import SurveyJob, Task
from bench.suite.work import config_for, flops, least_bytes, parameters
from bench.timing.clocks import clock_for
from bench.timing.device import forget_imports, fresh_memory, synchronize
from bench.usercode.failures import failure
from bench.worker.process import work
from vitcore.costs import products

T = TypeVar("T")

# Alternating pairs of a call and its limit, for each precision.
_LIMIT_S = 0.5
# The digits are learnt once, for all cases; not when the survey has less time left than this.
_TRAIN_S = 10.0


class ArmSurvey:
    """One look at one case; ``notes`` collect why something could not be told."""

    def __init__(
        self,
        job: SurveyJob,
        compiled: Path | None,
        end_s: float = math.inf,
        ground: ProcessBaseline | None = None,
    ) -> None:
        self.job, self.compiled, self.end_s = job, compiled, end_s
        self.ground = ground or ProcessBaseline()
        self.arm, self.workload = job.comparison.arm, job.comparison.workload
        self.case = Case(workload=self.workload, arm=self.arm)
        self.is_own = self.arm.factory is not None
        self.notes: list[Note] = []

    def survey(self) -> Survey:
        """Everything that can be told; when its time is over, what needs none."""
        start_s = time.perf_counter()
        if self.job.shapes_only:
            short = MeasuredMemory(status="oom", error="memory did not suffice in a pass")
            found = {**self._by_shapes(), "measured": short}
        elif time.time() < self.end_s:
            found = {**self._by_shapes(), **self._by_running()}
        else:
            late = MeasuredMemory(status="skipped", error="out of time; give a larger --budget")
            found = {"measured": late, **({} if self.is_own else self._by_arithmetic())}
        return Survey(
            key=self.case.key,
            **found,
            notes=tuple(self.notes),
            seconds=time.perf_counter() - start_s,
        )

    def _try(self, what: str, tell: Callable[[], T]) -> T | None:
        try:
            return tell()
        except Exception as error:  # noqa: BLE001 (whatever it raises, the rest is still told)
            traceback.print_exception(error)
            self._note(what, failure(error)[1])
            return None

    def _note(self, what: str, reason: str, remedy: str | None = None) -> None:
        """Note why a value could not be measured."""
        text = f"{what} not available: {reason}"
        note = Note(kind=NoteKind.UNAVAILABLE, subject=what, text=text, remedy=remedy)
        self.notes.append(note)

    def _by_shapes(self) -> dict[str, Any]:
        """What needs neither the device nor the weights; of a user's own arms nothing."""
        if self.is_own:
            self._note("predicted memory and top-1", "the arm is a user's own")
            return {}
        return {
            "predicted": self._try("predicted memory", partial(predict, self.case)),
            **self._by_arithmetic(),
            "error": self._try("FLOPs", partial(disagreement, self.arm, self.workload)),
            "graphs": self._graphs(),
        }

    def _by_arithmetic(self) -> dict[str, Any]:
        return {
            "flop": flops(self.workload),
            "moved_bytes": least_bytes(self.workload, self.arm),
            "parameters": parameters(self.workload),
        }

    def _graphs(self) -> Any:
        if self.arm.compile == "eager":
            return None
        return self._try("recompiles", partial(graphs_of, self.arm, self.workload))

    def _by_running(self) -> dict[str, Any]:
        """What the device tells; what ends the arm itself becomes the status."""
        fresh_memory(self.workload.device)
        self.ground.begin()
        try:
            with pinned_precision():
                return self._run()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the arm's result)
            traceback.print_exception(error)
            status, said = failure(error)
            return {"measured": MeasuredMemory(status=status, error=said)}

    def _run(self) -> dict[str, Any]:
        arm = build_one(self.job.comparison)
        if self.compiled is not None and arm.arm.compile != "eager":
            self.ground.compiler(partial(start_compiler, self.compiled, arm.device))
            use_cache(self.compiled, replace(self.case, arm=arm.arm).key)
        with arm.surroundings():
            arm.once()
            found = {
                "measured": self._alone(memory_of(arm)),
                "kernels": self._try("kernels", partial(kernels_of, arm.once, arm.device)) or (),
                "joules_per_image": self._try("energy", partial(self._joules, arm)),
                **self._limits(arm),
            }
        if self.is_own:
            found["flop"] = self._try("FLOPs", partial(counted_by_running, arm))
            found["parameters"] = sum(each.numel() for each in arm.module.parameters())
        return {**found, "top1_agreement": None if self.is_own else self._top1()}

    def _alone(self, found: MeasuredMemory) -> MeasuredMemory:
        """On a CPU the process holds what earlier cases left, too; a driver tells it by device."""
        if self.workload.device != "cpu":
            return found
        return replace(found, process_bytes=self.ground.alone(found.process_bytes))

    def _limits(self, arm: Candidate) -> dict[str, Any]:
        if not self.job.limits:
            return {}
        tried = {
            name: self._try(f"limit in {name}", partial(self._limit, arm, name))
            for name in self.job.limits
        }
        copied = self._try("copy bandwidth", partial(_copy_bytes_per_s, arm.device))
        return {
            "limits": {name: limit for name, limit in tried.items() if limit},
            "copy_bytes_per_s": copied,
        }

    def _limit(self, arm: Candidate, computed_in: str) -> Limit:
        """How long the arm's products alone take, by its own call."""
        work, clock = self.workload, clock_for(arm.device)
        pinned = tf32 if computed_in == "tf32" else nullcontext
        with pinned():
            chain = fastest(
                products(config_for(work), work.component),
                batch_size=work.batch_size or 1,
                dtype=dtype_of(computed_in) or torch.float32,
                device=arm.device,
                clock=clock,
            )
            chain()

        def limit() -> None:
            with pinned():
                chain()

        reached = paired_ratio(arm.once, limit, clock, seconds=_LIMIT_S)
        # Products of attention's core and of backward are taken to go as fast as a Linear's.
        whole = flops(work) / chain.flops
        return Limit(
            library=chain.library,
            time_ratio=reached.ratio * whole,
            gflop_per_s=chain.flops / reached.limit_s / 1e9,
        )

    def _joules(self, arm: Candidate) -> float | None:
        meter = meter_for(arm.device)
        if isinstance(meter, NoMeter):
            self._note("energy", meter.reason)
            return None
        joules = joules_per_call(arm.once, partial(synchronize, arm.device), meter)
        return joules / (self.workload.batch_size or 1)

    def _top1(self) -> float | None:
        if self.workload.mode != "forward":
            self._note("top-1", "measured in forward calls only")
            return None
        if not trained.cache_info().currsize and self.end_s - time.time() < _TRAIN_S:
            self._note("top-1", "out of time", "give a larger --budget")
            return None
        return self._try("top-1", partial(top1_agreement, self.arm, self.workload.device))


@cache
def _copy_bytes_per_s(device: str) -> float:
    """The device's, measured once for all cases."""
    return copy_bytes_per_s(device, clock_for(device))


def run(task: Task[SurveyJob]) -> None:
    """Look at each case of a task."""
    ground = ProcessBaseline()
    _warm_up([job.comparison.arm for job in task.jobs])
    work(task, lambda job: ArmSurvey(job, task.compiled, task.end_s, ground).survey())


def _warm_up(arms: Sequence[Arm]) -> None:
    """Load what looks at several cases need: else the first one's process would be the smaller."""
    kernels_of(lambda: torch.zeros(1), "cpu")
    if any(arm.compile != "eager" for arm in arms):
        import_module("torch.fx.experimental.symbolic_shapes")
    if any(arm.factory is None for arm in arms):
        # Without scikit-learn each row says why it has no top-1.
        with suppress(ImportError):
            import_module("sklearn.datasets")
    forget_imports()
