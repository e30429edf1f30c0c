"""Profiles from request to folder: a worker measures and writes the data, plots follow from it.

The folder holds::

    profile.json            all data
    trace.json              the fastest profiled call, for ui.perfetto.dev
    stacks.txt              collapsed stacks for flame graphs
    components, operators, memory, memory-measured   .png and .svg
    memory_snapshot.pickle  on CUDA: every allocation of one call, for pytorch.org/memory_viz
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.files.journal import Event
from bench.files.lock import device_locks
from bench.files.run_folder import check_run_folder, read_json, record_from
from bench.records.arm_costs import Case
from bench.records.call_profile import PROFILE_SCHEMA, CallProfile
from bench.records.environment import Environment
from bench.records.errors import InputError, RunError
from bench.records.task import Ending, ProfileJob
from bench.report.labels import case_name
from bench.runs.tasks import run_alone

# What to do about an arm that failed; the message of a time limit names its option.
_REMEDIES = {
    "oom": "give a smaller --batch-size",
    "crashed": "try another --precision, --attention or --compile",
}


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """Request for a profile: case, number of calls, and folder."""

    case: Case
    calls: int
    """Number of profiled calls, each paired with an unprofiled call."""
    folder: Path
    """New folder."""
    command: str
    """Command line that repeats the profile."""
    case_timeout_s: float = 600.0
    """Seconds after which a call, or the preparation of the first, counts as hung."""
    lock: bool = True
    """Whether to measure alone on the device."""


@dataclass(frozen=True, kw_only=True)
class ProfileFolder:
    """The data of a profile, read from its folder."""

    folder: Path
    profiled: CallProfile
    environment: Environment
    started: str
    """Start of the profile, in ISO 8601."""
    command: str
    """Command line that repeats the profile."""


def profile(request: ProfileRequest, notify: Callable[[str], object]) -> ProfileFolder:
    """Profile a case in a worker, which writes the data; ``notify`` receives its progress.

    Raises InputError, before anything is written, for a case that cannot be profiled here, RunError
    if the arm fails or its process ends.
    """
    check_run_folder(request.folder)
    workload = request.case.workload
    job = ProfileJob(
        case=request.case,
        calls=request.calls,
        folder=request.folder.absolute(),
        command=request.command,
    )

    def watch(event: Event) -> None:
        if event["kind"] == "progress":
            notify(event["text"])

    with device_locks([workload.device], request.command) if request.lock else nullcontext():
        event = run_alone("profile", job, request.case_timeout_s, watch)
    ending = record_from(event, Ending)
    if ending.status == "skipped":
        raise InputError(str(ending.error))
    if ending.status != "ok":
        reason = f"{case_name(request.case)} was not profiled ({ending.status}): {ending.error}"
        raise RunError("; ".join(filter(None, (reason, _REMEDIES.get(ending.status)))))
    return read(request.folder)


def read(folder: Path) -> ProfileFolder:
    """Read the data of a profile. Raises InputError for a folder without one."""
    path = folder / "profile.json"
    plain = read_json(path, "a profile, such as results/profile-<time>", (PROFILE_SCHEMA,))
    try:
        return record_from({**plain, "folder": str(folder), "profiled": plain}, ProfileFolder)
    except ValueError as error:
        raise InputError(f"{path} was changed by hand ({error}); restore it") from error


def draw(found: ProfileFolder, top: int) -> list[Path]:
    """Draw the plots of a profile, with the ``top`` operators; return the paths written."""
    from bench.report.plots.call_profile import write_profile_plots
    from bench.report.provenance import provenance

    source = provenance(found.environment, found.command, found.started)
    return write_profile_plots(found.folder, found.profiled, top, source)
