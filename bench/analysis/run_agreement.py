"""Whether two runs agree: by their choices, intervals and verdicts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scipy.special import ndtri, stdtr, stdtrit

from bench.analysis.aim import Situation
from bench.analysis.choice_gains import gain_over
from bench.analysis.decision import Decision, both_levels
from bench.analysis.estimates import CONFIDENCE, Interval
from bench.analysis.gains import speedup_of
from bench.analysis.regret import Rival, error_of
from bench.analysis.replication import Effect
from bench.records.comparison import Arm
from bench.records.row import Record

# Two choices are the same; or they differ by less than delta for sure, perhaps by more, by more for
# sure; or by how much was measured by neither run.
SAME, WITHIN, OPEN, BEYOND, UNKNOWN = OUTCOMES = ("same", "within", "open", "beyond", "unknown")
AGREED = (SAME, WITHIN)
_PROBABILITY = 0.5 + CONFIDENCE / 2
# One-sided, as each of the two tests of equivalence.
_ONE_SIDED = float(ndtri(CONFIDENCE))
_OPPOSITE = {"faster", "slower"}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run found: rows, decisions, and the effects of its comparisons by key, if known."""

    records: Sequence[Record]
    decisions: Sequence[Decision]
    effects: Mapping[str, Effect] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChoicePair:
    """The choices of two runs in one situation, at one level (``best``, …).

    ``arms`` are the choices, None where a run did not measure the objective. ``gains`` are the
    gains of the whole by the second choice over the first, by each run; None where a run did not
    measure both. ``delta`` is the relative difference that does not matter.
    """

    situation: Situation
    level: str
    arms: tuple[Arm | None, Arm | None]
    gains: tuple[Rival | None, Rival | None] = (None, None)
    delta: float

    @property
    def is_same(self) -> bool:
        """Whether both runs chose the same."""
        return self.arms[0] is not None and self.arms[0] == self.arms[1]

    @property
    def gain(self) -> Rival | None:
        """The gain of the second choice over the first by both runs; None if neither knows.

        The mean is weighted by 1 / squared standard errors. Where the runs differ by more than
        these allow, its error grows with their difference (Birge 1932).
        """
        known = [each for each in self.gains if each is not None]
        if len(known) < len(self.gains):
            return next(iter(known), None)
        weights = [each.error**-2 for each in known]
        pairs = list(zip(weights, known, strict=True))
        mean = math.fsum(weight * each.log_gain for weight, each in pairs) / math.fsum(weights)
        square = math.fsum(weight * (each.log_gain - mean) ** 2 for weight, each in pairs)
        error = math.sqrt(max(square, 1.0) / math.fsum(weights))
        return Rival(arm=known[0].arm, log_gain=mean, error=error)

    @property
    def difference(self) -> float | None:
        """Relative difference of the whole's speed between the choices; None if unknown."""
        return self._size(0.0)

    @property
    def bound(self) -> float | None:
        """Largest such difference, whichever choice is better, at 95 %; None if unknown."""
        return self._size(_ONE_SIDED)

    @property
    def outcome(self) -> str:
        """One of OUTCOMES."""
        least, most = self._size(-_ONE_SIDED), self.bound
        if self.is_same or least is None or most is None:
            return SAME if self.is_same else UNKNOWN
        return WITHIN if most <= self.delta else BEYOND if least > self.delta else OPEN

    def _size(self, errors: float) -> float | None:
        """Return the size of the difference plus some standard errors; None if unknown."""
        if self.is_same or self.gain is None:
            return 0.0 if self.is_same else None
        return math.expm1(abs(self.gain.log_gain) + errors * self.gain.error)


@dataclass(frozen=True)
class Coverage:
    """How many intervals of one run hold the estimate of another, and how many should."""

    rows: int
    held: int
    expected: float
    """Expected number of those that hold it."""

    @property
    def of_expected(self) -> float | None:
        """Number of those that hold it / the expected number; None without rows."""
        return self.held / self.expected if self.rows else None


@dataclass(frozen=True, kw_only=True)
class RunAgreement:
    """Agreement of two runs.

    ``only_once`` counts the situations that only one of them has. ``coverages`` are those of the
    first run's intervals and of the second's. ``opposite`` are the rows, of each run, of arms that
    are faster in one and slower in the other.
    """

    choices: tuple[ChoicePair, ...]
    only_once: int
    coverages: tuple[Coverage, Coverage]
    opposite: tuple[tuple[Record, Record], ...]

    @property
    def agreed(self) -> int:
        """Number of choices that are the same, or differ by less than delta."""
        return sum(each.outcome in AGREED for each in self.choices)

    @property
    def is_empty(self) -> bool:
        """Whether the runs have nothing in common."""
        return not (self.choices or self.coverages[0].rows)


def agreement(first: RunResult, second: RunResult, delta: float) -> RunAgreement:
    """Return the agreement of two runs on the situations and candidate rows that both have.

    Choices are those at both levels, or the best of all alone where both runs' has full precision.
    """
    rows = list(_common(first.records, second.records))
    places = [_places(each.decisions) for each in (first, second)]
    # A best of full precision in both runs is one choice, not two.
    own = {(each.situation, each.level) for run in (first, second) for each in run.decisions}
    shared = [place for place in places[0] if place in places[1] and place in own]
    once = {s for s, _ in places[0]} ^ {s for s, _ in places[1]}
    effects = (first.effects, second.effects)
    return RunAgreement(
        choices=tuple(_choices(place, (places[0], places[1]), delta) for place in shared),
        only_once=len(once),
        coverages=(_covered(rows, effects[0]), _covered([(b, a) for a, b in rows], effects[1])),
        opposite=tuple(pair for pair in rows if {each.verdict for each in pair} == _OPPOSITE),
    )


_Place = tuple[Situation, str]
_Places = Mapping[_Place, Decision]


def _places(decisions: Sequence[Decision]) -> _Places:
    """Return the decisions by situation and level, a best of full precision at both levels."""
    return {(e.situation, e.level): e for decision in decisions for e in both_levels(decision)}


def _choices(place: _Place, runs: tuple[_Places, _Places], delta: float) -> ChoicePair:
    situation, level = place
    first, second = (None if run[place].has_no_data else run[place].arm for run in runs)
    gains: list[Rival | None] = [None, None]
    if first is not None and second is not None and first != second:
        here = [[run[at] for at in run if at[0] == situation] for run in runs]
        gains = [gain_over(decisions, first, second) for decisions in here]
    return ChoicePair(
        situation=situation,
        level=level,
        arms=(first, second),
        gains=(gains[0], gains[1]),
        delta=delta,
    )


def _common(first: Sequence[Record], second: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Yield the rows of candidates that both runs measured, and gave an interval."""
    others = {_identity(row): row for row in second if _is_judged(row)}
    for row in first:
        if _is_judged(row) and (other := others.get(_identity(row))) is not None:
            yield row, other


def _identity(record: Record) -> tuple[object, ...]:
    return (record.key, record.workload, record.baseline, record.cache)


def _is_judged(record: Record) -> bool:
    """Return whether a row is that of a candidate with an interval: its verdict not withheld."""
    low, high = record.speedup_low, record.speedup_high
    has_interval = low is not None and high is not None and 0 < low < high
    return has_interval and not record.is_control and record.status == "ok"


def _covered(rows: Sequence[tuple[Record, Record]], effects: Mapping[str, Effect]) -> Coverage:
    """Return how many intervals of the first rows hold the estimates of the second."""
    held, expected = 0, 0.0
    for one, other in rows:
        own, found = speedup_of(one), speedup_of(other)
        if own is None or found is None or own.low is None or own.high is None:
            continue
        held += own.low <= found.value <= own.high
        degrees = effects[one.key].degrees if one.key in effects else math.inf
        expected += expected_share(own, found, degrees)
    return Coverage(len(rows), held, expected)


def expected_share(own: Interval, other: Interval, degrees: float = math.inf) -> float:
    """Return how often a right 95 % interval holds the estimate of another measurement.

    That estimate errs, too: with standard errors s1 and s2 of two normal estimates the difference
    has the error sqrt(s1² + s2²), so that the interval x1 ± q s1 holds x2 with the probability
    2 F(q s1 / sqrt(s1² + s2²)) - 1; for equal errors 83 %. F is the distribution of which q is the
    97.5 % quantile: Student's with the ``degrees`` of s1, or the normal one. The errors' ratio is
    taken as known, by the intervals' widths; as it is not, the share is up to 3 % too low for 4
    degrees of freedom, and 1 % for 16.
    """
    ratio = 1 / math.hypot(1.0, error_of(other) / error_of(own))
    return 2 * float(stdtr(degrees, float(stdtrit(degrees, _PROBABILITY)) * ratio)) - 1
