"""Profile jobs: time of one call by component and operator, its memory, and the data files."""

import json
import os
import pickle
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

from bench.analysis.attribution import by_component, by_operator, collapsed, stacks
from bench.analysis.memory_timeline import thinned, timeline
from bench.arms.building import build_candidate
from bench.arms.levels import pinned_precision
from bench.costs.memory_prediction import trace
from bench.costs.profiler import Notify, ProfilingResult, profile_calls, spans_of, trace_memory
from bench.files.atomic import write_atomically
from bench.machine.environment import read_environment
from bench.records.arm_costs import MEMORY_KINDS, Case
from bench.records.call_profile import PROFILE_SCHEMA, CallProfile, MemoryTrace, Stack, Timeline
from bench.records.environment import warnings
from bench.records.errors import InputError
from bench.records.task import Ending, ProfileJob, Task
from bench.report.units import counted
from bench.suite.availability import check_devices
from bench.timing.device import found_devices
from bench.usercode.failures import failure
from bench.worker.process import report, work

_WARM_UP_CALLS = 3
# Stretches of a timeline in profile.json; each keeps its extremes, so the peak is exact.
_STRETCHES = 500
# Kineto writes to standard error that it found no GPU, and when it starts; 99 is above every level.
_QUIET = {"KINETO_LOG_LEVEL": "99"}


def run(task: Task[ProfileJob]) -> None:
    """Profile each case of a task."""
    work(task, partial(profile, notify=partial(report, task)))


def profile(job: ProfileJob, notify: Notify) -> Ending:
    """Profile a case and write its data files; ``notify`` receives the progress.

    No folder is left if the arm fails.
    """
    try:
        _measure(job, notify)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        traceback.print_exception(error)
        status, message = failure(error)
        return Ending(status=status, error=message)
    return Ending()


def _measure(job: ProfileJob, notify: Notify) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    check_devices([job.device], found_devices())
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    environment = read_environment()
    result, memory = _watch(job.case, job.calls, notify)
    notify("memory and files")
    found = stacks([spans_of(each.events(), job.device) for each in result.calm()])
    warned = list(map(str, warnings(environment)))
    profiled = replace(_profiled(job.case, result, found, warned), watched=memory)
    more = {"environment": asdict(environment), "started": started, "command": job.command}
    _write(job, result, found, {"schema": PROFILE_SCHEMA, **asdict(profiled), **more})


def _watch(case: Case, calls: int, notify: Notify) -> tuple[ProfilingResult, MemoryTrace]:
    """Build and warm up the arm of a case; profile its calls, then trace the memory of another."""
    notify("building and warming up")
    with pinned_precision():
        arm = build_candidate(case.arm, case.workload)
        for _ in range(_WARM_UP_CALLS):
            arm()
        return profile_calls(arm, calls, notify), trace_memory(arm)


def _profiled(
    case: Case, result: ProfilingResult, found: Sequence[Stack], warned: Sequence[str]
) -> CallProfile:
    memory, missing = _memory(case)
    ratios = (p / s for p, s in zip(result.profiled_s, result.plain_s, strict=True))
    return CallProfile(
        case=case,
        calls=len(result.plain_s),
        wall_s=median(result.plain_s),
        profiled_s=median(result.profiled_s),
        overhead=median(ratios),
        components=by_component(found),
        operators=by_operator(found),
        memory=memory,
        notes=(*missing, *_disturbed(result), *(f"Warning: {text}" for text in warned)),
    )


def _disturbed(result: ProfilingResult) -> Iterator[str]:
    """Yield a note if foreign load, which does not slow all operators alike, disturbed pairs."""
    if result.disturbed:
        causes = ", ".join(f"{cause} {pairs}" for cause, pairs in result.causes.items())
        yield (
            f"Foreign load disturbed {result.disturbed} of {counted(len(result.plain_s), 'pair')} "
            f"({causes}); for better shares profile again on a quiet machine."
        )


def _memory(case: Case) -> tuple[Timeline | None, tuple[str, ...]]:
    """Return the predicted memory over a call, or the reason that there is none."""
    try:
        traced = trace(case)
    except InputError as error:
        return None, (str(error),)
    return thinned(
        timeline(traced.blocks, MEMORY_KINDS, traced.since, traced.phases), _STRETCHES
    ), ()


def _write(
    job: ProfileJob, result: ProfilingResult, found: Sequence[Stack], everything: dict[str, Any]
) -> None:
    """Write the data files; profile.json comes last, so that it marks a complete folder."""
    job.folder.mkdir(parents=True)
    result.calm()[0].export_chrome_trace(str(job.folder / "trace.json"))
    (job.folder / "stacks.txt").write_text("\n".join([*collapsed(found), ""]), encoding="utf-8")
    if result.snapshot is not None:
        (job.folder / "memory_snapshot.pickle").write_bytes(pickle.dumps(result.snapshot))
    text = json.dumps(everything, allow_nan=False)
    write_atomically(job.folder / "profile.json", f"{text}\n")
