"""Joules of a call, from counters that move only now and then: a GPU's, or a processor's (RAPL).

They count all that the device takes, idling and other programs included.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.machine.gpu import Gpu, torch_gpu

_POWERCAP = Path("/sys/class/powercap")
# A processor's zone; a part of it, such as intel-rapl:0:1, is counted in it already.
_ZONE = re.compile(r"intel-rapl:\d+")
_PACKAGE = "package-"

# So many ticks of its counter make a window long enough: one of them is 5 % of it.
WINDOW_TICKS = 20
# By when a counter that runs has moved.
_PATIENCE_TICKS = 2
# How often to look meanwhile: a look takes NVML up to a millisecond, in which no call runs.
_LOOK_TICKS = 0.05


class Meter(Protocol):
    """A counter of energy. ``tick_s`` is how often it moves, in s; ``name`` is for people."""

    name: str
    tick_s: float

    def joules(self) -> float:
        """Joules since some moment; never fewer than before. Raises OSError or ValueError."""


@dataclass(frozen=True)
class NoMeter:
    """That a device has no meter, and why, in one line."""

    reason: str


class NvmlMeter:
    """The energy of a whole GPU with its memory, also where torch has a part of it (MIG).

    Raises OSError where the GPU does not count: before Volta, or without the right to.
    """

    name = "NVML"
    tick_s = 0.1

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self.joules()

    def joules(self) -> float:
        """Joules since the driver was loaded. Raises OSError."""
        energy_mj = self._gpu.ask("TotalEnergyConsumption")
        if energy_mj is None:
            raise OSError("NVML gives no energy counter for this GPU")
        return float(energy_mj) / 1e3


class _Zone:
    """The counter of one package, in microjoules; it starts over at its range."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._values = int((folder / "max_energy_range_uj").read_text(encoding="ascii")) + 1
        self._last_uj, self._since_uj = self._read(), 0

    def since_uj(self) -> int:
        """What it counted since it was made. Right if asked before it is back where it was."""
        now_uj = self._read()
        self._since_uj += (now_uj - self._last_uj) % self._values
        self._last_uj = now_uj
        return self._since_uj

    def _read(self) -> int:
        return int(self._file.read_text(encoding="ascii"))


class RaplMeter:
    """The energy of all processors, by Linux's files. Main memory is not in it.

    Raises OSError or ValueError where this machine has no such files, or they are not for us.
    """

    name = "RAPL"
    tick_s = 0.001

    def __init__(self, root: Path = _POWERCAP) -> None:
        packages = filter(_is_package, root.glob("*"))
        try:
            self._zones = [_Zone(folder) for folder in packages]
        except PermissionError as error:
            raise PermissionError("RAPL counter may be read by root only") from error
        if not self._zones:
            raise FileNotFoundError(f"no RAPL counter under {root}")

    def joules(self) -> float:
        """Joules since it was made. Raises OSError or ValueError."""
        return sum(zone.since_uj() for zone in self._zones) / 1e6


def _is_package(folder: Path) -> bool:
    if not _ZONE.fullmatch(folder.name):
        return False
    return (folder / "name").read_text(encoding="ascii").startswith(_PACKAGE)


def meter_for(
    device: str, *, root: Path = _POWERCAP, gpu: Callable[[], Gpu] = torch_gpu
) -> Meter | NoMeter:
    """The meter of ``cpu`` or ``cuda``, or why there is none."""
    try:
        return NvmlMeter(gpu()) if device == "cuda" else RaplMeter(root)
    except (OSError, ValueError, ImportError) as error:
        return NoMeter(str(error))


@dataclass
class _Calls:
    """A call that is made again and again, how to wait for it, and how often it was made."""

    call: Callable[[], object]
    synchronize: Callable[[], object]
    clock: Callable[[], float]
    times: int = 0

    def fill(self, length_s: float) -> None:
        """Call until so much time is over, then wait for the device."""
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
    """Joules of one call: those of a window full of calls, by their number.

    The window begins when the counter moves, takes ``least_s`` or 20 ticks, whichever is more, and
    goes on with calls until the counter has moved again. So what it has not counted yet is of less
    than a tick, and with short calls of little more than a twentieth of one. ``synchronize`` waits
    for the device.

    Raises what the call and the meter raise, and OSError where the counter stands still.
    """
    calls = _Calls(call, synchronize, clock)
    synchronize()
    begin_j = _at_tick(meter, clock, lambda: None)
    calls.fill(max(least_s, WINDOW_TICKS * meter.tick_s))
    end_j = _at_tick(meter, clock, lambda: calls.fill(_LOOK_TICKS * meter.tick_s))
    if end_j <= begin_j:
        raise OSError(f"the energy counter of {meter.name} stands still")
    return (end_j - begin_j) / calls.times


def _at_tick(meter: Meter, clock: Callable[[], float], meanwhile: Callable[[], object]) -> float:
    """The counter when it has just moved; where it does not, as it stands two ticks later."""
    before_j, end_s = meter.joules(), clock() + _PATIENCE_TICKS * meter.tick_s
    now_j = before_j
    while now_j == before_j and clock() < end_s:
        meanwhile()
        now_j = meter.joules()
    return now_j
