"""One comparison inside a pass: statuses, the contents of a sample, and interrupts."""

import time
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import pytest

from bench.arms.agreement import TOLERANCES
from bench.arms.candidate import Candidate
from bench.arms.tensors import Inputs
from bench.records.comparison import Arm, Comparison
from bench.records.errors import InputError
from bench.records.sample import Sample
from bench.suite.bench_patchers import GRID
from bench.suite.grid import Selection, expand
from bench.timing.clocks import WallClock
from bench.timing.rounds import MIN_ROUNDS
from bench.worker.session import measure
from helpers.clocks import FakeClock, FakeWatch
from helpers.jobs import make_job

SMALL = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
CONTROL, UNFOLD, LINEAR = expand(GRID, SMALL)


def sample_of(comparison: Comparison, *, check: bool = True) -> Sample:
    """Measure a comparison for 0.1 s by the wall clock."""
    return measure(make_job(comparison, WallClock(), 0.1, check=check))


def test_a_sample_holds_pairs_and_errors() -> None:
    """Both arms have one positive time per pair, and the arm has its error against float64."""
    sample = sample_of(UNFOLD)
    assert sample.status == "ok"
    assert len(sample.arm_s) == len(sample.baseline_s) >= MIN_ROUNDS
    assert min(sample.arm_s + sample.baseline_s) > 0
    assert sample.output_error is not None
    assert 0 < sample.output_error < 1e-5
    assert sample.gradient_error is None
    assert sample.arm_wall_s == ()
    assert 0 < sample.timed_s <= sample.measure_s


def test_only_a_checking_pass_computes_the_error() -> None:
    """Without check a pass computes no float64 reference."""
    assert sample_of(LINEAR, check=False).output_error is None


def test_training_also_checks_gradients() -> None:
    """In train mode the sample has the output's and the gradients' error."""
    train = replace(LINEAR, workload=replace(LINEAR.workload, mode="train"))
    sample = sample_of(train)
    assert sample.gradient_error is not None
    assert 0 < sample.gradient_error < 1e-5


def test_beyond_its_tolerance_an_arm_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm beyond its tolerance has its error and no times."""
    monkeypatch.setitem(TOLERANCES, "fp32", 1e-12)
    sample = sample_of(UNFOLD)
    assert sample.status == "wrong"
    assert "fp32 allows 1e-12" in str(sample.error)
    assert sample.output_error is not None
    assert sample.arm_s == ()


def test_too_large_an_input_is_out_of_memory() -> None:
    """A failed allocation becomes status oom."""
    workload = replace(UNFOLD.workload, batch_size=10**10)
    sample = sample_of(replace(UNFOLD, workload=workload))
    assert sample.status == "oom"
    assert "\n" not in str(sample.error)


def test_an_exception_in_an_arm_is_a_crash() -> None:
    """Any other exception of an arm becomes status crashed with a one-line cause."""
    sample = sample_of(replace(UNFOLD, arm=Arm(attention="none")))
    assert sample.status == "crashed"
    assert str(sample.error).startswith("ValueError: unknown attention 'none'")


def test_without_a_compiler_the_arm_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the package to install."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    sample = sample_of(replace(UNFOLD, arm=Arm(compile="compile_blocks")))
    assert sample.status == "skipped"
    assert "apt-get install g++" in str(sample.error)


class Timed:
    """A comparison whose calls advance a fake clock by given times."""

    def __init__(self, baseline_s: list[float], arm_s: list[float], **watch: Any) -> None:
        self.clock = FakeClock(wall_offset_s=0.5)
        self.watch = FakeWatch(**watch)
        self.prepared_s: list[float] = []
        # Calls beyond the given times take a second each.
        works = [self.clock.work(chain(times, repeat(1.0))) for times in (baseline_s, arm_s)]
        self.arms = [Candidate(Arm(), CONTROL.workload, work, Inputs()) for work in works]

    def sample(self, left_s: float, last: int | None = None, **changes: Any) -> Sample:
        """Measure for ``left_s``; an interrupt comes after ``last`` pairs."""

        def measuring_s(prepare_s: float) -> float:
            self.prepared_s.append(prepare_s)
            return left_s

        job = make_job(
            replace(CONTROL, cache="warm"),
            self.clock,
            watch=self.watch,
            measuring_s=measuring_s,
            check=False,
            stop=lambda: self.watch.calls.count("pair") == last,
            build=lambda _: (self.arms[0], self.arms[1]),
            **changes,
        )
        return measure(job)


def test_pairs_fill_the_time() -> None:
    """After first calls and settling, pairs fill the time left."""
    sample = Timed([], []).sample(100.5 + 4.0)
    assert (sample.baseline_s, sample.arm_s) == ((1.0,) * 52, (1.0,) * 52)
    assert (sample.baseline_wall_s, sample.arm_wall_s) == ((1.5,) * 52, (1.5,) * 52)
    assert (sample.unsettled, sample.status) == ((), "ok")


def test_a_calm_machine_is_awaited_before_the_pairs() -> None:
    """The wait comes after preparing and before the pairs, and counts as neither."""
    timed = Timed([], [])

    def await_calm() -> float:
        timed.watch.calls.append("await_calm")
        time.sleep(0.2)
        return 0.2

    sample = timed.sample(20.0, await_calm=await_calm)
    assert timed.watch.calls[:2] == ["await_calm", "begin"]
    assert sample.calm_wait_s == 0.2
    assert sample.prepare_s + sample.measure_s < sample.calm_wait_s


def test_the_measuring_time_follows_from_the_preparation() -> None:
    """measuring_s is called once, with the duration of building and the first calls."""
    timed = Timed([], [])
    sample = timed.sample(20.0)
    assert timed.prepared_s == [sample.prepare_s]
    assert sample.measure_s > 0


@pytest.mark.parametrize(
    ("baseline_s", "arm_s", "unsettled"),
    [
        ([0.1] * 9, [0.1] * 9, ()),
        ([0.1] * 9, [10.0] * 9, ("arm",)),  # no time for a second call
        ([10.0] * 9, [0.1] * 9, ("baseline",)),
        ([10.0] * 9, [10.0] * 9, ("baseline", "arm")),
        ([0.1] * 9, [0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1], ("arm",)),  # it would have been settled
        ([0.1] * 9, [0.05, 0.04, 0.03, 0.02, 0.02, 0.02], ()),
    ],
)
def test_unsettled_arms_are_named(
    baseline_s: list[float], arm_s: list[float], unsettled: tuple[str, ...]
) -> None:
    """The sample names each arm whose warm-up ran out of time."""
    assert Timed(baseline_s, arm_s).sample(8.0).unsettled == unsettled


def test_disturbed_pairs_are_kept_with_their_causes() -> None:
    """The sample has the disturbed and the uneven pairs, the causes, and all times."""
    timed = Timed([], [], disturbed=(0, 3), uneven=(3,), causes={"steal": 2})
    sample = timed.sample(20.0)
    assert (sample.disturbed, sample.uneven, sample.causes) == ((0, 3), (3,), {"steal": 2})
    assert len(sample.arm_s) >= MIN_ROUNDS


@pytest.mark.parametrize(("last", "kept"), [(0, 0), (1, 0), (2, 2), (5, 4)])
def test_interrupted_pairs_are_kept(last: int, kept: int) -> None:
    """An interrupt keeps the finished pairs, with each arm first equally often."""
    timed = Timed([], [], disturbed=(1, 4), uneven=(4,))
    sample = timed.sample(200.0, last)
    assert sample.status == "ok"
    assert len(sample.baseline_s) == len(sample.arm_s) == kept
    assert len(sample.baseline_wall_s) == len(sample.arm_wall_s) == kept
    assert sample.disturbed == ((1,) if kept else ())
    assert timed.watch.calls.count("pair") == last


def test_an_input_error_is_skipped() -> None:
    """An InputError gives status skipped with the whole message."""

    def build(_: Comparison) -> tuple[Candidate, Candidate]:
        raise InputError("arm 'a.py:f' takes an argument; expected none")

    sample = measure(make_job(CONTROL, FakeClock(), build=build))
    assert (sample.status, sample.error) == (
        *("skipped", "arm 'a.py:f' takes an argument; expected none"),
    )


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (ValueError("no such head"), "crashed", "ValueError: no such head (test_session.py, line "),
        (SystemExit(3), "crashed", "SystemExit: 3 (test_session.py, line "),
        (MemoryError(), "oom", "MemoryError (test_session.py, line "),
        (InputError("no such file"), "skipped", "no such file"),
    ],
)
def test_an_exception_is_reported_in_one_line(
    raised: BaseException, status: str, said: str
) -> None:
    """The sample has a one-line cause; the callback gets the exception."""

    def build(_: Comparison) -> tuple[Candidate, Candidate]:
        raise raised

    told: list[BaseException] = []
    sample = measure(make_job(CONTROL, FakeClock(), failed=told.append, build=build))
    assert sample.status == status
    assert str(sample.error).startswith(said)
    assert told == [raised]
    assert not sample.died
