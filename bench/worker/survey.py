"""Survey jobs: measure the costs of each arm of a run alone.

Each value is tried by itself: one that cannot be measured is left out, with the reason as a note.
"""

import math
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from bench.arms.build_and_check import build_one
from bench.arms.candidate import Candidate
from bench.arms.compiling import start_compiler, use_cache
from bench.arms.levels import dtype_of, pinned_precision, tf32
from bench.costs.flops import counted_by_running
from bench.costs.kernels import kernels_of
from bench.costs.limits import copy_bytes_per_s, fastest, paired_ratio
from bench.costs.memory import ProcessBaseline, memory_of
from bench.costs.top1 import trained
from bench.files.kept_costs import KeptCosts
from bench.machine.energy import NoMeter, joules_per_call, meter_for
from bench.records.arm_costs import Case, Limit, MeasuredMemory, Survey
from bench.records.comparison import MODEL_ARMS
from bench.records.errors import NO_TIME
from bench.records.notes import Note, NoteKind
from bench.records.task import SurveyJob, Task
from bench.suite.work import config_for, flops
from bench.timing.clocks import clock_for
from bench.timing.device import fresh_memory, synchronize
from bench.usercode.failures import failure
from bench.worker.computed_costs import CaseCosts, load_modules, open_kept_costs
from bench.worker.process import work
from vitcore.costs import products

T = TypeVar("T")

# Seconds for each number format: of choosing libraries, and of pairs of a call and its limit.
_CHOICE_S, _LIMIT_S = 0.5, 0.5
# Share of a survey's time after which no more limits are measured: other costs come first.
_LIMITS_SHARE = 0.6
# Minimum seconds left for a compiled model, whose code the passes have compiled.
_COMPILED_S = 10.0
# Minimum seconds left to train the model of digits, which serves all cases.
_TRAIN_S = 10.0


class ArmSurvey:
    """The survey of one case; ``notes`` collects the values that could not be measured."""

    def __init__(
        self,
        job: SurveyJob,
        compiled: Path | None,
        end_s: float = math.inf,
        baseline: ProcessBaseline | None = None,
        kept: KeptCosts | None = None,
    ) -> None:
        self.job, self.compiled, self.end_s = job, compiled, end_s
        self.baseline = baseline or ProcessBaseline()
        self.arm, self.workload = job.comparison.arm, job.comparison.workload
        self.case = Case(workload=self.workload, arm=self.arm)
        self.is_own = self.arm.factory is not None
        self.computed = CaseCosts(self.case, kept or KeptCosts(None, {}), self._try)
        self.limits_end_s = end_s
        self.notes: list[Note] = []

    def survey(self) -> Survey:
        """Measure the costs; after the end of the survey's time, return those that take none."""
        start_s = time.perf_counter()
        if self.job.shapes_only:
            short = MeasuredMemory(status="oom", error="memory did not suffice in a pass")
            found = {**self._by_shapes(), "measured": short}
        elif time.time() + self._least_s() < self.end_s:
            found = {**self._by_shapes(), **self._by_running()}
        else:
            late = MeasuredMemory(status="skipped", error=NO_TIME)
            found = {"measured": late, **({} if self.is_own else self.computed.at_once())}
        self.computed.keep()
        return Survey(
            key=self.case.key,
            **found,
            notes=tuple(self.notes),
            seconds=time.perf_counter() - start_s,
        )

    def _least_s(self) -> float:
        """Return the seconds that the case needs: a compiled model many times those of others."""
        return _COMPILED_S if self.arm.compile in MODEL_ARMS else 0.0

    def _try(self, what: str, measure: Callable[[], T]) -> T | None:
        """Measure a value; an exception becomes a note and None."""
        try:
            return measure()
        except Exception as error:  # noqa: BLE001 (the other values are still measured)
            traceback.print_exception(error)
            self._note(what, failure(error)[1])
            return None

    def _note(self, what: str, reason: str, remedy: str | None = None) -> None:
        """Note why a value could not be measured."""
        text = f"{what} not available: {reason}"
        note = Note(kind=NoteKind.UNAVAILABLE, subject=what, text=text, remedy=remedy)
        self.notes.append(note)

    def _by_shapes(self) -> dict[str, Any]:
        """Return the costs that need neither device nor weights; none for a user's own arms."""
        if self.is_own:
            self._note("predicted memory and top-1", "the arm is a user's own")
            return {}
        return {
            "predicted": self.computed.predicted(),
            **self.computed.by_arithmetic(),
            "error": self.computed.flops_error(),
            "graphs": self.computed.graphs(),
        }

    def _by_running(self) -> dict[str, Any]:
        """Return the costs measured by running the arm; its exception becomes the status."""
        fresh_memory(self.workload.device)
        self.baseline.begin()
        try:
            with pinned_precision():
                return self._run()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the arm's result)
            traceback.print_exception(error)
            status, message = failure(error)
            return {"measured": MeasuredMemory(status=status, error=message)}

    def _run(self) -> dict[str, Any]:
        arm = build_one(self.job.comparison)
        if self.compiled is not None and arm.arm.compile != "eager":
            self.baseline.compiler(partial(start_compiler, self.compiled, arm.device))
            use_cache(self.compiled, replace(self.case, arm=arm.arm).key)
        if self.is_own:
            # Finds out what its calls need.
            arm.rehearse()
        with arm.surroundings():
            if arm.trains or not self.is_own:
                # A first step makes the optimizer's state.
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
        """Correct a CPU process's peak for earlier cases; a GPU's driver reports the device."""
        if self.workload.device != "cpu":
            return found
        return replace(found, process_bytes=self.baseline.alone(found.process_bytes))

    def _limits(self, arm: Candidate) -> dict[str, Any]:
        if not self.job.limits:
            return {}
        if time.time() >= self.limits_end_s:
            self._note("limits", "out of time", "give a larger --budget")
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
        """Measure the time of the arm's products alone, relative to its own call."""
        work, clock = self.workload, clock_for(arm.device)
        pinned = tf32 if computed_in == "tf32" else nullcontext
        with pinned():
            chain = fastest(
                products(config_for(work), work.component),
                batch_size=work.batch_size or 1,
                dtype=dtype_of(computed_in) or torch.float32,
                device=arm.device,
                clock=clock,
                seconds=_CHOICE_S,
            )
            chain()

        def limit() -> None:
            with pinned():
                chain()

        reached = paired_ratio(arm.once, limit, clock, seconds=_LIMIT_S)
        # Assumes that the products of backward are as fast as those of forward.
        ratio = reached.ratio.scaled(flops(work) / chain.flops)
        return Limit(
            library=chain.library,
            time_ratio=ratio.value,
            time_ratio_low=ratio.low,
            time_ratio_high=ratio.high,
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
        is_ready = self.computed.costs.top1_agreement is not None or trained.cache_info().currsize
        if not is_ready and self.end_s - time.time() < _TRAIN_S:
            self._note("top-1", "out of time", "give a larger --budget")
            return None
        return self.computed.top1_agreement()


@cache
def _copy_bytes_per_s(device: str) -> float:
    """Return the device's copy bandwidth, measured once for all cases."""
    return copy_bytes_per_s(device, clock_for(device))


def run(task: Task[SurveyJob]) -> None:
    """Survey each case of a task; limits, which take longest, get the first part of its time."""
    kept, baseline, now_s = open_kept_costs(), ProcessBaseline(), time.time()
    load_modules([job.case for job in task.jobs], kept)
    limits_end_s = now_s + _LIMITS_SHARE * (task.end_s - now_s)

    def survey(job: SurveyJob) -> Survey:
        found = ArmSurvey(job, task.compiled, task.end_s, baseline, kept)
        found.limits_end_s = limits_end_s
        return found.survey()

    work(task, survey)
