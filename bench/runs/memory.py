"""Predict the memory of cases and, if their device is here and has room, measure it."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache

from bench.files.lock import device_locks
from bench.machine.host import room_bytes
from bench.records.arm_costs import Case, MemoryReport, PredictedMemory
from bench.records.comparison import Arm, Workload
from bench.records.errors import InputError
from bench.report.labels import case_name
from bench.report.units import memory as text
from bench.runs.tasks import measure_memory
from bench.suite.availability import check_arm
from bench.suite.grid import Selection
from vitcore.config import VARIANTS

# Growth factor of the bracket until it contains the limit.
_GROWTH = 4
# Number of secant steps before each bisection: costs may have corners.
_LINES = 3
# Upper bound of the search; no device holds more images.
LARGEST_TRIED_BATCH = 10**6


def largest(cost: Callable[[int], float], limit: float, most: int) -> int:
    """Return the largest number from 1 to ``most`` with a cost of at most ``limit``; 0 if none.

    ``cost`` must not decrease. The search is regula falsi with bisections: about ten evaluations
    of a nearly linear cost.
    """
    cost = cache(cost)
    low, high = 0, 1
    while cost(high) <= limit:
        if high == most:
            return most
        low, high = high, min(_GROWTH * high, most)
    step = 0
    while high - low > 1 and low:
        step += 1
        guess = (low + high) // 2
        if step % (_LINES + 1):
            guess = low + int((limit - cost(low)) / (cost(high) - cost(low)) * (high - low))
        guess = min(max(guess, low + 1), high - 1)
        low, high = (guess, high) if cost(guess) <= limit else (low, guess)
    return low


def largest_near(fits: Callable[[int], bool], guess: int, most: int) -> int:
    """Return the largest number from 1 to ``most`` that fits; 0 if none does.

    The search starts at a guess, because each trial is expensive: first in doubling steps from a
    hundredth of it, then by bisection. ``fits`` must hold for all numbers below one that fits.
    """
    low, high = 0, most + 1
    at, step = min(max(guess, 1), most), max(guess // 100, 1)
    while high - low > 1:
        if fits(at):
            low = at
        else:
            high = at
        if low and high <= most:
            at = (low + high) // 2
        else:
            at = min(low + step, most) if low else max(high - step, 1)
            step *= 2
    return low


@dataclass(frozen=True, kw_only=True)
class MemoryRequest:
    """Cases to predict and measure. Raises InputError for an impossible request."""

    variants: tuple[str, ...]
    arm: Arm
    mode: str
    batch_size: int
    image_size: int
    device: str
    measure: bool
    limit_bytes: int | None = None
    """Memory for the largest batch that fits; None: ``batch_size`` is the batch."""
    case_timeout_s: float = 600.0
    """Seconds after which a measurement counts as hung: building a large model and two steps."""
    lock: bool = True
    """Whether to measure alone on the device."""
    command: str = "vitbench memory"
    """Command line, for others that wait for the device."""

    def __post_init__(self) -> None:
        Selection(variants=self.variants, image_size=self.image_size)
        check_arm(self.arm, self.device)
        for factor in ("optimizer", "checkpoint"):
            if self.mode != "train" and self.arm.level(factor) != Arm().level(factor):
                raise InputError(f"--{factor} has no effect with --mode forward; give --mode train")

    @property
    def cases(self) -> Iterator[Case]:
        """One case for each variant."""
        for variant in self.variants:
            workload = Workload(
                component="model",
                mode=self.mode,
                device=self.device,
                variant=variant,
                patch_size=VARIANTS[variant]["patch_size"],
                image_size=self.image_size,
                batch_size=self.batch_size,
            )
            yield Case(workload=workload, arm=self.arm)


def memory_reports(
    request: MemoryRequest, notify: Callable[[str], object] = lambda _: None
) -> Iterator[MemoryReport]:
    """Predict each case and, if its device is here and has room, measure it in a worker.

    ``notify`` receives one line for each prediction and measurement. If a measurement is
    interrupted, the prediction is yielded before KeyboardInterrupt propagates. Raises InputError
    for a case that cannot be predicted or does not fit, or if another process measures on the
    device.
    """
    is_here = request.measure and room_bytes(request.device) is not None
    locks = device_locks([request.device], request.command) if is_here and request.lock else None
    with locks or nullcontext():
        yield from _reports(request, notify)


def _reports(request: MemoryRequest, notify: Callable[[str], object]) -> Iterator[MemoryReport]:
    from bench.costs import memory_prediction as predicting

    predict = cache(predicting.predict)
    for asked in request.cases:
        start_s = time.perf_counter()
        limit = request.limit_bytes
        case = asked if limit is None else _largest(asked, limit, predict)
        predicted = predict(case)
        seconds = time.perf_counter() - start_s
        found = MemoryReport(case=case, predicted=predicted, seconds=seconds)
        notify(f"{case.key}: predicted {text(predicted.total_bytes)} in {seconds:.1f} s")
        try:
            if request.measure:
                found = _with_measurement(found, request.case_timeout_s, notify)
            if limit is not None and found.measured is not None:
                found = _with_largest_batch(found, request, limit, notify)
        except KeyboardInterrupt:
            yield replace(found, note="interrupted: not measured")
            raise
        yield found


def _sized(case: Case, batch_size: int) -> Case:
    return replace(case, workload=replace(case.workload, batch_size=batch_size))


def _largest(case: Case, limit_bytes: int, predict: Callable[[Case], PredictedMemory]) -> Case:
    """Return the case with the largest batch that is predicted to fit."""

    def need_bytes(batch_size: int) -> int:
        return predict(_sized(case, batch_size)).total_bytes

    batch_size = largest(need_bytes, limit_bytes, LARGEST_TRIED_BATCH)
    if not batch_size:
        less = ", or --checkpoint blocks" if case.workload.mode == "train" else ""
        raise InputError(
            f"{case.workload.variant} {case.workload.mode} needs {text(need_bytes(1))} for one "
            f"image, more than the limit of {text(limit_bytes)}; give a larger --limit{less}"
        )
    return _sized(case, batch_size)


def _with_largest_batch(
    found: MemoryReport, request: MemoryRequest, limit_bytes: int, notify: Callable[[str], object]
) -> MemoryReport:
    """Add the largest batch that fits when tried, each in a process of its own."""
    case = found.case

    def fits(batch_size: int) -> bool:
        notify(f"{case.workload.variant}: trying batch {batch_size} in a process of its own")
        tried = measure_memory(_sized(case, batch_size), request.case_timeout_s)
        if tried.status not in ("ok", "oom"):
            raise InputError(
                f"{case_name(_sized(case, batch_size))} ended with {tried.status}: {tried.error}; "
                "give --no-measure for the predicted batch size alone"
            )
        return tried.status == "ok" and (tried.allocated_bytes or 0) <= limit_bytes

    guess = case.workload.batch_size or 1
    return replace(found, largest_batch=largest_near(cache(fits), guess, LARGEST_TRIED_BATCH))


def _with_measurement(
    found: MemoryReport, limit_s: float, notify: Callable[[str], object]
) -> MemoryReport:
    """Add the memory measured in a process of its own, or the reason that there is none."""
    room, need = room_bytes(found.case.workload.device), found.predicted.total_bytes
    if room is None:
        return replace(found, note=f"no {found.case.workload.device} here: not measured")
    if need > room:
        return replace(found, note=f"needs {text(need)}, {text(room)} are free: not measured")
    notify(f"{found.case.key}: measuring in a process of its own (--no-measure leaves it out)")
    return replace(found, measured=measure_memory(found.case, limit_s))
