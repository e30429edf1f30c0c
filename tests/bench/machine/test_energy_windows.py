"""bench.machine.energy: joules of a call over windows of a fake counter and of a file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.machine.energy import WINDOW_TICKS, Meter, RaplMeter, joules_per_call
from helpers.machine import FakeMeter, FakeTime, write_files


class Work:
    """Calls of a fixed duration, with a record of the order of calls and waits."""

    def __init__(self, clock: FakeTime, call_s: float) -> None:
        self.clock, self.call_s = clock, call_s
        self.calls = 0
        self.order: list[str] = []

    def __call__(self) -> None:
        """Advance the clock by one call."""
        self.clock.now_s += self.call_s
        self.calls += 1
        self.order.append("call")

    def wait(self) -> None:
        """Wait for the device, which is ready at once."""
        self.order.append("wait")


def measured_j(meter: Meter, work: Work, least_s: float = 2.0) -> float:
    """Return the joules per call."""
    return joules_per_call(work, work.wait, meter, clock=work.clock, least_s=least_s)


@settings(deadline=None)
@given(
    watts=st.floats(0.5, 1000),
    call_s=st.floats(0.002, 5),
    tick_s=st.sampled_from([0.001, 0.02, 0.1, 0.5]),
    before_s=st.floats(0, 10),
)
def test_joules_are_power_times_duration(
    watts: float, call_s: float, tick_s: float, before_s: float
) -> None:
    """The error is below one tick per window; for short calls, about one call per window."""
    clock = FakeTime()
    clock.now_s = before_s
    work = Work(clock, call_s)
    found_j = measured_j(FakeMeter(clock, watts, tick_s), work)
    error_s = abs(found_j / watts - call_s) * work.calls
    looks_s = 0.1 * tick_s
    assert error_s <= min(tick_s, call_s + 0.05 * tick_s) + looks_s


@settings(deadline=None)
@given(call_s=st.floats(0.002, 5), tick_s=st.floats(0.001, 1), least_s=st.floats(0, 4))
def test_window_spans_least_length_and_ticks(call_s: float, tick_s: float, least_s: float) -> None:
    """A window spans the minimum length and twenty ticks, and at most two calls and ticks more."""
    clock = FakeTime()
    work = Work(clock, call_s)
    measured_j(FakeMeter(clock, tick_s=tick_s), work, least_s)
    window_s = max(least_s, WINDOW_TICKS * tick_s)
    assert window_s <= work.calls * call_s + 1e-3
    assert work.calls * call_s <= window_s + 2 * call_s + 2.1 * tick_s


def test_the_device_is_waited_for_at_both_ends() -> None:
    """The device is synchronized before the first reading and before each reading at the end."""
    clock = FakeTime()
    work = Work(clock, 0.5)
    measured_j(FakeMeter(clock), work)
    assert work.order == ["wait", *4 * ["call"], "wait", "call", "wait"]


def test_counter_that_does_not_advance_is_an_error() -> None:
    """A counter that does not advance, as on some virtual machines, is an error, not 0 J."""
    clock = FakeTime()
    with pytest.raises(OSError, match="fake does not advance"):
        measured_j(FakeMeter(clock, watts=0.0), Work(clock, 0.1))


def test_error_of_the_call_passes_unchanged() -> None:
    """An error of the call passes unchanged to the caller."""
    clock = FakeTime()
    with pytest.raises(ZeroDivisionError):
        joules_per_call(lambda: 1 // 0, lambda: None, FakeMeter(clock), clock=clock)


def test_a_window_by_a_real_clock_is_filled_with_calls(tmp_path: Path) -> None:
    """On the real clock, a file that each call raises by a joule gives 1 J per call."""
    files = {"name": "package-0", "energy_uj": "0", "max_energy_range_uj": f"{10**12}"}
    zone, calls = write_files(tmp_path / "intel-rapl:0", files), 0

    def call() -> None:
        nonlocal calls
        calls += 1
        write_files(zone, {"energy_uj": f"{10**6 * calls}"})

    assert joules_per_call(call, lambda: None, RaplMeter(tmp_path), least_s=0.0) == 1.0
    assert calls > 1
