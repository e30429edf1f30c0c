"""Formats of numbers: the one place where a number becomes text with its unit."""

import math
from collections.abc import Callable

_MINUTE_S = 60
_HOUR_MIN = 60
_TWO_DECIMALS = (0.1, 10)
_WIDEST = 1000
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
MOST_IMAGES = 1e10
# Shares below this have two decimals in percent.
_TINY = 1e-3


def digits(value: float, significant: int = 3) -> str:
    """A number with ``significant`` digits, without an exponent: 0.0123, 1.23, 123, 12 300."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{significant - 1}e}")
    places = significant - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(places, 0)}f}".replace(",", "\N{THIN SPACE}")


def milliseconds(value_ms: float | None) -> str:
    """A latency: ``12.3 ms``, or microseconds below one millisecond."""
    if value_ms is None:
        return ""
    return f"{digits(value_ms * 1e3)} µs" if value_ms < 1 else f"{digits(value_ms)} ms"


def times(value: float | None) -> str:
    """A speed-up: ``×1.23``."""
    return "" if value is None else f"×{_ratio(value)}"


def _ratio(value: float) -> str:
    """Two decimals from 0.1 to 10, three significant digits elsewhere."""
    return f"{value:.2f}" if _TWO_DECIMALS[0] <= value < _TWO_DECIMALS[1] else digits(value)


def bounds(low: float | None, high: float | None) -> str:
    """An interval of a speed-up: ``1.20 to 1.26``; ``unknown`` if wider than three decades."""
    if low is None or high is None:
        return ""
    if high > _WIDEST * low:
        return "unknown"
    return f"{_ratio(low)} to {_ratio(high)}"


def times_within(value: float, low: float | None, high: float | None) -> str:
    """A speed-up with its interval, if it has one: ``×1.23 (1.20 to 1.26)``."""
    interval = bounds(low, high)
    return f"{times(value)} ({interval})" if interval else times(value)


def bounded(show: Callable[[float | None], str], low: float | None, high: float | None) -> str:
    """An interval whose ends ``show`` formats: ``120 to never``; '' if an end is missing.

    Ends with the same text are shown once: ``never``.
    """
    if low is None or high is None:
        return ""
    first, last = show(low), show(high)
    return first if first == last else f"{first} to {last}"


def seconds(value_s: float | None) -> str:
    """A short time: ``0.34 s``, ``33.1 s``."""
    return "" if value_s is None else f"{digits(value_s)} s"


def images(count: float | None) -> str:
    """A whole number of images, to three digits: ``46``, ``12 300``.

    Infinitely many, or more than MOST_IMAGES, are ``never``.
    """
    if count is None:
        return ""
    if count > MOST_IMAGES:
        return "never"
    whole = math.ceil(count)
    return str(whole) if whole < _WIDEST else digits(whole)


def pays_off(count: float | None) -> str:
    """The images after which compiling has paid off: ``pays off after 46 images``."""
    if count is not None and count > MOST_IMAGES:
        return "never pays off"
    return f"pays off after {images(count)} images"


def images_per_s(value: float | None) -> str:
    """A throughput: ``81.0 images/s``."""
    return "" if value is None else f"{digits(value)} images/s"


def gigaflop(value: float | None) -> str:
    """Floating-point operations: ``35.1``, in 10⁹."""
    return "" if value is None else digits(value / 1e9)


def significant(value: float | None) -> str:
    """A number with three digits, under a heading that has its unit: ``23.4``."""
    return "" if value is None else digits(value)


def whole_number(value: float | None) -> str:
    """A count: ``46``, ``12 300``."""
    return "" if value is None else f"{value:,.0f}".replace(",", "\N{THIN SPACE}")


def scientific(value: float | None) -> str:
    """A numeric error: ``1.2e-06``."""
    return "" if value is None else f"{value:.1e}"


def duration(seconds: float) -> str:
    """A length of time: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return f"{whole} s"
    minutes = whole // _MINUTE_S
    if minutes < _HOUR_MIN:
        return f"{minutes} min {whole % _MINUTE_S:02d} s"
    return f"{minutes // _HOUR_MIN} h {minutes % _HOUR_MIN:02d} min"


def percent(value: float | None, *, most: float = 1.0) -> str:
    """A share or relative difference: ``1.2 %``; ``unknown`` above ``most``."""
    if value is None:
        return ""
    return "unknown" if value > most else f"{100 * value:.1f} %"


def counted(count: int, noun: str) -> str:
    """A count with its noun: ``1 verdict``, ``3 verdicts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def signed_percent(value: float | None) -> str:
    """A relative change with its sign: ``+1.2 %``; ``new`` if it was 0 before."""
    if value is None:
        return ""
    return "new" if math.isinf(value) else f"{100 * value:+.1f} %"


def of_whole(value: float | None, *ends: float | None) -> str:
    """A relative gain of the whole: ``+1.7 %``, with two decimals if it and ``ends`` are tiny."""
    if value is None:
        return ""
    return f"{_gain(value, _decimals(value, *ends))} %"


def of_whole_bounds(low: float | None, high: float | None) -> str:
    """An interval of a gain of the whole: ``+0.9 to +2.5 %``."""
    if low is None or high is None:
        return ""
    decimals = _decimals(low, high)
    return f"{_gain(low, decimals)} to {_gain(high, decimals)} %"


def of_whole_within(value: float | None, low: float | None, high: float | None) -> str:
    """A gain of the whole with its interval, if it has one: ``+1.7 % (+0.9 to +2.5 %)``."""
    interval = of_whole_bounds(low, high)
    text = of_whole(value, *((low, high) if interval else ()))
    return f"{text} ({interval})" if interval else text


def bound(value: float | None) -> str:
    """An upper bound of a gain, rounded up: ``1.7 %``, ``0.05 %``; ``unknown`` if it is."""
    if not value:
        return "unknown" if value is None else "0 %"
    decimals = _decimals(value)
    step = 10.0 ** -(2 + decimals)
    return f"{100 * math.ceil(value / step - 1e-9) * step:.{decimals}f} %"


def _gain(value: float, decimals: int) -> str:
    # Adding 0 turns -0.0 into 0.0.
    return f"{round(100 * value, decimals) + 0:+.{decimals}f}"


def _decimals(*values: float | None) -> int:
    """Decimals of shares in percent: none from 100 % on, two if all are below 0.1 %."""
    largest = max((abs(each) for each in values if each is not None), default=0.0)
    return 2 if largest < _TINY else 1 if largest < 1 else 0


def escaped(text: str) -> str:
    """Return text with ``|`` and ``<`` escaped for a Markdown table or list."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def memory(size_bytes: float | None) -> str:
    """An amount of memory: ``1.23 GiB``, ``345 MiB``, ``31.2 KiB``, ``4 B``, up to TiB."""
    if size_bytes is None:
        return ""
    for unit, name in _BINARY:
        if abs(size_bytes) >= unit:
            return f"{digits(size_bytes / unit)} {name}"
    return f"{size_bytes:.0f} B"
