"""bench.machine.calm: when a measurement waits for other work to end, for how long, and why."""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.machine.calm import LOOK_S, MOST_S, TOLERATED_CORES, Calm, Patience, threads_on
from bench.machine.counters import TICKS_S, CoreTimes
from helpers.loads import cores_of_this_process, one_busy_core
from helpers.machine import FakeTime

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# A machine with a core for each thread, so that none is to spare.
CORES = torch.get_num_threads()


class Machine:
    """Machine whose /proc/stat shows other programs on some cores; sleeping lets time pass."""

    def __init__(self, folder: Path, *, cores: int = CORES) -> None:
        self.path, self.cores, self.time = folder / "stat", cores, FakeTime()
        self.busy_s, self.stolen_s, self.sleeps_s = 0.0, 0.0, list[float]()
        self.pass_time(0.0)

    def pass_time(self, seconds: float, busy: float = 0.0, stolen: float = 0.0) -> None:
        """Let other programs, and other virtual machines, use this many cores."""
        self.time.now_s += seconds
        self.busy_s += busy * seconds
        self.stolen_s += stolen * seconds
        busy_ticks, stolen_ticks = (round(each / TICK_S) for each in (self.busy_s, self.stolen_s))
        core = f"{busy_ticks} 0 0 0 0 0 0 {stolen_ticks} 0 0"
        lines = [f"cpu0 {core}", *(f"cpu{at} 0 0 0 0 0 0 0 0 0 0" for at in range(1, self.cores))]
        self.path.write_text("\n".join([f"cpu {core}", *lines, ""]))

    def patience(
        self, busy: Callable[[], float], left_s: float = 10.0, **changes: Callable[..., object]
    ) -> Patience:
        """Return the patience of a process beside others that use ``busy()`` cores from now on."""

        def sleep(seconds: float) -> None:
            self.sleeps_s.append(seconds)
            self.pass_time(seconds, busy())

        return Patience(
            left_s,
            clock=self.time,
            sleep=sleep,
            find_times=lambda: CoreTimes(path=self.path, allowed=range(self.cores)),
            **changes,  # type: ignore[arg-type]
        )


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_calm_machine_costs_no_wait(machine: Machine) -> None:
    """If the time since the last look was calm, the measurement begins at once."""
    patience = machine.patience(lambda: 0.0)
    for _ in range(3):
        machine.pass_time(2.0, busy=0.1)
        found = patience.await_calm("cpu")
        assert (found.waited_s, found.is_calm) == (0.0, True)
    assert machine.sleeps_s == []
    assert patience.left_s == 10.0


def test_work_that_has_ended_costs_a_look(machine: Machine) -> None:
    """Own compilers, in other processes, look like other programs: one look shows their end."""
    said: list[str] = []
    patience = machine.patience(lambda: 0.0, say=said.append)
    machine.pass_time(12.0, busy=1.0)
    found = patience.await_calm("cpu")
    assert (found.is_calm, machine.sleeps_s, said) == (True, [LOOK_S], [])
    assert found.waited_s == pytest.approx(LOOK_S)


def test_the_wait_ends_with_the_other_work(machine: Machine) -> None:
    """The wait ends with the first calm look, and says what it waited for."""
    said: list[str] = []
    patience = machine.patience(lambda: 1.0 if machine.time.now_s < 2.0 else 0.0, say=said.append)
    machine.pass_time(1.0, busy=1.0)
    found = patience.await_calm("cpu")
    assert found.is_calm
    assert 1.0 < found.waited_s < 1.0 + 3 * LOOK_S
    assert said == [
        f"waiting for a calm machine, 3.0 s at most: other programs use 1.0 of {CORES} cores"
    ]


def test_stolen_cores_are_not_calm(machine: Machine) -> None:
    """A core that the hypervisor lends to others is missing like one that a program uses."""
    patience = machine.patience(lambda: 0.0)
    machine.pass_time(1.0, stolen=1.0)
    assert patience.await_calm("cpu").waited_s > 0


def test_load_that_lasts_is_awaited_ever_shorter(machine: Machine) -> None:
    """Each wait in vain halves the next; a calm machine restores the full length."""
    load = [1.0]
    patience = machine.patience(lambda: load[0], left_s=100.0)
    machine.pass_time(1.0, busy=1.0)
    waits_s = []
    for _ in range(4):
        found = patience.await_calm("cpu")
        assert not found.is_calm
        waits_s.append(found.waited_s)
    assert all(later <= 0.6 * earlier for earlier, later in pairwise(waits_s))
    assert MOST_S - LOOK_S <= waits_s[0] <= MOST_S + 1e-6
    load[0] = 0.0
    machine.pass_time(1.0)
    assert patience.await_calm("cpu").is_calm
    machine.pass_time(1.0, busy=1.0)
    load[0] = 1.0
    assert patience.await_calm("cpu").waited_s == pytest.approx(waits_s[0], abs=LOOK_S + 1e-6)


@settings(deadline=None)  # Each writes a file for every look.
@given(
    left_s=st.floats(0, 20),
    loads=st.lists(st.floats(0, 2), min_size=1, max_size=40),
    measured_s=st.lists(st.floats(0, 5), max_size=12),
)
def test_waits_are_limited(
    tmp_path_factory: pytest.TempPathFactory,
    left_s: float,
    loads: list[float],
    measured_s: list[float],
) -> None:
    """Whatever the load, no wait exceeds its limit and all together not the patience."""
    machine = Machine(tmp_path_factory.getbasetemp())
    patience = machine.patience(lambda: loads[len(machine.sleeps_s) % len(loads)], left_s)
    waits_s = []
    for each_s in measured_s:
        machine.pass_time(each_s, busy=loads[0])
        waits_s.append(patience.await_calm("cpu").waited_s)
    assert sum(waits_s) == pytest.approx(sum(machine.sleeps_s))
    assert sum(waits_s) <= left_s + 1e-6
    assert all(0 <= each_s <= MOST_S + 1e-6 for each_s in waits_s)
    assert patience.left_s == pytest.approx(left_s - sum(waits_s))


def test_cores_to_spare_are_calm(tmp_path: Path) -> None:
    """A program on a core that no thread needs is not waited for."""
    spare = Machine(tmp_path, cores=CORES + 1)
    patience = spare.patience(lambda: 1.0)
    spare.pass_time(1.0, busy=1.0)
    assert patience.await_calm("cpu").waited_s == 0
    spare.pass_time(1.0, busy=1.0 + 2 * TOLERATED_CORES)
    assert patience.await_calm("cpu").waited_s > 0


def test_a_gpu_needs_one_core() -> None:
    """On CUDA one thread launches the kernels; on a CPU torch's threads measure."""
    assert threads_on("cuda") == 1
    assert threads_on("cpu") == torch.get_num_threads()


def test_an_interrupt_ends_the_wait(machine: Machine) -> None:
    """The wait ends when the run should stop."""
    patience = machine.patience(lambda: 1.0, stop=lambda: machine.time.now_s > 2.0)
    machine.pass_time(1.0, busy=1.0)
    found = patience.await_calm("cpu")
    assert not found.is_calm
    assert found.waited_s <= 1.0 + LOOK_S + 1e-6


def test_looks_within_a_few_ticks_say_what_the_last_one_said(machine: Machine) -> None:
    """Counters in ticks cannot tell about a shorter time, so the last look holds."""
    patience = machine.patience(lambda: 0.0)
    machine.pass_time(TICKS_S / 2, busy=1.0)
    assert patience.await_calm("cpu") == Calm(taken_cores=0.0)


@pytest.mark.parametrize("error", [OSError(), ValueError(), IndexError(), AttributeError()])
def test_without_counters_nothing_is_awaited(error: Exception) -> None:
    """A system without /proc/stat, or without affinities, counts as calm."""

    def find_times() -> CoreTimes:
        raise error

    assert Patience(10.0, find_times=find_times).await_calm("cpu") == Calm()


def test_a_real_program_is_awaited_within_the_limit() -> None:
    """Beside a real program on its only core, a process waits as long as it may."""
    try:
        CoreTimes().read()
    except OSError as error:
        pytest.skip(f"no counters of the cores here: {error}")
    said: list[str] = []
    with cores_of_this_process({min(os.sched_getaffinity(0))}), one_busy_core():
        patience = Patience(1.0, say=said.append)
        time.sleep(LOOK_S)
        found = patience.await_calm("cpu")
    assert not found.is_calm
    assert found.taken_cores is not None
    assert found.taken_cores > TOLERATED_CORES
    assert found.waited_s >= LOOK_S
    assert len(said) == 1
    assert said[0].startswith("waiting for a calm machine, 1.0 s at most: other programs use ")
