"""bench.machine.load: when sources are read, which pairs are marked, which sources are left out."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from os import sched_getaffinity, sched_setaffinity

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.counters import OTHERS, PREEMPTED, WAITING, CoreTimes, RunQueue
from bench.machine.load import LoadWatch, cpu_sources, cuda_sources, watch_for
from helpers.machine import FakeSource, FakeTime

PAIR_S = 0.01
PATIENCE_S = 60.0


def watch_over(*sources: FakeSource, clock: FakeTime | None = None) -> LoadWatch:
    """Return a watch over these sources that has begun."""
    watch = LoadWatch(lambda: sources, clock=clock or FakeTime())
    watch.begin()
    return watch


def test_quiet_pairs_are_not_disturbed() -> None:
    """Constant counters mark no pair."""
    watch = watch_over(FakeSource())
    watch.pair()
    assert watch.disturbed == ()
    assert watch.causes == {}


def test_only_the_pair_in_which_a_counter_rose_is_marked() -> None:
    """A source that is read after every pair marks the disturbed pair alone."""
    source = FakeSource("steal")
    watch = watch_over(source)
    for rises in (0, 0, 1, 0):
        source.count += rises
        watch.pair()
    assert watch.disturbed == (2,)
    assert watch.causes == {"steal": 1}


def test_changes_before_the_pairs_do_not_count() -> None:
    """A counter that rose during warm-up marks no pair."""
    source = FakeSource()
    watch = LoadWatch(lambda: [source])
    source.count = 7
    watch.begin()
    watch.pair()
    assert watch.disturbed == ()


def test_rare_reading_marks_all_pairs_since_the_last() -> None:
    """A reading marks all pairs since the previous reading, and no others."""
    clock, source = FakeTime(), FakeSource(every_s=2.5 * PAIR_S)
    watch = watch_over(source, clock=clock)
    for pair in range(8):
        source.count += pair == 4
        clock.now_s += PAIR_S
        watch.pair()
    assert watch.disturbed == (3, 4, 5)


def test_pairs_after_the_last_reading_are_not_marked() -> None:
    """Pairs since a source's last reading are not marked yet."""
    clock, source = FakeTime(), FakeSource(every_s=2.5 * PAIR_S)
    watch = watch_over(source, clock=clock)
    source.count += 1
    clock.now_s += PAIR_S
    watch.pair()
    assert watch.disturbed == ()


def test_a_pair_may_have_two_causes() -> None:
    """A pair with two causes counts under each, and as one disturbed pair."""
    sources = FakeSource("steal"), FakeSource("throttled")
    watch = watch_over(*sources)
    watch.pair()
    for source in sources:
        source.count += 1
    watch.pair()
    assert watch.causes == {"steal": 1, "throttled": 1}
    assert watch.disturbed == (1,)


@pytest.mark.parametrize("error", [OSError(), ValueError(), IndexError(), ImportError()])
def test_a_source_that_cannot_be_read_is_left_out(error: Exception) -> None:
    """A source that fails at once or later is left out; the others still count."""
    never, later, good = FakeSource(error=error), FakeSource("later"), FakeSource("good")
    watch = watch_over(never, later, good)
    later.error = error
    for _ in range(2):
        later.count += 1
        good.count += 1
        watch.pair()
    assert watch.causes == {"good": 2}


def test_programming_error_of_a_source_is_raised() -> None:
    """An error that a missing facility cannot cause is raised."""
    source = FakeSource()
    watch = watch_over(source)
    source.error = TypeError("a mistake")
    with pytest.raises(TypeError, match="a mistake"):
        watch.pair()


def test_beginning_again_starts_anew() -> None:
    """A second begin counts pairs from 0 and clears earlier findings."""
    source = FakeSource()
    watch = watch_over(source)
    source.count += 1
    watch.pair()
    watch.begin()
    assert watch.causes == {}
    watch.pair()
    source.count += 1
    watch.pair()
    assert watch.disturbed == (1,)


def test_sources_are_found_when_the_pairs_begin() -> None:
    """Sources are created at begin, when the compute threads exist, not with the watch."""
    found: list[FakeSource] = []
    watch = LoadWatch(lambda: found)
    source = FakeSource()
    found.append(source)
    watch.begin()
    source.count += 1
    watch.pair()
    assert watch.disturbed == (0,)


@given(
    pairs=st.lists(st.tuples(st.floats(1e-4, 1), st.booleans()), max_size=50),
    every_s=st.floats(0, 2),
)
def test_marked_pairs_lie_between_two_readings(
    pairs: list[tuple[float, bool]], every_s: float
) -> None:
    """The marked pairs are all those between two readings with a disturbance, and no others."""
    clock, source = FakeTime(), FakeSource(every_s=every_s)
    watch = watch_over(source, clock=clock)
    looks, looked_s = [0], 0.0
    for index, (pair_s, disturbed) in enumerate(pairs):
        source.count += disturbed
        clock.now_s += pair_s
        watch.pair()
        if clock.now_s - looked_s >= every_s:
            looks.append(index + 1)
            looked_s = clock.now_s
    expected = [
        index
        for first, end in pairwise(looks)
        for index in range(first, end)
        if any(disturbed for _, disturbed in pairs[first:end])
    ]
    assert list(watch.disturbed) == expected
    assert watch.causes == ({"noise": len(expected)} if expected else {})


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_watch_of_this_machine_runs_whatever_it_has(device: str) -> None:
    """The watch runs on this machine, whichever sources it lacks."""
    watch = watch_for(device)
    watch.begin()
    for _ in range(3):
        time.sleep(0.05)
        watch.pair()
    assert set(watch.disturbed) <= {0, 1, 2}
    assert all(0 < count <= 3 for count in watch.causes.values())


def kinds(sources: object) -> set[str]:
    """Return the names of the sources' types."""
    assert isinstance(sources, list)
    return {type(source).__name__ for source in sources}


def test_linux_has_sources_for_cpu_load() -> None:
    """Linux has waits or pressure, switches, core times and memory pressure, where permitted."""
    assert {"Switches", "CoreTimes"} <= kinds(cpu_sources())
    assert kinds(cpu_sources()) & {"RunQueue", "Pressure"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_watch_without_a_gpu_watches_the_launching_thread() -> None:
    """A CUDA watch without a GPU has the CPU sources that concern kernel launches."""
    assert "Switches" in kinds(cuda_sources())
    assert "GpuLoad" not in kinds(cuda_sources())


@contextmanager
def rival_on_one_core() -> Iterator[None]:
    """Share one core with a process that never sleeps."""
    cores = sched_getaffinity(0)
    command = [sys.executable, "-uc", "print()\nwhile True: pass"]
    sched_setaffinity(0, {min(cores)})
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as rival:
            assert rival.stdout
            rival.stdout.readline()
            yield
            rival.kill()
    finally:
        sched_setaffinity(0, cores)


def test_a_rival_on_the_same_core_disturbs_pairs() -> None:
    """The kernel's real counters show a process that takes half of the core."""
    try:
        RunQueue().read(), CoreTimes().read()
    except OSError as error:
        pytest.skip(f"no such counters here: {error}")
    with rival_on_one_core():
        watch, end_s = watch_for("cpu"), time.monotonic() + PATIENCE_S
        watch.begin()
        while not {WAITING, PREEMPTED, OTHERS} <= set(watch.causes) and time.monotonic() < end_s:
            sum(range(100_000))
            watch.pair()
    assert {WAITING, PREEMPTED, OTHERS} <= set(watch.causes)
    assert watch.disturbed
