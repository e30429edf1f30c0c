"""Calibration rates: how often a method's verdicts and intervals were right."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a method said of all trials of one kind.

    ``different`` were called faster or slower, ``slower`` slower; ``covered`` is the share of the
    intervals that hold the truth, ``half_width`` the median half of an interval, as part of the
    speed-up. ``low`` and ``high`` bound the share called different (identical arms) or slower
    (others) with 95 % confidence.
    """

    method: str
    truth: float
    trials: int
    different: int
    slower: int
    covered: float
    half_width: float
    low: float
    high: float
