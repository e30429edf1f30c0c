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
from bench.costs.profiler import Seen, Tell, spans_of, watch_calls, watch_memory
from bench.machine.environment import read_environment
from bench.records.arm_costs import KINDS, Case
from bench.records.call_profile import PROFILE_SCHEMA, Profiled, Stack, Timeline, Watched
from bench.records.environment import warnings
from bench.records.errors import InputError
from bench.records.task import Ending, ProfileJob, Task
from bench.report.units import counted
from bench.suite.availability import check_devices
from bench.timing.device import found_devices
from bench.usercode.failures import failure
from bench.worker.process import report, work

_WARM_UP_CALLS = 3
# More would only make figures large; the peak is kept however many there are.
_STRETCHES = 500
# Kineto writes to standard error that it found no GPU, and when it starts; 99 is above every level.
_QUIET = {"KINETO_LOG_LEVEL": "99"}


def run(task: Task[ProfileJob]) -> None:
    """Profile each case of a task."""
    work(task, partial(profile, tell=partial(report, task)))


def profile(job: ProfileJob, tell: Tell) -> Ending:
    """Profile a case and write its data files; ``tell`` receives the progress.

    No folder is left where the arm fails.
    """
    try:
        _measure(job, tell)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        traceback.print_exception(error)
        status, said = failure(error)
        return Ending(status=status, error=said)
    return Ending()


def _measure(job: ProfileJob, tell: Tell) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    check_devices([job.device], found_devices())
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    environment = read_environment()
    seen, memory = _watch(job.case, job.calls, tell)
    tell("memory and files")
    found = stacks([spans_of(each.events(), job.device) for each in seen.calm()])
    warned = list(map(str, warnings(environment)))
    profiled = replace(_profiled(job.case, seen, found, warned), watched=memory)
    more = {"environment": asdict(environment), "started": started, "command": job.command}
    _write(job, seen, found, {"schema": PROFILE_SCHEMA, **asdict(profiled), **more})


def _watch(case: Case, calls: int, tell: Tell) -> tuple[Seen, Watched]:
    """Build the arm of a case, warm it up, and watch its calls, then the memory of another."""
    tell("building and warming up")
    with pinned_precision():
        arm = build_candidate(case.arm, case.workload)
        for _ in range(_WARM_UP_CALLS):
            arm()
        return watch_calls(arm, calls, tell), watch_memory(arm)


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


def _write(job: ProfileJob, seen: Seen, found: Sequence[Stack], everything: dict[str, Any]) -> None:
    """Write the data files; profile.json is the last, so that a folder that has it is whole."""
    job.folder.mkdir(parents=True)
    seen.calm()[0].export_chrome_trace(str(job.folder / "trace.json"))
    (job.folder / "stacks.txt").write_text("\n".join([*collapsed(found), ""]), encoding="utf-8")
    if seen.snapshot is not None:
        (job.folder / "memory_snapshot.pickle").write_bytes(pickle.dumps(seen.snapshot))
    text = json.dumps(everything, allow_nan=False)
    (job.folder / "profile.json").write_text(f"{text}\n", encoding="utf-8")
