"""bench.analysis.verdicts: the verdict of an interval, alone and as one of many."""

import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.estimates import Interval
from bench.analysis.replication import Effect
from bench.analysis.verdicts import ALIKE_SHARE, FALSE_SHARE, adjusted, decided, judge, verdict
from bench.records.comparison import DELTA, VERDICTS
from helpers.records import make_controls, make_effect

LOWER, UPPER = 1 / (1 + DELTA), 1 + DELTA
MIRRORED = {"faster": "slower", "slower": "faster"}
P_VALUES = st.lists(st.floats(0, 1), max_size=30)
QUIET = make_controls()


def after(value: float) -> float:
    """Next floating-point number above."""
    return math.nextafter(value, math.inf)


def before(value: float) -> float:
    """Next floating-point number below."""
    return math.nextafter(value, -math.inf)


def test_band_is_two_percent() -> None:
    """The default band of equivalence is 2 %."""
    assert DELTA == 0.02


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (LOWER, UPPER, "equivalent"),
        (1.0, 1.0, "equivalent"),
        (1.005, 1.015, "equivalent"),  # too small a difference to choose by
        (0.985, 0.995, "equivalent"),
        (before(LOWER), UPPER, "undecided"),
        (LOWER, after(UPPER), "undecided"),
        (0.5, 2.0, "undecided"),
        (1.0, 1.5, "undecided"),
        (after(1.0), 1.5, "faster"),
        (1.2, 1.3, "faster"),
        (0.5, 1.0, "undecided"),
        (0.5, before(1.0), "slower"),
        (0.7, 0.8, "slower"),
    ],
)
def test_truth_table(low: float, high: float, expected: str) -> None:
    """The interval decides; a bound on the band's edge is inside, one on 1 does not exclude it."""
    assert verdict(Interval((low + high) / 2, low, high)) == expected


@pytest.mark.parametrize(
    ("low", "high", "differs", "agrees", "expected"),
    [
        (1.2, 1.3, False, True, "undecided"),
        (0.7, 0.8, False, True, "undecided"),
        (1.2, 1.3, True, False, "faster"),
        (0.7, 0.8, True, False, "slower"),
        (0.99, 1.01, True, False, "undecided"),
        (1.005, 1.015, True, False, "undecided"),  # not faster: the difference may not matter
        (0.99, 1.01, False, True, "equivalent"),
    ],
)
def test_adjusted_truth_table(
    low: float,
    high: float,
    differs: bool,  # noqa: FBT001 (a case's input)
    agrees: bool,  # noqa: FBT001
    expected: str,
) -> None:
    """A difference that does not survive the adjustment is undecided."""
    said = verdict(Interval((low + high) / 2, low, high), differs=differs, agrees=agrees)
    assert said == expected


@pytest.mark.parametrize("interval", [Interval(0.5), Interval(1.0), Interval(2.0, 1.9, None)])
def test_without_bounds(interval: Interval) -> None:
    """Without both bounds the verdict is undecided at any value."""
    assert verdict(interval) == "undecided"


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ((0.97, 1.03), (LOWER, UPPER), "equivalent"),
        ((0.97, 1.03), (before(LOWER), UPPER), "undecided"),
        ((0.97, 1.03), (LOWER, after(UPPER)), "undecided"),
        ((1.001, 1.03), (1.002, UPPER), "equivalent"),
        ((1.001, 1.03), (1.002, after(UPPER)), "faster"),
        ((1.0, 1.03), (1.001, after(UPPER)), "undecided"),  # 1 is outside of the wide one only
    ],
)
def test_each_question_has_its_interval(
    wide: tuple[float, float], narrow: tuple[float, float], expected: str
) -> None:
    """The 90 % interval tells equivalent arms, the 95 % interval different ones."""
    outer, inner = (Interval(math.sqrt(low * high), low, high) for low, high in (wide, narrow))
    assert verdict(outer, narrow=inner) == expected


@pytest.mark.parametrize(("delta", "expected"), [(0.1, "equivalent"), (0.01, "faster")])
def test_other_band(delta: float, expected: str) -> None:
    """The band can be wider or narrower."""
    assert verdict(Interval(1.05, 1.02, 1.08), delta) == expected


@settings(deadline=None)
@given(bounds=st.lists(st.integers(300, 3000), min_size=2, max_size=2).map(sorted))
def test_swapped_arms(bounds: list[int]) -> None:
    """Swapping the arms swaps faster and slower and keeps every other verdict."""
    low, high = bounds[0] / 1000 + 1e-6, bounds[1] / 1000 + 1e-6  # never on an edge
    said = verdict(Interval(low, low, high))
    assert said in VERDICTS
    assert verdict(Interval(1 / low, 1 / high, 1 / low)) == MIRRORED.get(said, said)


@settings(deadline=None)
@given(p_values=P_VALUES)
def test_adjusted_is_benjamini_hochberg(p_values: list[float]) -> None:
    """Adjusted p-values are those of scipy.stats."""
    expected = stats.false_discovery_control(p_values).tolist() if p_values else []
    assert adjusted(p_values) == pytest.approx(expected)


@settings(deadline=None)
@given(p_values=P_VALUES, order=st.randoms(use_true_random=False))
def test_adjustment_does_not_depend_on_order(p_values: list[float], order: random.Random) -> None:
    """Each p-value keeps its adjustment in any order, and never gets smaller."""
    places = order.sample(range(len(p_values)), len(p_values))
    found = adjusted([p_values[place] for place in places])
    expected = adjusted(p_values)
    assert found == [expected[place] for place in places]
    assert all(a >= p * (1 - 1e-12) for a, p in zip(expected, p_values, strict=True))


@pytest.mark.parametrize(
    ("log_ratio", "standard_error", "expected"),
    [
        (0.1, 0.005, "faster"),
        (-0.1, 0.005, "slower"),
        (0.0, 0.002, "equivalent"),
        (0.011, 0.001, "equivalent"),
        (0.0, 0.05, "undecided"),
        (0.1, 0.05, "undecided"),
    ],
)
def test_judgement_of_one(log_ratio: float, standard_error: float, expected: str) -> None:
    """A single comparison has the verdict of its interval and its own p-value."""
    found = make_effect(log_ratio, standard_error)
    (judged,) = judge({"a": found}, QUIET).values()
    assert judged.verdict == expected
    assert judged.effect == found
    assert judged.p_value == pytest.approx(found.p_value)


def test_many_comparisons_need_stronger_evidence() -> None:
    """Among many equal arms a barely slower one is undecided; a clear one stays slower."""
    weak, clear = (make_effect(log_ratio, 0.01, degrees=60.0) for log_ratio in (-0.03, -0.5))
    others = {str(n): make_effect(0.0, 0.05) for n in range(40)}
    alone = judge({"weak": weak}, QUIET)["weak"]
    among = judge({"weak": weak, "clear": clear, **others}, QUIET)
    assert (alone.verdict, among["weak"].verdict) == ("slower", "undecided")
    assert among["clear"].verdict == "slower"
    assert among["weak"].p_value > FALSE_SHARE > alone.p_value


def test_judging_widens() -> None:
    """The widening by the controls enters verdicts and p-values."""
    found = make_effect(0.03, 0.008)
    quiet, stray = (
        judge({"a": found}, make_controls(widening=widening))["a"] for widening in (1.0, 2.0)
    )
    assert (quiet.verdict, stray.verdict) == ("faster", "undecided")
    assert stray.effect == found.widened(2.0)
    assert stray.p_value > quiet.p_value


def test_equivalence_is_adjusted_too() -> None:
    """Among many comparisons one barely within the band is not equivalent."""
    barely = make_effect(0.0, 0.0078, degrees=1000.0)
    wide = {str(n): make_effect(0.0, 0.05) for n in range(40)}
    assert judge({"a": barely}, QUIET)["a"].verdict == "equivalent"
    assert judge({"a": barely, **wide}, QUIET)["a"].verdict == "undecided"


@settings(deadline=None)
@given(
    log_ratio=st.floats(-0.05, 0.05),
    standard_error=st.floats(1e-4, 0.05),
    degrees=st.floats(1, 100),
    delta=st.floats(0.005, 0.1),
)
def test_one_comparison_is_equivalent_by_two_one_sided_tests(
    log_ratio: float, standard_error: float, degrees: float, delta: float
) -> None:
    """A single comparison is equivalent if neither bound of the band is plausible at 5 % a side."""
    found = make_effect(log_ratio, standard_error, degrees=degrees)
    bounds = (math.log1p(delta) - abs(log_ratio)) / standard_error
    p_value = stats.t.sf(bounds, degrees)
    assume(abs(p_value - 0.05) > 1e-9)
    (judged,) = judge({"a": found}, QUIET, delta).values()
    assert (judged.verdict == "equivalent") == (p_value < 0.05)


def family(alike: int, different: int, standard_error: float, seed: int) -> dict[str, Effect]:
    """Effects of equal arms, of a fourth as many from the edge on, and of arms twice as fast."""
    numbers = np.random.default_rng(seed)
    truths = {f"alike-{place}": 0.0 for place in range(alike)}
    truths |= {f"edge-{place}": (1 + place / 4) * math.log1p(DELTA) for place in range(alike // 4)}
    truths |= {f"fast-{place}": math.log(2) for place in range(different)}
    return {
        key: make_effect(
            truth + float(numbers.normal(0, standard_error)), standard_error, degrees=1e6
        )
        for key, truth in truths.items()
    }


def test_decided_differences_do_not_cost_equivalence() -> None:
    """Arms that are called different do not count in the family of the tests of equivalence."""
    said = [judge(family(20, count, 0.006, seed=1), QUIET) for count in (0, 80)]
    alone, among = (
        {key for key, judged in each.items() if judged.verdict == "equivalent"} for each in said
    )
    assert alone <= among
    assert len(alone) > 10


def test_equivalence_is_reached_and_rarely_false() -> None:
    """Most equal arms are called equivalent; few so called differ by delta or more."""
    said = [
        (key, judged.verdict)
        for seed in range(200)
        for key, judged in judge(family(20, 20, 0.006, seed), QUIET).items()
    ]
    alike = [key for key, name in said if name == "equivalent"]
    true = sum(key.startswith("alike") for key in alike)
    assert true > 0.8 * 200 * 20
    assert len(alike) - true <= ALIKE_SHARE * len(alike)


def test_arms_at_the_edge_are_rarely_equivalent() -> None:
    """Of families whose arms all differ by exactly delta few have any that is called equivalent."""
    numbers = np.random.default_rng(0)
    false = 0
    for _ in range(150):
        logs = numbers.normal(math.log1p(DELTA), 0.004, 40).tolist()
        effects = {str(n): make_effect(log, 0.004, degrees=1e6) for n, log in enumerate(logs)}
        false += "equivalent" in {each.verdict for each in judge(effects, QUIET).values()}
    assert false / 150 < 0.15


@pytest.mark.parametrize(
    ("log_ratio", "standard_error", "looks", "expected"),
    [
        (0.7, 0.02, 1, True),  # twice as fast
        (-0.7, 0.02, 8, True),
        (0.0, 0.002, 1, True),
        (0.06, 0.02, 1, False),
        (0.0, 0.01, 1, False),
        (0.1, 0.02, 1, True),
        (0.1, 0.02, 12, False),
    ],
)
def test_decided(log_ratio: float, standard_error: float, looks: int, *, expected: bool) -> None:
    """Clear differences and clear equivalences are decided; after many looks it takes more."""
    assert decided(make_effect(log_ratio, standard_error, degrees=20.0), DELTA, looks) is expected


def test_what_is_decided_has_that_verdict() -> None:
    """A comparison that is decided has a verdict by itself."""
    numbers = np.random.default_rng(0)
    found = [
        make_effect(float(numbers.normal(0, 0.05)), float(numbers.uniform(0.001, 0.03)))
        for _ in range(300)
    ]
    sure = [each for each in found if decided(each, DELTA, 2)]
    assert len(sure) > 20
    assert "undecided" not in {judge({"a": each}, QUIET)["a"].verdict for each in sure}


def test_looking_decides_nothing_false() -> None:
    """Of equal arms, looked at after each of ten passes, about one in a thousand is decided."""
    numbers = np.random.default_rng(0)
    false = 0
    for logs in numbers.normal(0, 0.02, (1500, 12)):
        for count in range(3, 13):
            seen = logs[:count]
            error = float(seen.std(ddof=1) / count**0.5)
            found = make_effect(float(seen.mean()), error, degrees=count - 1.0)
            if decided(found, 1e-6, count - 2):
                false += 1
                break
    assert false <= 5


def test_false_discoveries_are_rare() -> None:
    """In families of mostly identical arms few verdicts are false."""
    numbers = np.random.default_rng(0)
    false = decided = 0
    for _ in range(60):
        truths = [0.0] * 40 + [0.2] * 10
        effects = {
            str(place): make_effect(truth + float(numbers.normal(0, 0.03)), 0.03, degrees=1e6)
            for place, truth in enumerate(truths)
        }
        said = judge(effects, QUIET)
        wrong = [said[str(place)].verdict in ("faster", "slower") for place in range(40)]
        false += sum(wrong)
        decided += sum(each.verdict in ("faster", "slower") for each in said.values())
    assert decided > 300
    assert false / decided <= FALSE_SHARE
