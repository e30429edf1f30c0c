"""bench.machine.load: when sources are read, which pairs are marked, which sources are left out."""

import os
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.counters import OTHERS, PREEMPTED, UNEVEN, WAITING, CoreTimes, RunQueue
from bench.machine.load import LoadWatch, cpu_sources, cuda_sources, watch_for
from helpers.loads import cores_of_this_process, one_busy_core
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


def test_uneven_pairs_are_those_in_which_threads_waited_for_each_other() -> None:
    """Pairs with this cause are uneven; pairs with another are only disturbed."""
    uneven, other = FakeSource(UNEVEN), FakeSource("steal")
    watch = watch_over(uneven, other)
    for rises in (0, 1, 1, 0):
        uneven.count += rises
        other.count += 1
        watch.pair()
    assert (watch.uneven, watch.disturbed) == ((1, 2), (0, 1, 2, 3))


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


def test_a_rival_on_the_same_core_disturbs_pairs() -> None:
    """The kernel's real counters show a process that takes half of the core."""
    try:
        RunQueue().read(), CoreTimes().read()
    except OSError as error:
        pytest.skip(f"no such counters here: {error}")
    with cores_of_this_process({min(os.sched_getaffinity(0))}), one_busy_core():
        watch, end_s = watch_for("cpu"), time.monotonic() + PATIENCE_S
        watch.begin()
        while not {WAITING, PREEMPTED, OTHERS} <= set(watch.causes) and time.monotonic() < end_s:
            sum(range(100_000))
            watch.pair()
    assert {WAITING, PREEMPTED, OTHERS} <= set(watch.causes)
    assert watch.disturbed


# Pairs of products and of many small operations, for some time, on a number of threads: prints
# how many pairs there were, how many of them were uneven, and the causes.
_PAIRS = """
import sys, time
import torch
from bench.machine.load import watch_for

threads, seconds = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(threads)
tokens, weights, scores = torch.randn(197, 768), torch.randn(768, 768), torch.randn(12, 197, 197)

def pair():
    for _ in range(4):
        tokens @ weights
    for _ in range(20):
        scores.softmax(-1)

for _ in range(3):
    pair()
watch, end_s, pairs = watch_for("cpu"), time.monotonic() + seconds, 0
watch.begin()
while time.monotonic() < end_s or pairs < 12:
    pair()
    watch.pair()
    pairs += 1
print(pairs, len(watch.uneven), len(watch.disturbed))
"""


def pairs_beside_a_program(threads: int) -> tuple[int, int, int]:
    """Return the numbers of pairs, of uneven and of disturbed ones, on two cores with a rival."""
    try:
        RunQueue().read()
    except OSError as error:
        pytest.skip(f"no statistics of threads here: {error}")
    cores = sorted(os.sched_getaffinity(0))[:2]
    command = [sys.executable, "-c", _PAIRS, str(threads), "1"]
    with cores_of_this_process(cores), one_busy_core():
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    pairs, uneven, disturbed = map(int, done.stdout.split())
    return pairs, uneven, disturbed


@pytest.mark.slow
def test_threads_beside_a_program_wait_for_each_other() -> None:
    """Real load that does not cancel: two threads, one of whose cores a program keeps busy."""
    pairs, uneven, disturbed = pairs_beside_a_program(threads=2)
    assert uneven > pairs / 2
    assert uneven <= disturbed <= pairs


@pytest.mark.slow
def test_one_thread_beside_a_program_waits_for_nobody() -> None:
    """The same load cancels for a single thread, whatever else runs here."""
    _, uneven, _ = pairs_beside_a_program(threads=1)
    assert uneven == 0
