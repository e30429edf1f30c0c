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


class Kind(StrEnum):
    """A kind of trial, by its name in tables and in calibration.csv.

    A placebo is other code of the same work; ``DIFFERENCE`` is one placebo against another, by
    their comparisons with the same baseline. The last three are those of earlier versions.
    """

    COPY = "identical copies"
    PLACEBO = "placebos"
    SLOWER = "part 5 % slower"
    DIFFERENCE = "differences of placebos"
    SAME_STACK = "identical arms"
    STACK_51 = "2 % slower"
    STACK_21 = "5 % slower"

    @property
    def is_equal(self) -> bool:
        """Whether both arms cost the same, so that a difference is a false verdict."""
        return self not in (Kind.SLOWER, Kind.STACK_51, Kind.STACK_21)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Results of one method over all trials of one kind.

    ``truth`` is their mean speed-up. ``different`` were called faster or slower, ``slower`` slower;
    ``covered`` is the share of the intervals that hold the truth, ``half_width`` the median half of
    an interval, as part of the speed-up. ``low`` and ``high`` bound the share called different
    (equal arms) or slower (others) with 95 % confidence.
    """

    method: Method
    kind: Kind
    truth: float
    trials: int
    different: int
    slower: int
    covered: float
    half_width: float
    low: float
    high: float
    of_whole: float | None = None
    """Median of what the arms were found to change of the model's speed: -0.015 is 1.5 % less."""
    of_whole_truth: float | None = None
    """Median of what they change of it."""
    of_whole_half_width: float | None = None
    """Median half of the interval of that change."""
    residual: float | None = None
    """Closure: root mean square of log(A/B) + log(B/C) - log(A/C), all from the same rounds."""

    @property
    def counted(self) -> int:
        """Trials called different (equal arms) or slower (others), of which the bounds are."""
        return self.different if self.kind.is_equal else self.slower
