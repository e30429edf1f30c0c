"""bench.report.units: exact texts of formatted numbers."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.units import (
    bound,
    bounded,
    bounds,
    digits,
    duration,
    escaped,
    gigaflop,
    images,
    memory,
    milliseconds,
    of_whole_within,
    percent,
    scientific,
    seconds,
    signed_percent,
    significant,
    times,
    whole_number,
)

THIN = "\N{THIN SPACE}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (1.2345, "1.23"),
        (12, "12.0"),
        (123.45, "123"),
        (12345, f"12{THIN}300"),
        (1234567, f"1{THIN}230{THIN}000"),
        (-0.98765, "-0.988"),
        (9.996, "10.0"),
        (99.96, "100"),
        (0.9996, "1.00"),
        (9999, f"10{THIN}000"),
    ],
)
def test_digits(value: float, expected: str) -> None:
    """Three significant digits, with separated thousands."""
    assert digits(value) == expected


@pytest.mark.parametrize(("significant", "expected"), [(1, "30"), (2, "31"), (4, "31.42")])
def test_significant_digits(significant: int, expected: str) -> None:
    """The requested number of significant digits is shown."""
    assert digits(31.4159, significant) == expected


@settings(deadline=None)
@given(value=st.floats(1e-12, 1e15), sign=st.sampled_from([-1, 1]))
def test_digits_without_exponent(value: float, sign: int) -> None:
    """No number has an exponent, and each is exact to half a digit."""
    text = digits(sign * value)
    assert set(text) <= set(f"-0123456789.{THIN}")
    assert float(text.replace(THIN, "")) == pytest.approx(sign * value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value_ms", "expected"),
    [
        (None, ""),
        (0.0123, "12.3 µs"),
        (0.5, "500 µs"),
        (1.0, "1.00 ms"),
        (12.34, "12.3 ms"),
        (4321.0, f"4{THIN}320 ms"),
    ],
)
def test_milliseconds(value_ms: float | None, expected: str) -> None:
    """A latency has its unit: microseconds below one millisecond."""
    assert milliseconds(value_ms) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, ""), (1.0, "×1.00"), (0.456, "×0.46"), (12.34, "×12.3"), (0.0123, "×0.0123")],
)
def test_times(value: float | None, expected: str) -> None:
    """A speed-up has two decimal places, or three digits from ten on."""
    assert times(value) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.2, 1.264, "1.20 to 1.26"),
        (0.05, 12.34, "0.0500 to 12.3"),
        (0.001, 12.0, "unknown"),
        (None, 1.2, ""),
        (1.2, None, ""),
        (None, None, ""),
    ],
)
def test_bounds(low: float | None, high: float | None, expected: str) -> None:
    """An interval needs both bounds; one over more than three decades is unknown."""
    assert bounds(low, high) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ""), (0.0, "0.0e+00"), (1.234e-6, "1.2e-06")]
)
def test_scientific(value: float | None, expected: str) -> None:
    """A numeric error has an exponent; zero is shown, a missing error is empty."""
    assert scientific(value) == expected


@pytest.mark.parametrize(
    ("length_s", "expected"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (45.4, "45 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3661, "1 h 01 min"),
    ],
)
def test_duration(length_s: float, expected: str) -> None:
    """Below a minute seconds, then minutes and seconds, then hours; never negative."""
    assert duration(length_s) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (0.0, "0.0 %"),
        (0.01234, "1.2 %"),
        (0.5, "50.0 %"),
        (1.0, "100.0 %"),
        (1.001, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_percent(value: float | None, expected: str) -> None:
    """A relative difference is in percent; one above 100 % is unknown."""
    assert percent(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.0, "100.0 %"), (1.085, "108.5 %"), (10.0, "1000.0 %"), (10.01, "unknown")],
)
def test_percent_of_a_limit(value: float, expected: str) -> None:
    """A share of a measured limit may exceed 100 %; an implausible one is unknown."""
    assert percent(value, most=10) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, ""),
        (0.0, "0"),
        (0.2, "1"),
        (45.0, "45"),
        (45.01, "46"),
        (999.0, "999"),
        (999.5, f"1{THIN}000"),
        (12_345.0, f"12{THIN}300"),
        (1e10, f"10{THIN}000{THIN}000{THIN}000"),
        (1.1e10, "never"),
        (math.inf, "never"),
    ],
)
def test_images(count: float | None, expected: str) -> None:
    """Whole images, to three digits in thousands; beyond any realistic number "never"."""
    assert images(count) == expected


@settings(deadline=None)
@given(count=st.floats(0, 1e10))
def test_images_are_enough(count: float) -> None:
    """Small numbers of images are rounded up; larger ones are exact to half a digit."""
    shown = float(images(count).replace(THIN, ""))
    assert shown == pytest.approx(count, rel=5.1e-3, abs=1)
    assert count > 999 or shown == math.ceil(count)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (120.0, 1300.0, f"120 to 1{THIN}300"),
        (120.0, math.inf, "120 to never"),
        (math.inf, math.inf, "never"),
        (45.1, 45.9, "46"),
        (None, 1.0, ""),
        (1.0, None, ""),
    ],
)
def test_bounded(low: float | None, high: float | None, expected: str) -> None:
    """An interval has its formatted ends; equal texts are shown once, a missing end gives none."""
    assert bounded(images, low, high) == expected


@pytest.mark.parametrize(
    ("show", "value", "expected"),
    [
        (seconds, 33.123, "33.1 s"),
        (seconds, 0.34, "0.340 s"),
        (seconds, 0.0, "0 s"),
        (gigaflop, 35.1e9, "35.1"),
        (gigaflop, 2.3e8, "0.230"),
        (significant, 33.597, "33.6"),
        (significant, 4020.0, f"4{THIN}020"),
        (significant, 0.0, "0"),
        (whole_number, 12_300, f"12{THIN}300"),
        (whole_number, 0, "0"),
    ],
)
def test_costs(show: Callable[[float | None], str], value: float, expected: str) -> None:
    """Costs have three digits, with a unit unless the heading has it; an unknown cost is empty."""
    assert show(value) == expected
    assert show(None) == ""


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (None, ""),
        (0, "0 B"),
        (602_112, "588 KiB"),
        (345 * 2**20, "345 MiB"),
        (2**30, "1.00 GiB"),
        (31.4 * 2**30, "31.4 GiB"),
        (2**40, "1.00 TiB"),
    ],
)
def test_memory(size_bytes: float | None, expected: str) -> None:
    """A size has three digits and a unit from B to TiB."""
    assert memory(size_bytes) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, ""), (0.0123, "+1.2 %"), (-0.3, "-30.0 %"), (0.0, "+0.0 %")]
)
def test_signed_percent(value: float | None, expected: str) -> None:
    """An error has its sign."""
    assert signed_percent(value) == expected


def test_markdown_is_not_broken_by_names() -> None:
    """Column separators and HTML in a name are escaped."""
    assert escaped("a|b <img> `c`") == "a\\|b &lt;img> `c`"


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.017, 0.0091, 0.0249, "+1.7 % (+0.9 to +2.5 %)"),
        (0.0004, -0.0001, 0.0009, "+0.04 % (-0.01 to +0.09 %)"),
        (1.05, 0.88, 1.22, "+105 % (+88 to +122 %)"),
        (-0.0301, -0.041, -0.02, "-3.0 % (-4.1 to -2.0 %)"),
        (-0.0001, -0.03, 0.02, "+0.0 % (-3.0 to +2.0 %)"),
        (0.017, None, None, "+1.7 %"),
        (None, None, None, ""),
    ],
)
def test_of_whole(
    value: float | None, low: float | None, high: float | None, expected: str
) -> None:
    """A gain of the whole and its interval have a sign and the same decimals."""
    assert of_whole_within(value, low, high) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "unknown"),
        (0.0, "0 %"),
        (0.000401, "0.05 %"),
        (0.016, "1.6 %"),
        (0.01601, "1.7 %"),
        (1.2, "120 %"),
    ],
)
def test_bound(value: float | None, expected: str) -> None:
    """An upper bound is rounded up, so that it holds; without one it is unknown."""
    assert bound(value) == expected
