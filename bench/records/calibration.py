"""Calibration rates: how often a method's verdicts and intervals were right."""

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """A method of judging a comparison, by its name in tables and in calibration.csv."""

    RUN = "vitbench run"
    COMPARE = "vitbench compare"
    STUDENT = "Student's t over passes"
    SEQUENTIAL = "medians, one arm after the other, bootstrap"
    PYTEST_BENCHMARK = "pytest-benchmark compare"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Results of one method over all trials of one kind.

    ``different`` were called faster or slower, ``slower`` slower; ``covered`` is the share of the
    intervals that hold the truth, ``half_width`` the median half of an interval, as part of the
    speed-up. ``low`` and ``high`` bound the share called different (identical arms) or slower
    (others) with 95 % confidence.
    """

    method: Method
    truth: float
    trials: int
    different: int
    slower: int
    covered: float
    half_width: float
    low: float
    high: float
