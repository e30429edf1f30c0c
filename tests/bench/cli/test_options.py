"""bench.cli.options: parsing of option values."""

from collections.abc import Callable

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cli.options import duration, error_bound, names, numbers, pixels, share, size, tolerance

UNITS_S = {"s": 1, "m": 60, "h": 3600}


@pytest.mark.parametrize(
    ("text", "expected_s"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 0.5s ", 0.5)]
)
def test_duration(text: str, expected_s: float) -> None:
    """A number with a unit is converted to seconds."""
    assert duration(text) == expected_s


@settings(deadline=None)
@given(value=st.integers(1, 10**6), unit=st.sampled_from(sorted(UNITS_S)))
def test_duration_of_any_number(value: int, unit: str) -> None:
    """Every whole number of seconds, minutes or hours is accepted."""
    assert duration(f"{value}{unit}") == value * UNITS_S[unit]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B/16", ("B/16",)),
        (" B/16 , L/16,", ("B/16", "L/16")),
        ("cpu,cuda,cpu", ("cpu", "cuda")),
        ("", ()),
        (" , ", ()),
    ],
)
def test_names(text: str, expected: tuple[str, ...]) -> None:
    """Names keep their order, and spaces and duplicates are removed."""
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1", (1,)), ("1, 8,8", (1, 8)), ("1,01", (1,)), ("-1", (-1,))]
)
def test_numbers(text: str, expected: tuple[int, ...]) -> None:
    """Whole numbers keep their order without duplicates; their range is checked elsewhere."""
    assert numbers(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("224", 224), (" 224x192 ", (224, 192))])
def test_pixels(text: str, expected: int | tuple[int, int]) -> None:
    """One number means a square, two mean height and width."""
    assert pixels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2%", 0.02), ("0.02", 0.02), (" 1.5% ", 0.015), ("99.9%", 0.999), ("0.999", 0.999)],
)
def test_share(text: str, expected: float) -> None:
    """A share is given in percent or as a fraction."""
    assert share(text) == pytest.approx(expected)


@settings(deadline=None)
@given(percent=st.integers(1, 9999))
def test_share_either_way(percent: int) -> None:
    """A percentage and the equal fraction give the same share."""
    assert share(f"{percent / 100:.2f}%") == pytest.approx(share(f"{percent / 10000:.4f}"))


@pytest.mark.parametrize(
    ("option", "text", "example"),
    [
        *((duration, text, "90s, 10m or 1.5h") for text in ("", "90", "s", "-1s", "1d", "1e3s")),
        *((numbers, text, "1,8") for text in ("one", "1,2.5", "1;2")),
        *((pixels, text, "224 or 224x192") for text in ("", "-224", "224x", "2x2x2", "22.4")),
        *(
            (share, text, "2% or 0.02")
            for text in ("", "%", "0", "0%", "1", "100%", "1.5", "-2%", "2 %", "1e-2", "two", ".5")
        ),
    ],
)
def test_invalid_values_are_refused(
    option: Callable[[str], object], text: str, example: str
) -> None:
    """The error quotes the invalid value and gives an example of a valid one."""
    with pytest.raises(click.BadParameter) as raised:
        option(text)
    assert raised.value.message.startswith(f"{text!r} is not a")
    assert raised.value.message.endswith(f"expected e.g. {example}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("24GiB", 24 * 2**30), ("512 MiB", 2**29), ("1.5GiB", 3 * 2**29), ("80GB", 80 * 10**9)],
)
def test_size(text: str, expected: int) -> None:
    """Sizes accept binary and decimal units."""
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "24", "24gib", "-1GiB", "0GiB", "GiB", "1 TiB"])
def test_invalid_sizes_are_refused(text: str) -> None:
    """The error gives an example of a valid size."""
    with pytest.raises(
        click.BadParameter, match=r"is not an amount of memory; expected e\.g\. 24GiB"
    ):
        size(text)


@pytest.mark.parametrize(("text", "expected"), [("1e-4", 1e-4), ("0.01", 0.01), (" 5E-3 ", 5e-3)])
def test_error_bound(text: str, expected: float) -> None:
    """An error bound is a float literal of Python."""
    assert error_bound(text) == expected


@pytest.mark.parametrize("text", ["", "0", "1", "-1e-4", "1%", "nan", "inf", "small"])
def test_invalid_error_bounds_are_refused(text: str) -> None:
    """The error gives an example of a valid error bound."""
    with pytest.raises(click.BadParameter, match=r"is not a relative error; expected e.g. 1e-4"):
        error_bound(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("3%", 0.03), ("0.03", 0.03), ("0%", 0.0), ("150%", 1.5), ("2", 2.0)]
)
def test_tolerance(text: str, expected: float) -> None:
    """A tolerance is a percentage or a fraction, and may exceed one."""
    assert tolerance(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "-1%", "3 percent", "nan", "%"])
def test_invalid_tolerances_are_refused(text: str) -> None:
    """The error gives an example of a valid tolerance."""
    with pytest.raises(click.BadParameter, match=r"is not a fraction; expected e.g. 3% or 0.03"):
        tolerance(text)
