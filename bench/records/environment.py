"""The machine of a run: its record, differences between two, and warnings. No torch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.records.comparison import DEVICES
from bench.records.notes import Note, NoteKind

# Limits of foreign load before a run: share of the cores, percent of the last ten seconds.
_BUSY_SHARE = 0.5
_WAITING_PERCENT = 10
_COMMIT_DIGITS = 10
_STOP_OTHERS = "stop other programs (list them with top)"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The machine of a run. Names end in their units; ``None`` if the machine has no such value.

    ``cores`` are those that this process may use, of the machine's ``cores_total``;
    ``quota_cores`` and ``memory_limit_bytes`` are a container's limits, ``None`` without one.
    ``variables`` holds the environment variables that were set and change how torch computes.
    ``load_1min`` and ``waiting_percent`` (the share of ten seconds in which some process waited for
    a core) were read before the run. Fields ``gpu_*`` describe the measured GPU; its clocks were
    read then, too. ``code`` is a digest of the code that measures and is measured.
    """

    host: str
    os: str
    python: str
    torch: str
    torch_build: str
    cpu: str
    cpu_flags: tuple[str, ...]
    cores: int
    threads: int
    memory_bytes: int | None
    last_level_cache_bytes: int | None
    cxx: str | None
    gpus: tuple[str, ...]
    gpu_driver: str | None
    cuda: str | None
    commit: str | None
    dirty: bool | None
    packages: dict[str, str | None]
    import_torch_s: float
    code: str | None = None
    cores_total: int | None = None
    cores_physical: int | None = None
    quota_cores: float | None = None
    memory_limit_bytes: int | None = None
    governor: str | None = None
    turbo: bool | None = None
    interop_threads: int | None = None
    math_libraries: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    load_1min: float | None = None
    waiting_percent: float | None = None
    gpu_sm_mhz: int | None = None
    gpu_sm_max_mhz: int | None = None
    gpu_memory_mhz: int | None = None
    gpu_memory_max_mhz: int | None = None
    gpu_power_limit_w: float | None = None
    gpu_persistence: bool | None = None
    gpu_mig: bool | None = None
    gpu_other_processes: int | None = None
    no_energy: dict[str, str] = field(default_factory=dict)

    def device_name(self, device: str) -> str:
        """Return the model of the processor for ``cpu``, of the GPU for ``cuda``."""
        return self.gpus[0] if device == "cuda" and self.gpus else self.cpu

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that can be measured here."""
        return DEVICES if self.gpus else DEVICES[:1]

    @property
    def usable_cores(self) -> int:
        """Maximum number of threads at once, by affinity and the container's quota."""
        quota = self.cores if self.quota_cores is None else max(1, int(self.quota_cores))
        return min(self.cores, quota)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def short_commit(commit: str) -> str:
    """Return the first digits of a git revision, or of another digest."""
    return commit[:_COMMIT_DIGITS]


# Fields that must stay the same during a run, with a label and a formatter of their values.
_IDENTITY: dict[str, tuple[str, Callable[[Any], str]]] = {
    "cpu": ("CPU", str),
    "cores": ("number of cores", str),
    "quota_cores": ("quota of cores", str),
    "memory_limit_bytes": ("memory limit", _size),
    "gpus": ("GPUs", _names),
    "threads": ("number of torch threads", str),
    "torch": ("torch", str),
    "python": ("Python", str),
    "commit": ("commit", short_commit),
    "code": ("code of vitbench", short_commit),
}
# Fields by which two runs were made on one kind of machine: processors of one name may differ in
# their instructions. Then those of what was measured.
_KIND = _IDENTITY | {"cpu_flags": ("CPU instructions", _names)}
_MACHINE = ("cpu", "cpu_flags", "cores", "quota_cores", "gpus", "threads")
_VERSIONS = ("torch", "python", "commit", "code")
# None means unknown in these, which is not a difference; in the others it means absent.
_UNKNOWN = ("commit", "code")


def differences(before: Environment, now: Environment) -> list[str]:
    """Return the differences that prevent a resume, such as ``torch was 2.9.0, is 2.15.0``.

    Machine, commit, code, Python and torch count; load and clocks do not. Empty if the run can be
    resumed.
    """
    found = _unequal(before, now, tuple(_IDENTITY))
    return [f"{label} was {was}, is {is_now}" for label, was, is_now in found]


def machine_differences(first: Environment, second: Environment) -> list[str]:
    """Return the differences of two machines, such as ``CPU (AMD EPYC against Intel Xeon)``."""
    return _opposed(first, second, _MACHINE)


def version_differences(first: Environment, second: Environment) -> list[str]:
    """Return the differences of what was measured and with which versions, on two machines."""
    # The code of two commits differs, too.
    names = _VERSIONS[:-1] if first.commit != second.commit else _VERSIONS
    return _opposed(first, second, names)


def _opposed(first: Environment, second: Environment, names: tuple[str, ...]) -> list[str]:
    found = _unequal(first, second, names)
    return [f"{label} ({one} against {two})" for label, one, two in found]


def _unequal(
    first: Environment, second: Environment, names: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield the label and both values of each field of these names that differs."""
    for name in names:
        label, text = _KIND[name]
        values = getattr(first, name), getattr(second, name)
        if values[0] == values[1] or (name in _UNKNOWN and None in values):
            continue
        one, two = ("none" if each is None else text(each) for each in values)
        yield label, one, two


def warnings(environment: Environment) -> list[Note]:
    """Return what makes measurements on this machine worse, each with its remedy."""
    checks = (_threads, _governor, _load, _waiting, _persistence, _other_processes, _mig)
    return [note for check in checks if (note := check(environment)) is not None]


def _warning(subject: str, text: str, remedy: str) -> Note:
    return Note(kind=NoteKind.MACHINE, subject=subject, text=text, remedy=remedy)


def _threads(environment: Environment) -> Note | None:
    cores, threads = environment.usable_cores, environment.threads
    if threads <= cores:
        return None
    text = f"{threads} torch threads on {cores} usable {'core' if cores == 1 else 'cores'}"
    return _warning("threads", text, f"set OMP_NUM_THREADS={cores}")


def _governor(environment: Environment) -> Note | None:
    if environment.governor in {None, "performance"}:
        return None
    text = f"the CPU's governor is {environment.governor}: its clock follows the load"
    remedy = "set it with: sudo cpupower frequency-set -g performance"
    return _warning("governor", text, remedy)


def _load(environment: Environment) -> Note | None:
    load, cores = environment.load_1min, environment.cores_total or environment.cores
    if load is None or load <= _BUSY_SHARE * cores:
        return None
    text = f"the load average is {load:.1f} on {cores} cores before the run begins"
    return _warning("load", text, _STOP_OTHERS)


def _waiting(environment: Environment) -> Note | None:
    percent = environment.waiting_percent
    if percent is None or percent <= _WAITING_PERCENT:
        return None
    text = f"programs waited for a core in {percent:.0f} % of the last 10 s"
    return _warning("waiting", text, _STOP_OTHERS)


def _persistence(environment: Environment) -> Note | None:
    if environment.gpu_persistence is not False:
        return None
    text = "the GPU's persistence mode is off: its driver unloads between passes"
    return _warning("GPU persistence", text, "set it with: sudo nvidia-smi -pm 1")


def _other_processes(environment: Environment) -> Note | None:
    count = environment.gpu_other_processes
    if not count:
        return None
    text = f"other processes on the GPU: {count}"
    return _warning("GPU processes", text, "end them (list them with nvidia-smi)")


def _mig(environment: Environment) -> Note | None:
    if not environment.gpu_mig:
        return None
    text = "the GPU is divided (MIG): its parts share power and memory bandwidth"
    return _warning("MIG", text, "disable MIG with: sudo nvidia-smi -mig 0")
