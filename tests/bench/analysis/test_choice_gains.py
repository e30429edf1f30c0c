"""bench.analysis.choice_gains: what one combination gains over another, by one run."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.aim import Aim
from bench.analysis.choice_gains import gain_over
from bench.analysis.decision import Decision, decide
from bench.analysis.regret import Rival
from bench.records.comparison import CHOICE, DEFAULT_ARM, Arm
from bench.records.row import Record
from helpers.decisions import arm, control, failed, repeats

# Half-width of the helpers' intervals of the whole, in standard errors of a normal.
_HALF = 1.959963984540054
GAINS = st.floats(-0.15, 0.15)


def part(factor: str, level: str, log_gain: float, error: float = 0.01, **changes: str) -> Record:
    """Build the row of an arm that gains this much of the whole, with this standard error."""
    value, low, high = (math.exp(log_gain + side * _HALF * error) - 1 for side in (0.0, -1.0, 1.0))
    verdict = "faster" if low > 0 else "slower" if high < 0 else "undecided"
    of_whole = {"of_whole": value, "of_whole_low": low, "of_whole_high": high}
    return arm(factor, level, 1 + value, verdict=verdict, **of_whole, **changes)


def decided(*rows: Record, objective: str = "latency") -> list[Decision]:
    """Decide by the rows of one situation."""
    factors = dict.fromkeys(row.factor for row in rows)
    controls = [control(factor) for factor in factors if factor != CHOICE]
    return decide([*controls, *rows], Aim(objective=objective), repeats)


def gain(decisions: list[Decision], first: Arm, second: Arm) -> Rival:
    """Return a gain that is known."""
    found = gain_over(decisions, first, second)
    assert found is not None
    return found


@given(sdpa=GAINS, manual=GAINS)
def test_levels_of_a_factor_differ_by_their_gains(sdpa: float, manual: float) -> None:
    """Whatever was chosen, the gain of one level over another is the difference of their gains."""
    decisions = decided(part("attention", "sdpa", sdpa), part("attention", "manual", manual))
    found = gain(decisions, Arm(attention="sdpa"), Arm(attention="manual"))
    assert found.log_gain == pytest.approx(manual - sdpa, abs=1e-9)
    assert found.error >= 0.01 * math.sqrt(2) * 0.999
    back = gain(decisions, Arm(attention="manual"), Arm(attention="sdpa"))
    assert (back.log_gain, back.error) == pytest.approx((-found.log_gain, found.error))


@given(sdpa=GAINS, linear=GAINS)
def test_gains_of_factors_add(sdpa: float, linear: float) -> None:
    """Two factors change the whole's log time by the sum, with the root of squared errors."""
    decisions = decided(part("attention", "sdpa", sdpa), part("patcher", "linear", linear, 0.005))
    found = gain(decisions, DEFAULT_ARM, Arm(attention="sdpa", patcher="linear"))
    assert found.log_gain == pytest.approx(sdpa + linear, abs=1e-9)
    assert found.error == pytest.approx(math.hypot(0.01, 0.005), rel=1e-6)


def test_other_factors_are_compared_at_the_precision_of_their_combination() -> None:
    """An arm gains at bf16 what it does not at fp32; between the two lies the gain of bf16."""
    decisions = decided(
        part("attention", "sdpa", 0.001),
        control("attention", precision="bf16"),
        part("attention", "sdpa", 0.04, precision="bf16"),
        part("precision", "bf16", 0.6, precision="bf16"),
    )
    bf16 = Arm(precision="bf16", attention="sdpa")
    assert gain(decisions, DEFAULT_ARM, bf16).log_gain == pytest.approx(0.64, abs=1e-9)
    sdpa = Arm(attention="sdpa")
    assert gain(decisions, sdpa, bf16).log_gain == pytest.approx(0.639, abs=1e-9)
    assert gain(decisions, sdpa, Arm()).log_gain == pytest.approx(-0.001, abs=1e-9)


def test_a_whole_that_was_measured_counts_before_its_parts() -> None:
    """Parts promise 4 %, the whole was measured to gain 3 %: it is 3 %, in both directions."""
    whole = arm(CHOICE, "sdpa", 1.03, component="model")
    decisions = decided(part("attention", "sdpa", 0.04), control(CHOICE), whole)
    sdpa = Arm(attention="sdpa")
    assert gain(decisions, DEFAULT_ARM, sdpa).log_gain == pytest.approx(math.log(1.03))
    assert gain(decisions, sdpa, DEFAULT_ARM).log_gain == pytest.approx(-math.log(1.03))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Arm(), Arm(attention="sdpa")),
        (Arm(attention="sdpa"), Arm(attention="manual")),
        (Arm(), Arm(compile="compile_blocks")),
        (Arm(), Arm(precision="bf16")),
    ],
)
def test_what_was_not_measured_has_no_gain(first: Arm, second: Arm) -> None:
    """An arm that failed, an arm without a row and a factor without rows give None."""
    decisions = decided(failed("attention", "sdpa", "oom"), part("patcher", "linear", 0.03))
    assert gain_over(decisions, first, second) is None


def test_a_slower_arm_of_unknown_share_has_no_gain() -> None:
    """Measured alone and certainly slower, it gains nothing: a bound, not an estimate."""
    slower = arm("patcher", "unfold", 0.8)
    assert gain_over(decided(slower), DEFAULT_ARM, Arm(patcher="unfold")) is None


def test_another_objective_has_no_gain_of_time() -> None:
    """Choices by memory are not compared by their time."""
    decisions = decided(part("attention", "sdpa", 0.04), objective="memory")
    assert gain_over(decisions, DEFAULT_ARM, Arm(attention="sdpa")) is None
