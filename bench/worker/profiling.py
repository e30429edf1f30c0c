"""Profiles one case in this process: time by component and operator, memory, files to look at.

The folder holds::

    profile.json            everything as data
    trace.json              the fastest profiled call, for ui.perfetto.dev
    stacks.txt              collapsed stacks for flame graphs
    components, operators, memory, memory-measured   .png and .svg
    memory_snapshot.pickle  on CUDA: every allocation of one call, for pytorch.org/memory_viz
"""

import json
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.analysis.attribution import by_component, by_operator, collapsed, stacks
from bench.analysis.memory_timeline import thinned, timeline
from bench.arms.building import build_candidate
from bench.arms.levels import pinned_precision
from bench.costs.memory_prediction import trace
from bench.costs.profiler import Seen, Tell, spans_of, watch_calls, watch_memory
from bench.files.lock import device_locks
from bench.files.run_folder import check_run_folder
from bench.machine.environment import read_environment
from bench.records.arm_costs import KINDS, Case
from bench.records.call_profile import Profiled, Stack, Timeline, Watched
from bench.records.environment import Environment, warnings
from bench.records.errors import InputError, RunError
from bench.report.plots.call_profile import write_profile_plots
from bench.report.tables.verdicts import provenance
from bench.report.units import counted
from bench.suite.availability import check_devices
from bench.timing.device import found_devices
from bench.usercode.failures import failure

SCHEMA = 1
_WARM_UP_CALLS = 3
# More would only make figures large; the peak is kept however many there are.
_STRETCHES = 500
# Kineto tells on standard error that it found no GPU, and when it starts; 99 is beyond every level.
_QUIET = {"KINETO_LOG_LEVEL": "99"}


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """What to profile: so many ``calls``, the ``top`` operators in the plot, into a new folder."""

    case: Case
    calls: int
    top: int
    folder: Path
    command: str
    lock: bool = True


@dataclass(frozen=True, kw_only=True)
class _Made:
    """Where and when a profile was made; ``started`` is in ISO 8601."""

    environment: Environment
    started: str


def profile_case(request: ProfileRequest, tell: Tell) -> Profiled:
    """Profile a case and write its folder; ``tell`` hears how far it is.

    Raises InputError, before anything is written, for what cannot be profiled here, and RunError
    where the arm fails.
    """
    check_run_folder(request.folder)
    device, started = request.case.workload.device, datetime.now(UTC)
    check_devices([device], found_devices())
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with device_locks([device], request.command) if request.lock else nullcontext():
        environment = read_environment()
        seen, memory = _watch(request.case, request.calls, tell)
    tell("memory and files")
    found = stacks([spans_of(each.events(), device) for each in seen.calm()])
    warned = list(map(str, warnings(environment)))
    profiled = replace(_profiled(request.case, seen, found, warned), watched=memory)
    made = _Made(environment=environment, started=started.isoformat(timespec="seconds"))
    _write(request, profiled, seen, found, made)
    return profiled


def _watch(case: Case, calls: int, tell: Tell) -> tuple[Seen, Watched]:
    """Build the arm of a case, warm it up, and watch its calls, then the memory of another."""
    tell("building and warming up")
    with pinned_precision():
        with _failing(case):
            arm = build_candidate(case.arm, case.workload)
            for _ in range(_WARM_UP_CALLS):
                arm()
        return watch_calls(arm, calls, tell), watch_memory(arm)


@contextmanager
def _failing(case: Case) -> Iterator[None]:
    """Say in one line why an arm does not run. Raises InputError or RunError."""
    try:
        yield
    except Exception as error:
        status, said = failure(error)
        if status == "skipped":
            raise InputError(said) from error
        raise RunError(f"{case.workload} did not run ({status}): {said}") from error


def _profiled(case: Case, seen: Seen, found: Sequence[Stack], warned: Sequence[str]) -> Profiled:
    memory, missing = _memory(case)
    ratios = (p / s for p, s in zip(seen.profiled_s, seen.plain_s, strict=True))
    return Profiled(
        case=case,
        calls=len(seen.plain_s),
        wall_s=median(seen.plain_s),
        profiled_s=median(seen.profiled_s),
        overhead=median(ratios),
        components=by_component(found),
        operators=by_operator(found),
        memory=memory,
        notes=(*missing, *_disturbed(seen), *(f"Warning: {text}" for text in warned)),
    )


def _disturbed(seen: Seen) -> Iterator[str]:
    """What to know of foreign load, which does not slow all operators alike."""
    if seen.disturbed:
        causes = ", ".join(f"{cause} {pairs}" for cause, pairs in seen.causes.items())
        yield (
            f"Foreign load disturbed {seen.disturbed} of {counted(len(seen.plain_s), 'pair')} "
            f"({causes}); for better shares profile again on a quiet machine."
        )


def _memory(case: Case) -> tuple[Timeline | None, tuple[str, ...]]:
    """Memory over a call as its shapes predict it, or why they cannot."""
    try:
        seen = trace(case)
    except InputError as error:
        return None, (str(error),)
    return thinned(timeline(seen.blocks, KINDS, seen.since, seen.phases), _STRETCHES), ()


def _write(
    request: ProfileRequest,
    profiled: Profiled,
    seen: Seen,
    found: Sequence[Stack],
    made: _Made,
) -> None:
    folder = request.folder
    folder.mkdir(parents=True)
    seen.calm()[0].export_chrome_trace(str(folder / "trace.json"))
    (folder / "stacks.txt").write_text("\n".join([*collapsed(found), ""]), encoding="utf-8")
    if seen.snapshot is not None:
        (folder / "memory_snapshot.pickle").write_bytes(pickle.dumps(seen.snapshot))
    source = provenance(made.environment, request.command, made.started)
    write_profile_plots(folder, profiled, request.top, source)
    plain = {"schema": SCHEMA, "command": request.command, **asdict(profiled), **asdict(made)}
    text = json.dumps(plain, allow_nan=False)
    (folder / "profile.json").write_text(f"{text}\n", encoding="utf-8")
