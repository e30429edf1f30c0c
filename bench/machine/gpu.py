"""The GPU by NVML: its properties, and disturbances of a measurement.

pynvml is imported where it is used, since most machines have no GPU.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.records.errors import one_line

# Minimum time between two readings: a query takes up to a millisecond.
_EVERY_S = 0.1
# Boost moves the clock by a few steps of 15 MHz under a steady load; a larger drop is a slowdown.
_CLOCK_KEPT = 0.95

HOT = "hot"
POWER_BRAKE = "power brake"
HARDWARE = "slowed by hardware"
CLOCK_DROPPED = "clock dropped"
FOREIGN = "foreign process on the GPU"


class Gpu:
    """One GPU. Facts that an old driver, a MIG part or missing rights hide are None."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml, self._handle = nvml, handle

    def ask(self, what: str, *arguments: Any) -> Any:
        """Return the answer of ``nvmlDeviceGet<what>``; None if it fails."""
        try:
            return getattr(self.nvml, f"nvmlDeviceGet{what}")(self._handle, *arguments)
        except (AttributeError, self.nvml.NVMLError):
            return None

    def driver(self) -> str | None:
        """Return the version of the driver; None if unknown."""
        try:
            return str(self.nvml.nvmlSystemGetDriverVersion())
        except self.nvml.NVMLError:
            return None

    def slowdowns(self) -> tuple[str, ...]:
        """Return the reasons for reduced clocks, except idling and the ordinary power cap."""
        reasons = self.ask("CurrentClocksEventReasons")
        if reasons is None:
            reasons = self.ask("CurrentClocksThrottleReasons") or 0
        nvml = self.nvml
        thermal = (
            nvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | nvml.nvmlClocksThrottleReasonHwThermalSlowdown
        )
        bits = {
            HOT: thermal,
            POWER_BRAKE: nvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
            HARDWARE: nvml.nvmlClocksThrottleReasonHwSlowdown,
        }
        return tuple(cause for cause, bit in bits.items() if reasons & bit)

    def process_bytes(self) -> int | None:
        """Return this process's GPU memory in bytes, its context included; None if unknown.

        In a container NVML may list processes by the host's numbers: a single one is then ours.
        """
        listed = self.ask("ComputeRunningProcesses") or ()
        own = [each for each in listed if each.pid == os.getpid()] or list(listed)
        return own[0].usedGpuMemory if len(own) == 1 else None

    def other_processes(self, ours: int) -> int | None:
        """Return the number of processes on this GPU, except the ``ours`` of this program.

        NVML counts every process that holds memory, busy or not. In a container it may list them
        by the host's numbers, so that this process does not find its own. None if unknown.
        """
        listed = self.ask("ComputeRunningProcesses")
        if listed is None:
            return None
        pids = {each.pid for each in listed}
        return max(0, len(pids) - (1 if os.getpid() in pids else ours))


@cache
def torch_gpu() -> Gpu:
    """Return the GPU with torch's index 0. Raises OSError if NVML does not have it."""
    import pynvml
    import torch

    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(0).uuid
        return Gpu(pynvml, _handle(pynvml, str(uuid)))
    except (pynvml.NVMLError, AttributeError, AssertionError, RuntimeError) as error:
        raise OSError(one_line(error)) from error


def _handle(nvml: Any, uuid: str) -> Any:
    """Return the GPU with this UUID, or the GPU of this MIG part. Raises NVMLError."""
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        part = nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """One reading of the GPU: ``clock`` is the SM clock / the highest one so far."""

    clock: float | None
    slowdowns: tuple[str, ...]
    temperature_c: int | None
    foreign: int | None


class GpuLoad:
    """A source of disturbances: heat, slowdowns, a falling clock, other programs on the GPU.

    It is read right after a pair, so that the clock is the one under load.
    """

    every_s = _EVERY_S

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._highest_mhz = 0
        self._hot_c = gpu.ask("TemperatureThreshold", gpu.nvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX)

    @classmethod
    def of_torch(cls) -> "GpuLoad":
        """Watch the GPU with torch's index 0. Raises OSError."""
        return cls(torch_gpu())

    def read(self) -> GpuState:
        """Read the GPU; takes up to a few milliseconds."""
        mhz = self._gpu.ask("ClockInfo", self._gpu.nvml.NVML_CLOCK_SM)
        self._highest_mhz = max(self._highest_mhz, mhz or 0)
        return GpuState(
            clock=mhz / self._highest_mhz if mhz else None,
            slowdowns=self._gpu.slowdowns(),
            temperature_c=self._gpu.ask("Temperature", self._gpu.nvml.NVML_TEMPERATURE_GPU),
            foreign=self._gpu.other_processes(ours=1),
        )

    def causes(self, before: GpuState, after: GpuState, elapsed_s: float) -> tuple[str, ...]:
        """Return what slowed the GPU down at the end of these pairs."""
        del before, elapsed_s
        hot = None not in (self._hot_c, after.temperature_c) and after.temperature_c >= self._hot_c
        found = {
            **dict.fromkeys(after.slowdowns, True),
            HOT: hot or HOT in after.slowdowns,
            CLOCK_DROPPED: after.clock is not None and after.clock < _CLOCK_KEPT,
            FOREIGN: bool(after.foreign),
        }
        return tuple(cause for cause, is_so in found.items() if is_so)


def gpu_facts() -> dict[str, Any]:
    """Return the facts of the GPU with torch's index 0, as fields of Environment.

    Clocks are in MHz, the power limit in watts. Empty without a GPU.
    """
    try:
        gpu = torch_gpu()
    except (OSError, ImportError):
        return {}
    nvml = gpu.nvml
    power_mw, mig = gpu.ask("EnforcedPowerLimit"), gpu.ask("MigMode")
    persistence = gpu.ask("PersistenceMode")
    return {
        "gpu_driver": gpu.driver(),
        "gpu_sm_mhz": gpu.ask("ClockInfo", nvml.NVML_CLOCK_SM),
        "gpu_sm_max_mhz": gpu.ask("MaxClockInfo", nvml.NVML_CLOCK_SM),
        "gpu_memory_mhz": gpu.ask("ClockInfo", nvml.NVML_CLOCK_MEM),
        "gpu_memory_max_mhz": gpu.ask("MaxClockInfo", nvml.NVML_CLOCK_MEM),
        "gpu_power_limit_w": None if power_mw is None else power_mw / 1000,
        "gpu_persistence": None if persistence is None else bool(persistence),
        "gpu_mig": None if mig is None else bool(mig[0]),
        "gpu_other_processes": gpu.other_processes(ours=0),
    }
