"""Stand-ins for a machine: time, sources of counters, files of the kernel, and NVML."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class FakeTime:
    """A clock in seconds that only moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Seconds by now."""
        return self.now_s


@dataclass
class FakeMeter:
    """The energy counter of a device that draws ``watts``; a look takes a thousandth of a tick."""

    time: FakeTime
    watts: float = 100.0
    tick_s: float = 0.1
    name: str = "fake"

    def joules(self) -> float:
        """Joules up to the newest tick."""
        self.time.now_s += self.tick_s / 1000
        return self.watts * self.tick_s * (self.time.now_s // self.tick_s)


@dataclass
class FakeSource:
    """A counter that a test raises; each rise disturbs, as ``cause``."""

    cause: str = "noise"
    every_s: float = 0.0
    count: int = 0
    error: Exception | None = None

    def read(self) -> int:
        """The counter, or the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.count

    def causes(self, before: int, after: int, elapsed_s: float) -> tuple[str, ...]:
        """The cause where the counter rose."""
        del elapsed_s
        return (self.cause,) if after > before else ()


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write texts under ``root``, which is given back, with the folders that they need."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def write_waits(tasks: Path, waits_ns: Iterable[int], *, ran_ns: int = 10**9) -> Path:
    """Write the scheduler's account of each thread: it ran, waited, and had turns."""
    return write_files(
        tasks,
        {f"{100 + at}/schedstat": f"{ran_ns} {ns} 7\n" for at, ns in enumerate(waits_ns)},
    )


def pressure(total_us: int, avg10: float = 0.0) -> str:
    """The text of a pressure file."""
    averages = f"avg10={avg10:.2f} avg60=0.00 avg300=0.00"
    return f"some {averages} total={total_us}\nfull {averages} total=0\n"


class NVMLError(Exception):
    """What NVML raises, whatever it was asked."""


@dataclass
class FakeNvml:
    """NVML of one GPU that is fine: a test changes the answers, and drops those it cannot give.

    ``gpus`` are the handles by UUID. Of MIG parts the handle is that of the whole GPU in brackets.
    """

    answers: dict[str, Any] = field(
        default_factory=lambda: {
            "CurrentClocksEventReasons": 0,
            "ComputeRunningProcesses": [],
            "ClockInfo": 1980,
            "MaxClockInfo": 1980,
            "Temperature": 40,
            "TemperatureThreshold": 87,
            "EnforcedPowerLimit": 700_000,
            "PersistenceMode": 1,
            "MigMode": [0, 0],
        }
    )
    gpus: dict[str, str] = field(default_factory=dict)

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0
    NVML_TEMPERATURE_THRESHOLD_GPU_MAX = 3
    nvmlClocksThrottleReasonGpuIdle = 0x1
    nvmlClocksThrottleReasonSwPowerCap = 0x4
    nvmlClocksThrottleReasonHwSlowdown = 0x8
    nvmlClocksThrottleReasonSwThermalSlowdown = 0x20
    nvmlClocksThrottleReasonHwThermalSlowdown = 0x40
    nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 0x80

    def __getattr__(self, name: str) -> Callable[..., Any]:
        what = name.removeprefix("nvmlDeviceGet")
        if what not in self.answers:
            raise AttributeError(name)

        def answer(*_: Any) -> Any:
            value = self.answers[what]
            if isinstance(value, Exception):
                raise value
            return value

        return answer

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        """The version of the driver."""
        return str(self.answers.get("DriverVersion", "580.82.07"))

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        """The handle of a GPU or of a part of one."""
        if uuid not in self.gpus:
            raise NVMLError(uuid)
        return self.gpus[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: str) -> str:  # noqa: N802
        """The handle of the GPU that a part belongs to."""
        return part.strip("[]")

    def run_processes(self, *pids: int) -> None:
        """Let these processes compute on the GPU."""
        self.answers["ComputeRunningProcesses"] = [SimpleNamespace(pid=pid) for pid in pids]
