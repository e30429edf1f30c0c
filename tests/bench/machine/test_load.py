"""The watch over pairs: when it looks, which pairs a finding counts for, what it leaves out."""

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
    """Make a watch of these sources that has begun."""
    watch = LoadWatch(lambda: sources, clock=clock or FakeTime())
    watch.begin()
    return watch


def test_quiet_pairs_are_not_disturbed() -> None:
    """Counters that stand still mark nothing."""
    watch = watch_over(FakeSource())
    watch.pair()
    assert watch.disturbed == ()
    assert watch.causes == {}


def test_only_the_pair_in_which_a_counter_rose_is_marked() -> None:
    """A source that is looked at after every pair tells the disturbed one from its neighbours."""
    source = FakeSource("steal")
    watch = watch_over(source)
    for rises in (0, 0, 1, 0):
        source.count += rises
        watch.pair()
    assert watch.disturbed == (2,)
    assert watch.causes == {"steal": 1}


def test_what_was_before_the_pairs_does_not_count() -> None:
    """A counter that rose while the arms warmed up marks no pair."""
    source = FakeSource()
    watch = LoadWatch(lambda: [source])
    source.count = 7
    watch.begin()
    watch.pair()
    assert watch.disturbed == ()


def test_a_rare_look_counts_for_all_pairs_since_the_last() -> None:
    """Which of them was disturbed nobody knows; those before and after are not in question."""
    clock, source = FakeTime(), FakeSource(every_s=2.5 * PAIR_S)
    watch = watch_over(source, clock=clock)
    for pair in range(8):
        source.count += pair == 4
        clock.now_s += PAIR_S
        watch.pair()
    assert watch.disturbed == (3, 4, 5)


def test_pairs_after_the_last_look_are_not_judged() -> None:
    """A source whose turn has not come yet says nothing of the newest pairs."""
    clock, source = FakeTime(), FakeSource(every_s=2.5 * PAIR_S)
    watch = watch_over(source, clock=clock)
    source.count += 1
    clock.now_s += PAIR_S
    watch.pair()
    assert watch.disturbed == ()


def test_a_pair_may_have_two_causes() -> None:
    """It counts under each of them, and is one disturbed pair."""
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
    """The others still see what they see, whether it failed at once or later."""
    never, later, good = FakeSource(error=error), FakeSource("later"), FakeSource("good")
    watch = watch_over(never, later, good)
    later.error = error
    for _ in range(2):
        later.count += 1
        good.count += 1
        watch.pair()
    assert watch.causes == {"good": 2}


def test_a_source_with_a_fault_of_its_own_is_heard() -> None:
    """Only what a machine may lack is left out; a mistake in the program is not."""
    source = FakeSource()
    watch = watch_over(source)
    source.error = TypeError("a mistake")
    with pytest.raises(TypeError, match="a mistake"):
        watch.pair()


def test_beginning_again_starts_anew() -> None:
    """Pairs are counted from 0 and earlier findings are forgotten."""
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
    """Not when the watch is made: the threads that will compute do not exist by then."""
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
def test_the_marked_pairs_are_those_between_two_looks_with_a_disturbance(
    pairs: list[tuple[float, bool]], every_s: float
) -> None:
    """However long the pairs are and however rare the looks: all of these pairs and no others."""
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
    """Without a GPU, pressure files or control groups it watches with what there is."""
    watch = watch_for(device)
    watch.begin()
    for _ in range(3):
        time.sleep(0.05)
        watch.pair()
    assert set(watch.disturbed) <= {0, 1, 2}
    assert all(0 < count <= 3 for count in watch.causes.values())


def kinds(sources: object) -> set[str]:
    """The names of the sources' types."""
    assert isinstance(sources, list)
    return {type(source).__name__ for source in sources}


def test_linux_tells_what_takes_a_cpu() -> None:
    """Waits or pressure, switches, times of the cores and memory pressure, where not forbidden."""
    assert {"Switches", "CoreTimes"} <= kinds(cpu_sources())
    assert kinds(cpu_sources()) & {"RunQueue", "Pressure"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_cuda_watch_without_a_gpu_still_watches_the_launching_thread() -> None:
    """Its sources are those of the CPU that matter for launching, and no GPU."""
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
    """The real counters of this kernel see a process that takes half of the processor."""
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
