"""Energy of a call in joules, from slow counters: those of a GPU, or of a processor (RAPL).

They count all energy of the device, idling and other programs included.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.machine.gpu import Gpu, torch_gpu

_POWERCAP = Path("/sys/class/powercap")
# A processor's zone; it includes its parts, such as intel-rapl:0:1.
_ZONE = re.compile(r"intel-rapl:\d+")
_PACKAGE = "package-"

# Minimum window in counter ticks, so that one tick is at most 5 % of it.
WINDOW_TICKS = 20
# A working counter advances within this many ticks.
_PATIENCE_TICKS = 2
# Time between two readings of the counter: one takes NVML up to a millisecond without a call.
_LOOK_TICKS = 0.05


class Meter(Protocol):
    """A counter of energy. ``tick_s`` is its update interval in s; ``name`` is for messages."""

    name: str
    tick_s: float

    def joules(self) -> float:
        """Return the joules since a fixed time; never decreasing. Raises OSError or ValueError."""


@dataclass(frozen=True)
class NoMeter:
    """A device without a meter, with the reason in one line."""

    reason: str


class NvmlMeter:
    """The energy of a whole GPU with its memory, even if torch only has a MIG part of it.

    Raises OSError if the GPU has no counter (before Volta), or without permission.
    """

    name = "NVML"
    tick_s = 0.1

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self.joules()

    def joules(self) -> float:
        """Return the joules since the driver was loaded. Raises OSError."""
        energy_mj = self._gpu.ask("TotalEnergyConsumption")
        if energy_mj is None:
            raise OSError("NVML has no energy counter for this GPU")
        return float(energy_mj) / 1e3


class _Zone:
    """The counter of one package, in microjoules; it wraps around at its range."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._values = int((folder / "max_energy_range_uj").read_text(encoding="ascii")) + 1
        self._last_uj, self._since_uj = self._read(), 0

    def since_uj(self) -> int:
        """Return the microjoules since the start. Valid if called at least once per wrap-around."""
        now_uj = self._read()
        self._since_uj += (now_uj - self._last_uj) % self._values
        self._last_uj = now_uj
        return self._since_uj

    def _read(self) -> int:
        return int(self._file.read_text(encoding="ascii"))


class RaplMeter:
    """The energy of all processors, without main memory, from Linux's powercap files.

    Raises OSError or ValueError if this machine has no such files, or they may not be read.
    """

    name = "RAPL"
    tick_s = 0.001

    def __init__(self, root: Path = _POWERCAP) -> None:
        packages = filter(_is_package, root.glob("*"))
        try:
            self._zones = [_Zone(folder) for folder in packages]
        except PermissionError as error:
            raise PermissionError("RAPL counter may only be read by root") from error
        if not self._zones:
            raise FileNotFoundError(f"no RAPL counter under {root}")

    def joules(self) -> float:
        """Return the joules since the start. Raises OSError or ValueError."""
        return sum(zone.since_uj() for zone in self._zones) / 1e6


def _is_package(folder: Path) -> bool:
    if not _ZONE.fullmatch(folder.name):
        return False
    return (folder / "name").read_text(encoding="ascii").startswith(_PACKAGE)


def meter_for(
    device: str, *, root: Path = _POWERCAP, gpu: Callable[[], Gpu] = torch_gpu
) -> Meter | NoMeter:
    """Return the meter of ``cpu`` or ``cuda``, or the reason why there is none."""
    try:
        return NvmlMeter(gpu()) if device == "cuda" else RaplMeter(root)
    except (OSError, ValueError, ImportError) as error:
        return NoMeter(str(error))


@dataclass
class _Calls:
    """A repeated call, the function that waits for the device, and the number of calls."""

    call: Callable[[], object]
    synchronize: Callable[[], object]
    clock: Callable[[], float]
    times: int = 0

    def fill(self, length_s: float) -> None:
        """Repeat the call for ``length_s`` seconds, then wait for the device."""
        end_s = self.clock() + length_s
        while self.clock() < end_s:
            self.call()
            self.times += 1
        self.synchronize()


def joules_per_call(
    call: Callable[[], object],
    synchronize: Callable[[], object],
    meter: Meter,
    *,
    clock: Callable[[], float] = time.perf_counter,
    least_s: float = 2.0,
) -> float:
    """Return the joules of one call: the energy of a window of calls / their number.

    The window starts when the counter advances and lasts ``least_s`` or 20 ticks, whichever is
    longer, and then until the counter advances again. So the energy that is not counted is that of
    less than a tick; with short calls, of little more than a twentieth of one. ``synchronize``
    waits for the device.

    Raises the errors of the call and the meter, and OSError if the counter does not advance.
    """
    calls = _Calls(call, synchronize, clock)
    synchronize()
    begin_j = _at_tick(meter, clock, lambda: None)
    calls.fill(max(least_s, WINDOW_TICKS * meter.tick_s))
    end_j = _at_tick(meter, clock, lambda: calls.fill(_LOOK_TICKS * meter.tick_s))
    if end_j <= begin_j:
        raise OSError(f"the energy counter of {meter.name} does not advance")
    return (end_j - begin_j) / calls.times


def _at_tick(meter: Meter, clock: Callable[[], float], meanwhile: Callable[[], object]) -> float:
    """Return the counter right after it has advanced, or after two ticks if it does not."""
    before_j, end_s = meter.joules(), clock() + _PATIENCE_TICKS * meter.tick_s
    now_j = before_j
    while now_j == before_j and clock() < end_s:
        meanwhile()
        now_j = meter.joules()
    return now_j
