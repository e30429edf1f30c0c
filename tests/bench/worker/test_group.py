"""bench.worker.group: arms that take turns, the status of each, and what their samples share."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from bench.arms.agreement import TOLERANCES
from bench.records.comparison import CHOICE, Arm, Comparison
from bench.records.errors import Remedy
from bench.records.sample import Sample
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.grid import Selection, expand
from bench.timing.turns import LEAST_ROUNDS
from bench.timing.yardstick import YardstickTimes
from bench.worker.group import measure_group
from helpers.clocks import DeviceClock, FakeWatch
from helpers.jobs import make_group
from helpers.own_arms import compare, write

SMALL = Selection(
    variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward", "train"), cache="warm"
)
FORWARD, TRAIN = (
    [each for each in expand(PATCHERS, SMALL) if each.workload.mode == mode]
    for mode in ("forward", "train")
)
ARMS = """
    import itertools, time, torch
    def fails_at(number, error):
        calls = itertools.count(1)
        def work(x):
            if next(calls) == number:
                raise error
            return x + 1
        return work
    def right(): return lambda x: x + 1
    def same(): return lambda x: 1 + x
    def wrong(): return lambda x: x + 2
    def raises(): return fails_at(1, ValueError("no such head"))
    def raises_late(): return fails_at(5, ValueError("no such head"))
    def leaves_late(): return fails_at(5, SystemExit(3))
    def full(): return fails_at(1, MemoryError())
    def full_late(): return fails_at(5, MemoryError())
    def number(): return 3
    def slow():
        def work(x):
            time.sleep(0.2)
            return x + 1
        return work
"""
Own = Callable[..., list[Comparison]]


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Own:
    """Return a function that compares factories of a file with the first of them."""
    path = write(tmp_path / "arms.py", ARMS)

    def make(*names: str, **changes: Any) -> list[Comparison]:
        return [compare(f"{path}:{names[0]}", f"{path}:{name}", **changes) for name in names]

    return make


def measured(*comparisons: Comparison, **changes: Any) -> dict[str, Sample]:
    """Measure a group for the fewest rounds; return the samples by name of the factory or level."""
    samples = measure_group(make_group(*comparisons, **changes))
    assert [each.key for each in samples] == [each.key for each in comparisons]
    names = [each.arm_name.rpartition(":")[2] for each in comparisons]
    return dict(zip(names, samples, strict=True))


class Stops(FakeWatch):
    """A watch that also stops the rounds: after ``last`` of those that count."""

    def __init__(self, last: int, **watch: Any) -> None:
        super().__init__(**watch)
        self.last = last

    def __call__(self) -> bool:
        """Return whether the warm-up is over and the last round was made."""
        *_, rounds = " ".join(self.calls).split("begin")
        return self.calls.count("begin") == 2 and rounds.split().count("pair") >= self.last


def test_arms_that_are_ready_have_times_and_errors() -> None:
    """Every arm has a positive time for each round, and its error against float64."""
    for sample in measured(*FORWARD).values():
        assert (sample.status, sample.error) == ("ok", None)
        assert len(sample.arm_s) == len(sample.baseline_s) >= LEAST_ROUNDS
        assert min(sample.arm_s + sample.baseline_s) > 0
        assert sample.output_error is not None
        assert sample.output_error < 1e-5
        assert (sample.gradient_error, sample.arm_wall_s, sample.arm_queued_s) == (None, (), None)
        assert sample.measure_s > 0
        assert sample.prepare_s > 0
        assert sample.pass_index == 0


def test_arms_of_a_group_have_the_same_baseline_times() -> None:
    """All rows of a group rest on the same observations of the baseline."""
    control, *others = measured(*FORWARD).values()
    assert {each.group for each in (control, *others)} == {FORWARD[0].group}
    for each in others:
        assert each.baseline_s == control.baseline_s
        assert each.arm_s != control.arm_s
        assert each.arm_s != each.baseline_s
    assert control.arm_s != control.baseline_s


def test_the_baseline_comes_after_each_arm_in_half_of_the_rounds() -> None:
    """The orders are balanced for each arm and drawn by the seed of the group."""
    samples = measured(*FORWARD, seed=5)
    rounds = len(samples["conv"].arm_s)
    for each in samples.values():
        assert each.late is not None
        assert 2 * len(each.late) == rounds
    assert len({each.late for each in samples.values()}) > 1


def test_training_is_checked_with_the_weights_as_built() -> None:
    """A training step changes weights, but not before the arms are compared by them."""
    samples = measured(*TRAIN, replace(TRAIN[0], factor="layout"), seconds=0.05)
    assert [each.status for each in samples.values()] == ["ok"] * len(samples), samples
    for each in samples.values():
        assert each.gradient_error is not None
        assert each.gradient_error < 1e-5


def test_each_arm_has_a_status_of_its_own(own: Own) -> None:
    """An arm that cannot be built, called or is wrong leaves the times of the others alone."""
    names = ("right", "wrong", "raises", "raises_late", "leaves_late", "full", "full_late")
    told: list[BaseException] = []
    samples = measured(*own(*names, "number", "same"), failed=told.append)
    assert {name: each.status for name, each in samples.items()} == {
        "right": "ok",
        "wrong": "wrong",
        "raises": "crashed",
        "raises_late": "crashed",
        "leaves_late": "crashed",
        "full": "oom",
        "full_late": "oom",
        "number": "skipped",
        "same": "ok",
    }
    for each in samples.values():
        assert bool(each.arm_s) is (each.status == "ok")
        assert (each.error is None) is (each.status == "ok")
        assert "\n" not in str(each.error)
    assert len(samples["right"].arm_s) == len(samples["same"].arm_s) >= LEAST_ROUNDS
    assert samples["wrong"].remedy is Remedy.ALLOW_DIFFERENT
    assert "ValueError: no such head (arms.py, line 7)" in str(samples["raises_late"].error)
    assert len(told) == 6


def test_a_failing_baseline_is_the_result_of_all(own: Own) -> None:
    """Without a baseline no arm has a time, and the error names it."""
    for name, status in (("raises", "crashed"), ("raises_late", "crashed"), ("full", "oom")):
        samples = measured(*own(name, "right", "same"))
        assert {each.status for each in samples.values()} == {status}, name
        assert not any(each.arm_s for each in samples.values())
    assert "the baseline raised ValueError" in str(measured(*own("raises", "same"))["same"].error)


def test_a_wrong_arm_is_not_called_in_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its tolerance an arm has its error and no times; all others have both."""
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-12)
    samples = measured(*FORWARD)
    assert {each.status for each in samples.values()} == {"wrong"}
    for each in samples.values():
        assert "fp32 allows 1e-12" in str(each.error)
        assert each.output_error is not None
        assert each.arm_s == ()


def test_equal_arms_share_one() -> None:
    """Two comparisons of one arm, and two controls, have the times of the same calls."""
    again = [replace(each, factor=CHOICE) for each in FORWARD]
    samples, half = measure_group(make_group(*FORWARD, *again)), len(FORWARD)
    assert len({each.key for each in samples}) == 2 * half
    for one, other in zip(samples[:half], samples[half:], strict=True):
        assert (one.arm_s, one.late, one.status) == (other.arm_s, other.late, "ok")


def test_an_arm_that_failed_for_one_comparison_stays_for_another() -> None:
    """An arm with times is not lost because its second check fails."""
    again = replace(FORWARD[1], factor=CHOICE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TOLERANCES, "fp32", 1e-12)
        first, second = measure_group(
            make_group(FORWARD[1], again, checked=(FORWARD[1].key,), seconds=0.01)
        )
    assert (first.status, second.status) == ("ok", "wrong")
    assert first.arm_s
    assert second.arm_s == ()


def test_checked_arms_are_not_checked_again() -> None:
    """An arm that an earlier pass checked has no error; the others have one."""
    checked = tuple(each.key for each in FORWARD[1:])
    errors = [each.output_error for each in measured(*FORWARD, checked=checked).values()]
    assert errors[0] is not None
    assert errors[1:] == [None] * len(checked)


def test_a_hopeless_arm_keeps_its_first_rounds(own: Own) -> None:
    """An arm that is far slower has a few pairs; the others have all of them."""
    samples = measured(*own("right", "slow", "same"), seconds=1.0)
    assert {each.status for each in samples.values()} == {"ok"}
    assert len(samples["slow"].arm_s) == len(samples["slow"].baseline_s) == 2
    assert samples["slow"].baseline_s == samples["same"].baseline_s[:2]
    assert len(samples["same"].arm_s) > LEAST_ROUNDS


@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_an_interrupt_ends_with_the_round(own: Own, last: int) -> None:
    """The round under way is finished, and every arm has all rounds so far."""
    watch = Stops(last, disturbed=(0, 2))
    samples = measured(*own("right", "same"), seconds=60.0, watch=watch, stop=watch)
    for each in samples.values():
        assert each.status == "ok"
        assert len(each.baseline_s) == len(each.arm_s) == last
        assert each.disturbed == tuple(index for index in (0, 2) if index < last)


def test_an_interrupted_warm_up_measures_nothing(own: Own) -> None:
    """An interrupt during preparation leaves samples without times."""
    samples = measured(*own("right", "same"), stop=lambda: True, clock=DeviceClock())
    assert {(each.status, each.arm_s, each.arm_queued_s) for each in samples.values()} == {
        ("ok", (), None)
    }


def test_rounds_have_a_limit(own: Own) -> None:
    """No more rounds than asked for are made, whatever the time."""
    samples = measured(*own("right", "same"), seconds=60.0, most_rounds=12)
    assert {len(each.arm_s) for each in samples.values()} == {12}


def test_the_measuring_time_follows_from_the_preparation(own: Own) -> None:
    """measuring_s is called once, with the seconds of building, checking and first calls."""
    prepared_s: list[float] = []

    def measuring_s(prepare_s: float) -> float:
        prepared_s.append(prepare_s)
        return 0.0

    samples = measured(*own("right", "wrong", "same"), measuring_s=measuring_s)
    ready = [each for each in samples.values() if each.status == "ok"]
    assert len(prepared_s) == 1
    assert sum(each.prepare_s for each in ready) == pytest.approx(prepared_s[0])


def test_a_device_clock_gives_wall_and_queued_times(own: Own) -> None:
    """Beside device times a sample has wall times, and the time of a call in a full queue."""
    samples = measured(*own("right", "raises_late", "same"), clock=DeviceClock())
    for name in ("right", "same"):
        each = samples[name]
        assert len(each.baseline_wall_s) == len(each.arm_wall_s) == len(each.arm_s) > 0
        assert each.arm_queued_s is not None
        assert each.arm_queued_s > 0
        assert each.resolution_s == DeviceClock.resolution_s
    assert samples["raises_late"].status == "crashed"


def test_bursts_of_queued_calls_take_turns(tmp_path: Path) -> None:
    """After the rounds each arm has four bursts, and no arm has all of them in a row."""
    code = """
        def noting(name):
            def work(x):
                with open(__file__ + ".log", "a") as log:
                    log.write(name)
                return x + 1
            return work
        def right(): return noting("r")
        def other(): return noting("o")
    """
    path = write(tmp_path / "arms.py", code)
    arms = [compare(f"{path}:right", f"{path}:{name}") for name in ("right", "other")]
    samples = measured(*arms, clock=DeviceClock())
    assert all(each.arm_queued_s for each in samples.values())
    # Four bursts of at most twenty calls of the baseline, its copy and the other.
    latest = Path(f"{path}.log").read_text("utf-8")[-4 * 3 * 20 :]
    assert len(list(groupby(latest))) >= 4


def test_an_arm_that_raises_in_a_full_queue_is_its_own_result(tmp_path: Path) -> None:
    """An arm that finds no memory once calls are queued loses its times, not those of others."""
    code = """
        LATEST = []
        def right(): return lambda x: (LATEST.clear(), x + 1)[1]
        def queued():
            def work(x):
                LATEST.append(x)
                if len(LATEST) > 8:
                    raise MemoryError
                return x + 1
            return work
    """
    path = write(tmp_path / "arms.py", code)
    arms = [compare(f"{path}:right", f"{path}:{name}") for name in ("right", "queued")]
    samples = measured(*arms, clock=DeviceClock())
    assert [each.status for each in samples.values()] == ["ok", "oom"]
    assert samples["right"].arm_queued_s
    assert samples["queued"].arm_s == ()


def test_without_a_compiler_only_compiled_arms_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the package to install; eager arms are measured."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled = replace(FORWARD[0], factor="compile", arm=Arm(compile="compile_blocks"))
    samples = measured(*FORWARD, compiled)
    assert samples.pop("compile_blocks").status == "skipped"
    assert {each.status for each in samples.values()} == {"ok"}


def test_a_group_shows_that_it_goes_on(own: Own) -> None:
    """It gives a sign of life after each arm made ready, failed ones too, and after each round."""
    signs: list[int] = []
    watch = FakeWatch()
    comparisons = own("right", "same", "raises", "wrong")
    measured(*comparisons, watch=watch, is_alive=lambda: signs.append(len(watch.calls)))
    assert signs[: len(comparisons)] == [0] * len(comparisons)
    assert len(signs) == len(comparisons) + watch.calls.count("pair")


class Stick(YardstickTimes):
    """A yardstick that counts the rounds between which it was asked for."""

    asked = 0

    def __init__(self) -> None:
        super().__init__("cpu")

    def between_rounds(self) -> None:
        """Count."""
        self.asked += 1

    def median_s(self) -> float:
        """Return any time."""
        return 2.5


@pytest.mark.parametrize(("cache", "rounds"), [("cold", LEAST_ROUNDS), ("warm", 0)])
def test_the_yardstick_belongs_to_the_group(own: Own, cache: str, rounds: int) -> None:
    """It is timed among the rounds, but never where it would cool warm caches."""
    stick = Stick()
    arms = [replace(each, cache=cache) for each in own("right", "same", "wrong")]
    samples = measured(*arms, yardstick=stick, most_rounds=LEAST_ROUNDS)
    assert stick.asked == rounds
    assert [each.yardstick_s for each in samples.values()] == [2.5, 2.5, None]


def test_the_timed_seconds_of_a_group_are_counted_once(own: Own) -> None:
    """The samples of a group share the seconds of its rounds: the baseline's are no one's own."""
    samples = measured(*own("right", "same", "wrong"), seconds=0.2)
    ready = [samples["right"], samples["same"]]
    timed_s = sum(each.timed_s for each in ready)
    counted = sum(sum(each.arm_s) for each in ready) + sum(ready[0].baseline_s)
    assert timed_s == pytest.approx(counted, rel=0.01)
    assert timed_s <= sum(each.measure_s for each in ready)
    assert samples["wrong"].timed_s == 0


@pytest.mark.usefixtures("captured_only")
def test_compiled_arms_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each compiled arm has its first call, and no arm is compiled again in the rounds."""
    from torch._dynamo.utils import counters

    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "before"))
    selection = replace(SMALL, modes=("forward",))
    control, *_, sdpa = expand(ATTENTION, selection)
    levels = [Arm(compile="compile"), Arm(attention="sdpa", compile="compile")]
    compiled = [replace(sdpa, factor=CHOICE, arm=arm) for arm in levels]
    graphs: list[int] = []

    def measuring_s(_: float) -> float:
        graphs.append(counters["stats"]["unique_graphs"])
        return 0.0

    session = make_group(
        control, sdpa, *compiled, compiled[0], compiled=tmp_path, measuring_s=measuring_s
    )
    samples = measure_group(session)
    assert [each.status for each in samples] == ["ok"] * 4, samples
    assert [each.first_call_cache for each in samples] == [None, None, "cold", "cold"]
    assert all(each.first_call_s for each in samples[2:])
    assert graphs[0] > 0
    assert counters["stats"]["unique_graphs"] == graphs[0]
