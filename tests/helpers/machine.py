"""Fakes for a machine: time, counters, kernel files and NVML."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class FakeTime:
    """Clock in seconds advanced by a test only."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s


@dataclass
class FakeMeter:
    """Energy counter of a device that draws ``watts``; a read takes a thousandth of a tick."""

    time: FakeTime
    watts: float = 100.0
    tick_s: float = 0.1
    name: str = "fake"

    def joules(self) -> float:
        """Return the joules up to the last tick."""
        self.time.now_s += self.tick_s / 1000
        return self.watts * self.tick_s * (self.time.now_s // self.tick_s)


@dataclass
class FakeSource:
    """Counter set by a test; each increase is a disturbance with this cause."""

    cause: str = "noise"
    every_s: float = 0.0
    count: int = 0
    error: Exception | None = None

    def read(self) -> int:
        """Return the counter, or raise the given error."""
        if self.error is not None:
            raise self.error
        return self.count

    def causes(self, before: int, after: int, elapsed_s: float) -> tuple[str, ...]:
        """Return the cause if the counter increased."""
        del elapsed_s
        return (self.cause,) if after > before else ()


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write text files and their folders under ``root``; return ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def write_waits(tasks: Path, waits_ns: Iterable[int], *, ran_ns: int = 10**9) -> Path:
    """Write each thread's schedstat: time on the CPU, time waiting, timeslices."""
    return write_files(
        tasks,
        {f"{100 + at}/schedstat": f"{ran_ns} {ns} 7\n" for at, ns in enumerate(waits_ns)},
    )


def pressure(total_us: int, avg10: float = 0.0) -> str:
    """Return the text of a pressure file."""
    averages = f"avg10={avg10:.2f} avg60=0.00 avg300=0.00"
    return f"some {averages} total={total_us}\nfull {averages} total=0\n"


class NVMLError(Exception):
    """Error of every failing NVML call."""


@dataclass
class FakeNvml:
    """NVML of one healthy GPU; a test changes answers, or removes unsupported ones.

    ``gpus`` has the handles by UUID. The handle of a MIG device is the GPU's handle in brackets.
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
        """Return the driver's version."""
        return str(self.answers.get("DriverVersion", "580.82.07"))

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        """Return the handle of a GPU or of a MIG device."""
        if uuid not in self.gpus:
            raise NVMLError(uuid)
        return self.gpus[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part: str) -> str:  # noqa: N802
        """Return the handle of the GPU that a MIG device belongs to."""
        return part.strip("[]")

    def run_processes(self, *pids: int) -> None:
        """Make these processes compute on the GPU."""
        self.answers["ComputeRunningProcesses"] = [SimpleNamespace(pid=pid) for pid in pids]
