"""bench.machine.counters: how each kernel counter is read, and which changes are disturbances."""

import os
import resource
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.counters import (
    CORES_SHORT,
    FAR_S,
    FEW_SWITCHES,
    FEW_THREADS,
    NEAR_S,
    OTHERS,
    OTHERS_SHARE,
    PREEMPTED,
    STEAL,
    STEAL_SHARE,
    SWITCHES_PER_S,
    THROTTLED,
    UNEVEN,
    WAITING,
    CoreTimes,
    CounterFile,
    Pressure,
    RunQueue,
    Switches,
    Throttling,
)
from helpers.machine import pressure, write_files, write_waits

CORES = os.sysconf("SC_NPROCESSORS_ONLN")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def test_open_file_is_read_again(tmp_path: Path) -> None:
    """A second read returns the new content from the beginning, up to the requested size."""
    path = tmp_path / "counter"
    path.write_text("1")
    file = CounterFile(path, size=3)
    assert file.read() == b"1"
    path.write_text("2345")
    assert file.read() == b"234"


def test_a_file_is_closed_with_its_reader(tmp_path: Path) -> None:
    """A file is closed with its reader, so that long passes do not run out of descriptors."""
    path = tmp_path / "counter"
    path.write_text("1")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        CounterFile(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_waits_of_each_thread_are_read(tmp_path: Path) -> None:
    """A thread's schedstat begins with the nanoseconds that it ran and that it waited."""
    queue = RunQueue(write_waits(tmp_path, [5, 70], ran_ns=9))
    assert sorted(queue.read()) == [(9, 5), (9, 70)]


def test_many_threads_are_read_less_often(tmp_path: Path) -> None:
    """The interval between reads grows with the number of threads."""
    few = RunQueue(write_waits(tmp_path / "few", [0] * FEW_THREADS))
    many = RunQueue(write_waits(tmp_path / "many", [0] * (FEW_THREADS + 1)))
    assert (few.every_s, many.every_s) == (NEAR_S, FAR_S)


def test_kernel_without_schedstat_has_no_waits(tmp_path: Path) -> None:
    """Zeros for threads that have run, or a missing file, make the source unavailable."""
    with pytest.raises(OSError, match="no statistics"):
        RunQueue(write_waits(tmp_path, [0, 0], ran_ns=0))
    with pytest.raises(OSError, match="No such file"):
        RunQueue(tmp_path / "absent")


def test_a_thread_that_ends_disturbs_nothing() -> None:
    """A thread that ends is left out; the others are still read."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        queue = RunQueue()
    except OSError as error:
        pytest.skip(f"no accounts here: {error}")
    finally:
        stop.set()
    before, task = queue.read(), Path(f"/proc/self/task/{thread.native_id}")
    thread.join()
    while task.exists():  # Python drops a thread before the kernel does.
        time.sleep(0.001)
    after = queue.read()
    assert len(after) == len(before)
    assert (0, 0) in after
    assert queue.causes(before, after, 60.0) == ()


@given(
    waits_ns=st.lists(st.integers(0, 10**10), min_size=1, max_size=8),
    elapsed_s=st.floats(1e-3, 10),
    start_ns=st.integers(0, 10**15),
)
def test_the_longest_wait_of_a_thread_decides(
    tmp_path_factory: pytest.TempPathFactory, waits_ns: list[int], elapsed_s: float, start_ns: int
) -> None:
    """A longest wait above 2 % of the time is a disturbance, whatever the other threads' waits."""
    queue = RunQueue(write_waits(tmp_path_factory.getbasetemp() / "tasks", [0]))
    before = [(0, start_ns)] * len(waits_ns)
    after = [(0, start_ns + wait_ns) for wait_ns in waits_ns]
    disturbed = max(waits_ns) * 1e-9 > 0.02 * elapsed_s
    assert (WAITING in queue.causes(before, after, elapsed_s)) == disturbed


@pytest.mark.parametrize(
    ("ran_and_waited_s", "is_uneven"),
    [
        ([(0.81, 0.19), (1.0, 0.0)], False),  # a short wait
        ([(0.7, 0.3), (1.0, 0.0)], True),  # the other thread spins at the barrier
        ([(0.3, 0.7), (0.1, 0.2)], True),  # the other thread sleeps there
        ([(0.3, 0.7), (0.1, 0.0), (0.0, 0.0)], False),  # a thread alone waits for nobody
        ([(0.4, 0.6)], False),
        ([(0.0, 0.0), (0.0, 0.0)], False),
    ],
)
def test_threads_that_wait_for_each_other_are_uneven_load(
    tmp_path: Path, ran_and_waited_s: list[tuple[float, float]], *, is_uneven: bool
) -> None:
    """A wait of over a fifth of the time slows arms unequally if two threads were busy."""
    queue = RunQueue(write_waits(tmp_path, [0]))
    after = [(int(1e9 * ran_s), int(1e9 * waited_s)) for ran_s, waited_s in ran_and_waited_s]
    assert (UNEVEN in queue.causes([(0, 0)] * len(after), after, 1.0)) == is_uneven


def test_switches_are_those_of_this_process() -> None:
    """The switches of this process never decrease, and its CPU time rises with work."""
    before = Switches().read()
    sum(range(200_000))
    after = Switches().read()
    assert before[0] <= after[0] <= resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    assert before[1] < after[1]


@given(cpu_s=st.floats(0.01, 100), per_s=st.floats(0, 1000))
def test_switches_at_the_rate_of_the_scheduler_are_preemption(cpu_s: float, per_s: float) -> None:
    """Hundreds of switches a second are preemption; a few are kernel housekeeping."""
    switches = int(per_s * cpu_s)
    many = switches > SWITCHES_PER_S * cpu_s and switches > FEW_SWITCHES
    causes = Switches().causes((3, 1.0), (3 + switches, 1.0 + cpu_s), 1.0)
    assert causes == ((PREEMPTED,) if many else ())


def test_few_switches_are_not_preemption() -> None:
    """Three switches within a moment are not preemption, although their rate is high."""
    assert Switches().causes((0, 0.0), (FEW_SWITCHES, 0.001), 0.1) == ()


def test_group_pressure_precedes_machine_pressure(tmp_path: Path) -> None:
    """The innermost control group with a pressure file is read before the machine's."""
    write_files(
        tmp_path, {"cpu.pressure": pressure(5), "inner/cpu.pressure": pressure(1234, avg10=9.9)}
    )
    folders = [tmp_path / "inner/none", tmp_path / "inner", tmp_path]
    assert Pressure("cpu", CORES_SHORT, folders).read() == 1234


def test_without_a_group_the_machines_pressure_is_read() -> None:
    """Without a group's file /proc/pressure is read; without that there is no source."""
    if Path("/proc/pressure/memory").exists():
        assert Pressure("memory", "memory pressure").read() >= 0
    with pytest.raises(OSError, match="absent"):
        Pressure("absent", "absent")


@given(share=st.floats(0, 1), elapsed_s=st.floats(0.02, 10))
def test_stalls_of_a_tenth_of_the_time_disturb(
    tmp_path_factory: pytest.TempPathFactory, share: float, elapsed_s: float
) -> None:
    """A stall above a tenth of the time is a disturbance under the source's name."""
    group = write_files(tmp_path_factory.getbasetemp(), {"memory.pressure": pressure(0)})
    source = Pressure("memory", "short", [group])
    stalled_us = int(1e6 * share * elapsed_s)
    disturbed = 1e-6 * stalled_us > 0.1 * elapsed_s
    assert source.causes(50, 50 + stalled_us, elapsed_s) == (("short",) if disturbed else ())


def proc_stat(*lines: str) -> str:
    """Return the beginning of /proc/stat: the sum, then a line for each core."""
    return "\n".join([*lines, "intr 12 0 0", "ctxt 5", ""])


def test_the_sum_of_all_cores_is_one_line(tmp_path: Path) -> None:
    """Busy is user, nice, system, irq and softirq, without idle and iowait; steal is separate."""
    text = proc_stat("cpu  100 20 3 9999 888 4 5 60 7 8", "cpu0 1 1 1 1 1 1 1 1 1 1")
    path = write_files(tmp_path, {"stat": text}) / "stat"
    stolen_s, busy_s, own_s = CoreTimes(path=path, allowed=range(CORES)).read()
    assert stolen_s == pytest.approx(60 * TICK_S)
    assert busy_s == pytest.approx((100 + 20 + 3 + 4 + 5) * TICK_S)
    assert own_s > 0


def test_only_the_cores_that_may_be_used_count(tmp_path: Path) -> None:
    """Only the cores of this process's affinity are counted."""
    allowed = range(1, CORES + 2)
    lines = [f"cpu{core} {core} 0 0 50 0 0 0 {core} 0 0" for core in range(CORES + 5)]
    path = write_files(tmp_path, {"stat": proc_stat("cpu  9 9 9 9 9 9 9 9 9 9", *lines)}) / "stat"
    stolen_s, busy_s, _ = CoreTimes(path=path, allowed=allowed).read()
    assert stolen_s == busy_s == pytest.approx(sum(allowed) * TICK_S)


def test_an_old_kernels_short_line_is_unreadable(tmp_path: Path) -> None:
    """A line without steal raises an error that the watch accepts as unavailable."""
    path = write_files(tmp_path, {"stat": "cpu 1 2 3 4\n"}) / "stat"
    with pytest.raises(IndexError):
        CoreTimes(path=path, allowed=range(CORES)).read()


@pytest.fixture(name="core_times")
def _core_times(tmp_path: Path) -> CoreTimes:
    """Times of all cores of this machine."""
    path = write_files(tmp_path, {"stat": proc_stat("cpu  0 0 0 0 0 0 0 0 0 0")}) / "stat"
    return CoreTimes(path=path, allowed=range(CORES))


@pytest.mark.parametrize(
    ("stolen", "others", "causes"),
    [
        (0.0, 0.0, ()),
        (0.9 * STEAL_SHARE, 0.9 * OTHERS_SHARE, ()),
        (1.1 * STEAL_SHARE, 0.0, (STEAL,)),
        (0.0, 2 * OTHERS_SHARE, (OTHERS,)),
        (1.0, 1.0, (STEAL, OTHERS)),
    ],
)
def test_shares_of_the_cores_disturb(
    core_times: CoreTimes, stolen: float, others: float, causes: tuple[str, ...]
) -> None:
    """Over 5 % stolen or 10 % used by other processes is a disturbance; own use is not."""
    cores_s = 10.0 * CORES
    own_s = 0.8 * cores_s
    after = (stolen * cores_s, others * cores_s + own_s, own_s)
    assert core_times.causes((0.0, 0.0, 0.0), after, 10.0) == causes


@given(elapsed_s=st.floats(0.001, 0.1), ticks=st.integers(-2, 2), own=st.floats(0, 1))
def test_rounding_to_ticks_disturbs_nothing(elapsed_s: float, ticks: int, own: float) -> None:
    """Counters that are off by a tick at either end of a short interval are not a disturbance."""
    core_times = CoreTimes(allowed=range(CORES))
    own_s = own * elapsed_s * CORES
    after = (0.5 * TICK_S, own_s + ticks * TICK_S, own_s)
    assert core_times.causes((0.0, 0.0, 0.0), after, elapsed_s) == ()


def test_only_the_judged_causes_are_named() -> None:
    """On a GPU's host, load by others is not a disturbance but a stolen core is."""
    core_times = CoreTimes(judged=(STEAL,), allowed=range(CORES))
    assert core_times.causes((0.0, 0.0, 0.0), (5.0, 5.0, 0.0), 1.0) == (STEAL,)


@pytest.mark.parametrize("more", ["throttled_usec 9000", "throttled_time 9000000"])
def test_a_throttled_period_disturbs(tmp_path: Path, more: str) -> None:
    """A throttled period is a disturbance in both versions of control groups."""
    text = "usage_usec 7\nnr_periods {}\nnr_throttled {}\n" + more
    path = write_files(tmp_path, {"cpu.stat": text.format(10, 3)}) / "cpu.stat"
    source = Throttling([path])
    before = source.read()
    path.write_text(text.format(11, 3))
    assert source.causes(before, source.read(), 0.1) == ()
    path.write_text(text.format(12, 4))
    assert source.causes(before, source.read(), 0.1) == (THROTTLED,)


def test_all_groups_with_a_quota_are_watched(tmp_path: Path) -> None:
    """Every group with a quota is watched, such as the pod around a container."""
    files = {"cpu.stat": "nr_throttled 1\n", "inner/cpu.stat": "nr_throttled 20\n"}
    write_files(tmp_path, files)
    assert Throttling([tmp_path / name for name in files]).read() == 21


def test_without_a_quota_nothing_is_throttled() -> None:
    """Without a quota there is no throttling source."""
    with pytest.raises(OSError, match="quota"):
        Throttling([])
