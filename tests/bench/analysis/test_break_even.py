"""row_costs: time of the first call, and the number of images after which compiling pays off."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.analysis.row_costs import with_costs
from bench.records.row import Record
from bench.records.sample import Sample
from helpers.records import make_comparison, make_record, make_sample

COMPARISON = make_comparison("compile", factor="compile", baseline="eager")
POSITIVE = st.floats(1e-3, 1e3)


def row(*samples: Sample, **changes: Any) -> Record:
    """Row of a candidate with these first calls."""
    found, _ = with_costs(make_record(**changes), COMPARISON, samples, {})
    return found


def first_call(seconds: float | None, cache: str | None, start_s: float | None = None) -> Sample:
    """A pass with the first call of a compiled arm."""
    return make_sample(
        COMPARISON, first_call_s=seconds, first_call_cache=cache, compiler_start_s=start_s
    )


def test_first_calls() -> None:
    """A row has the median first call over processes, by cache state, compiler import included."""
    samples = [
        first_call(30.0, "cold", 2.0),
        first_call(3.0, "warm", 1.0),
        first_call(7.0, "warm"),
        first_call(None, None),
    ]
    found = row(*samples)
    assert (found.compile_cold_s, found.compile_warm_s) == (32.0, 5.5)


@given(
    speedup=st.floats(0.1, 10), latency_ms=POSITIVE, cold_s=POSITIVE, batch_size=st.integers(1, 512)
)
def test_break_even(speedup: float, latency_ms: float, cold_s: float, batch_size: int) -> None:
    """Both arms have taken equal time at the break-even; without a gain per call it is infinite."""
    numbers = {"speedup": speedup, "latency_ms": latency_ms, "batch_size": batch_size}
    even = row(first_call(cold_s, "cold"), **numbers).break_even_images
    assert even is not None
    if speedup <= 1:
        assert even == math.inf
        return
    call_s = latency_ms / 1e3
    assume(speedup > 1.001)
    eager_s = even / batch_size * speedup * call_s
    compiled_s = cold_s + (even / batch_size - 1) * call_s
    if cold_s >= call_s:
        assert compiled_s == pytest.approx(eager_s)
    else:
        assert even == 0


@given(bounds=st.lists(st.floats(0.2, 5), min_size=3, max_size=3).map(sorted))
def test_interval_of_the_break_even(bounds: list[float]) -> None:
    """The interval follows from that of the speed-up, ends swapped, and holds the value."""
    numbers = dict(zip(("speedup_low", "speedup", "speedup_high"), bounds, strict=True))
    found = row(first_call(33.0, "cold"), **numbers)
    low, high = found.break_even_low_images, found.break_even_high_images
    assert None not in (low, found.break_even_images, high)
    assert (low or 0) <= (found.break_even_images or 0) <= (high or 0)
    assert (high == math.inf) is (bounds[0] <= 1)


@pytest.mark.parametrize(
    ("cache", "changes"),
    [("warm", {}), ("cold", {"speedup": None}), ("cold", {"batch_size": None}), (None, {})],
)
def test_no_break_even(cache: str | None, changes: dict[str, Any]) -> None:
    """Without a cold first call, a speed-up or a number of images the break-even is empty."""
    found = row(first_call(33.0, cache), **changes)
    assert found.break_even_images is None


def test_without_an_interval_the_break_even_has_none() -> None:
    """Unknown bounds of the speed-up give empty bounds, not infinite ones."""
    ends = {"speedup_low": None, "speedup_high": None}
    found = row(first_call(33.0, "cold"), **ends)
    assert found.break_even_images is not None
    assert (found.break_even_low_images, found.break_even_high_images) == (None, None)
