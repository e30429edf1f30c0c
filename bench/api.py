"""``bench.compare``: compare two callables in the calling process, for example in a notebook."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from bench.analysis.rows import analyse
from bench.analysis.spread import PRIOR_SD
from bench.arms.build_and_check import BuiltArm, ready_arms
from bench.arms.candidate import Candidate, Work
from bench.arms.inputs import Inputs, inputs_of
from bench.arms.kept_state import copied_module, unchanged
from bench.files.lock import device_locks
from bench.machine.calm import WAIT_SHARE, Patience
from bench.machine.environment import read_environment
from bench.machine.load import watch_for
from bench.records.comparison import (
    ALONE_CACHES,
    DELTA,
    DEVICES,
    MODES,
    OWN,
    WEIGHTS,
    Comparison,
    Workload,
)
from bench.records.errors import InputError, advised
from bench.records.notes import Note
from bench.records.row import Record
from bench.records.sample import Sample
from bench.report.notebook_result import ComparisonResult
from bench.suite.availability import check_devices
from bench.suite.own_arms import CONTROL_SHARE, against_first
from bench.timing.clocks import clock_for
from bench.timing.device import found_devices
from bench.timing.rounds import MAX_OWN_ROUNDS, Rounds
from bench.worker.session import Session, measure
from vitcore.config import known

# Drawing takes time on the processor that is measured.
_REDRAW_S = 0.5


def compare(
    baseline: Work,
    candidate: Work,
    *,
    inputs: Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any],
    device: str | torch.device | None = None,
    mode: str = "forward",
    budget_s: float = 10.0,
    cache: str = "cold",
    delta: float = DELTA,
    allow_different: bool = False,
    weights: str = "auto",
    show_progress: bool = True,
    lock: bool = True,
) -> ComparisonResult:
    """Compare two modules or callables on equal inputs, in alternating pairs.

    ``inputs`` are the arguments of a call: a tensor, a tuple by position or a mapping by name, of
    any shapes. Modules are copied. ``weights`` says with which weights the candidate is called: its
    ``own``, those of the baseline (``shared``), or by default its own if the outputs agree and else
    the baseline's if they agree then. ``device`` defaults to that of the inputs. ``budget_s`` is
    the time to measure in seconds, of which a fifth goes to a control, the baseline against itself.
    One process is one replicate: the variation between processes is taken from calibrations, as the
    result states. Raises InputError for unusable arguments, or if another run measures on the
    device (``lock=False`` measures beside it).
    """
    made = _inputs(inputs)
    device = device.type if isinstance(device, torch.device) else device or _device_of(made)
    _check(device, mode, cache, weights, (baseline, candidate))
    _check_number("budget_s", budget_s, "seconds, above 0", math.inf)
    _check_number("delta", delta, "a share above 0 and below 1", 1.0)
    comparisons = against_first(
        [_name(baseline), _name(candidate)],
        Workload(component="callable", mode=mode, device=device, inputs=_shapes(made)),
        precision=OWN,
        cache=cache,
        allow_different=allow_different,
        weights=weights,
    )
    share = CONTROL_SHARE / (1 + CONTROL_SHARE)
    parts = ((baseline, budget_s * share), (candidate, budget_s * (1 - share)))
    locked, progress = _locked(device, lock=lock), _progress(show=show_progress)
    with locked, unchanged(baseline, candidate), progress as advance:
        samples = [
            _sample(comparison, (baseline, work), made, seconds, advance)
            for comparison, (work, seconds) in zip(comparisons, parts, strict=True)
        ]
    analysis = analyse("in this process", comparisons, samples, read_environment(), delta)
    record = _in_python(analysis.records[1], samples[1])
    limits = tuple(_open(record, analysis.records[0], analysis.notes[comparisons[1].key]))
    return ComparisonResult(**asdict(record), limits=limits)


def _sample(
    comparison: Comparison,
    works: tuple[Work, Work],
    inputs: Inputs,
    seconds: float,
    advance: Callable[[], bool],
) -> Sample:
    def build(_: Comparison) -> tuple[Candidate, Candidate]:
        sides = (comparison.baseline, comparison.arm)
        made = [BuiltArm(work=_own(w), levels=arm) for w, arm in zip(works, sides, strict=True)]
        return ready_arms(comparison, made[0], made[1], inputs)

    device = comparison.workload.device
    clock, patience = clock_for(device), Patience(WAIT_SHARE * seconds)
    session = Session(
        comparison=comparison,
        benchmark=Rounds(clock),
        clock=clock,
        watch=watch_for(device),
        measuring_s=lambda _: seconds,
        check=True,
        most_rounds=MAX_OWN_ROUNDS,
        stop=advance,
        await_calm=lambda: patience.await_calm(device).waited_s,
        build=build,
    )
    return replace(measure(session), pass_index=0)


@contextmanager
def _locked(device: str, *, lock: bool) -> Iterator[None]:
    """Measure alone on the device. Raises InputError, in words of this function's arguments."""
    with ExitStack() as stack:
        try:
            if lock:
                stack.enter_context(device_locks([device], "bench.compare"))
        except InputError as error:
            raise InputError(error.in_python) from error
        yield


def _in_python(record: Record, sample: Sample) -> Record:
    """Return the record with an error that names the argument instead of the option."""
    if sample.error is None or sample.remedy is None:
        return record
    return replace(record, error=advised(sample.error, sample.remedy.in_python))


def _own(work: Work) -> Work:
    """Return a copy of a module: measuring moves it, trains it and changes its weights."""
    return copied_module(work) if isinstance(work, nn.Module) else work


def _inputs(given: object) -> Inputs:
    if (inputs := inputs_of(given)) is not None:
        return inputs
    raise InputError(
        f"inputs are a {type(given).__name__}; expected a tensor, a tuple of what a call takes by "
        "position, or a dict of what it takes by name"
    )


def _check(device: str, mode: str, cache: str, weights: str, works: tuple[object, object]) -> None:
    """Raise InputError for unusable arguments."""
    chosen = (
        ("device", device, DEVICES),
        ("mode", mode, MODES),
        ("cache state", cache, ALONE_CACHES),
        ("weights", weights, WEIGHTS),
    )
    try:
        for kind, name, allowed in chosen:
            known(kind, name, allowed)
    except ValueError as error:
        raise InputError(str(error)) from error
    check_devices([device], found_devices())
    for work in works:
        if not callable(work):
            raise InputError(f"{work!r:.80} cannot be called; expected a module or a function")


def _check_number(name: str, value: object, expected: str, below: float) -> None:
    """Raise InputError unless ``value`` is a number between 0 and ``below``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < below:
        raise InputError(f"{name} is {value!r:.80}; expected {expected}")


def _device_of(inputs: Inputs) -> str:
    tensors = inputs.tensors().values()
    return "cuda" if any(tensor.is_cuda for tensor in tensors) else "cpu"


def _shapes(inputs: Inputs) -> str:
    return "; ".join(",".join(map(str, t.shape)) for t in inputs.tensors().values()) or "none"


def _name(work: Work) -> str:
    """Return the name of a function, also of a partial one, or the class of a module."""
    while isinstance(work, partial):
        work = work.func
    name = str(getattr(work, "__qualname__", type(work).__name__))
    return name.rpartition("<locals>.")[2]


def _open(record: Record, control: Record, notes: Iterable[Note]) -> Iterator[str]:
    """Yield the reservations about a result."""
    if not record.rounds:
        return
    yield (
        "one process: the variation between processes was not measured but assumed to be "
        f"{PRIOR_SD:.0%} (one standard deviation); vitbench compare measures it"
    )
    if control.verdict in ("faster", "slower"):
        yield "the baseline was judged different from itself: the machine is too noisy"
    if record.unsteady:
        yield f"times moved while they were measured: {record.unsteady}; give a larger budget_s"
    if record.disturbed:
        yield f"{record.disturbed} of {record.rounds} pairs were disturbed by foreign load"
    yield from map(str, notes)


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[], bool]]:
    """Yield a function that advances a progress bar between pairs, so as not to disturb them."""
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, auto_refresh=False, disable=not show)
    with bar:
        task = bar.add_task("pairs", total=None)
        drawn_s = [0.0]

        def advance() -> bool:
            now_s = bar.get_time()
            bar.update(task, advance=1, description=f"pair {int(bar.tasks[0].completed) + 1}")
            if now_s - drawn_s[0] > _REDRAW_S:
                bar.refresh()
                drawn_s[0] = now_s
            return False

        yield advance
