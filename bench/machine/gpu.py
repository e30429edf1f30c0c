"""The GPU as NVML sees it: what it is, and what disturbs it.

pynvml is imported where it is used, and handed on: most machines have no GPU.
"""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.records.errors import one_line

# A query takes up to a millisecond, so look so often at most.
_EVERY_S = 0.1
# Boost moves the clock by a few steps of 15 MHz under an even load; beyond, it is another speed.
_CLOCK_KEPT = 0.95

HOT = "hot"
POWER_BRAKE = "power brake"
HARDWARE = "slowed by hardware"
CLOCK_DROPPED = "clock dropped"
FOREIGN = "foreign process on the GPU"


class Gpu:
    """One GPU. Whatever it does not tell is None: an old driver, a part of a GPU, no right to."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml, self._handle = nvml, handle

    def ask(self, what: str, *arguments: Any) -> Any:
        """The answer of ``nvmlDeviceGet<what>``."""
        try:
            return getattr(self.nvml, f"nvmlDeviceGet{what}")(self._handle, *arguments)
        except (AttributeError, self.nvml.NVMLError):
            return None

    def driver(self) -> str | None:
        """Version of the driver."""
        try:
            return str(self.nvml.nvmlSystemGetDriverVersion())
        except self.nvml.NVMLError:
            return None

    def slowdowns(self) -> tuple[str, ...]:
        """Why the clocks are held down, but for idling and the ordinary power cap."""
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
        """What this process holds of the GPU's memory, its context included.

        In a container NVML may name processes by the host's numbers: a single one is then ours.
        """
        listed = self.ask("ComputeRunningProcesses") or ()
        own = [each for each in listed if each.pid == os.getpid()] or list(listed)
        return own[0].usedGpuMemory if len(own) == 1 else None

    def other_processes(self, ours: int) -> int | None:
        """How many processes compute here beside the ``ours`` that this program has there.

        NVML counts a process that holds memory, busy or not. In a container it may name them by
        the host's numbers, so that this process does not find its own.
        """
        listed = self.ask("ComputeRunningProcesses")
        if listed is None:
            return None
        pids = {each.pid for each in listed}
        return max(0, len(pids) - (1 if os.getpid() in pids else ours))


@cache
def torch_gpu() -> Gpu:
    """The GPU that torch calls 0, whichever that is. Raises OSError where NVML does not know it."""
    import pynvml
    import torch

    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(0).uuid
        return Gpu(pynvml, _handle(pynvml, str(uuid)))
    except (pynvml.NVMLError, AttributeError, AssertionError, RuntimeError) as error:
        raise OSError(one_line(error)) from error


def _handle(nvml: Any, uuid: str) -> Any:
    """The GPU with this UUID, or the one of which this is a part (MIG). Raises NVMLError."""
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        part = nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
        return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part)


@dataclass(frozen=True, kw_only=True)
class GpuState:
    """What a look at the GPU found: ``clock`` is the SM clock by the highest one so far."""

    clock: float | None
    slowdowns: tuple[str, ...]
    temperature_c: int | None
    foreign: int | None


class GpuLoad:
    """A source: heat, slowdowns, a falling clock and other programs on the GPU.

    It is read when a pair has just ended, so that the clock is the one under load.
    """

    every_s = _EVERY_S

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._highest_mhz = 0
        self._hot_c = gpu.ask("TemperatureThreshold", gpu.nvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX)

    @classmethod
    def of_torch(cls) -> "GpuLoad":
        """The GPU that torch calls 0. Raises OSError."""
        return cls(torch_gpu())

    def read(self) -> GpuState:
        """Ask the GPU; takes up to some milliseconds."""
        mhz = self._gpu.ask("ClockInfo", self._gpu.nvml.NVML_CLOCK_SM)
        self._highest_mhz = max(self._highest_mhz, mhz or 0)
        return GpuState(
            clock=mhz / self._highest_mhz if mhz else None,
            slowdowns=self._gpu.slowdowns(),
            temperature_c=self._gpu.ask("Temperature", self._gpu.nvml.NVML_TEMPERATURE_GPU),
            foreign=self._gpu.other_processes(ours=1),
        )

    def causes(self, before: GpuState, after: GpuState, elapsed_s: float) -> tuple[str, ...]:
        """What slowed the GPU at the end of these pairs."""
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
    """What the GPU that torch calls 0 is, as fields of Environment; empty without one.

    Clocks are in MHz, the power limit in watts. Another process that holds the GPU counts.
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
