"""bench.analysis.gains: the best arm by an objective, and runs without one."""

from dataclasses import replace

import pytest

from bench.analysis.aim import Aim
from bench.analysis.decision import decide
from bench.analysis.gains import gains_by_arm
from bench.records.comparison import CHOICE
from bench.records.row import Record
from helpers.decisions import arm, control, failed, only, repeats, run

MEMORY = Aim(objective="memory")


def test_speed_decides_among_arms_of_equal_memory() -> None:
    """The fastest of arms with equal memory is chosen; clearly less memory outweighs speed."""
    rows = [
        control("patcher"),
        arm("patcher", "unfold", 0.9, memory_ratio=0.7),
        arm("patcher", "linear", 1.1, memory_ratio=0.702),
    ]
    assert only(rows, MEMORY).arm.patcher == "linear"
    assert only([*rows, arm("patcher", "small", 0.5, memory_ratio=0.5)], MEMORY).arm.patcher == (
        "small"
    )


@pytest.mark.parametrize(("ratio", "chosen"), [(0.5, "bf16"), (1.0, "plain"), (0.995, "plain")])
def test_a_whole_that_saves_nothing_is_given_up(ratio: float, chosen: str) -> None:
    """A whole whose own peak is no lower than the default's gives way to the default."""
    plain = control(CHOICE, allocated_bytes=1000)
    whole = arm(CHOICE, "bf16", 2.0, memory_ratio=ratio, allocated_bytes=int(1000 * ratio))
    found = only(run(plain, whole), MEMORY)
    assert found.arm.choice == chosen
    assert found.gain is not None
    assert found.gain.value == pytest.approx(1 / ratio)


def test_the_gain_is_by_the_objective() -> None:
    """The gain is that of the objective; by latency it is empty, since the speed-up has it."""
    whole = arm(CHOICE, "linear+bf16", 2.0, throughput_ratio=1.4, throughput_low=1.3)
    whole = replace(whole, throughput_high=1.5)
    rows = run(control(CHOICE), whole)
    rows = [
        replace(row, throughput_ratio=row.speedup, throughput_low=row.speedup_low)
        for row in rows[:-1]
    ]
    found = only([*rows, whole], Aim(objective="throughput"))
    assert found.arm.choice == "linear+bf16"
    assert found.gain is not None
    assert (found.gain.value, found.gain.low, found.gain.high) == (1.4, 1.3, 1.5)
    assert only([*run(control(CHOICE)), whole]).gain is None


def test_a_situation_of_failures_has_no_data() -> None:
    """If every arm failed the decision has no data, rather than the default arm as choice."""
    rows = [
        failed(f, level, "crashed") for f, level in (("patcher", "conv"), ("patcher", "unfold"))
    ]
    (found,) = decide(rows, Aim(), repeats)
    assert found.has_no_data


def test_one_factor_without_a_choice_hides_nothing() -> None:
    """A factor without a measured choice does not hide that energy has no data."""
    rows = [*run(), control("compile"), failed("compile", "compile_blocks", "skipped")]
    assert only(rows, Aim(objective="energy")).has_no_data
    assert not only(rows).has_no_data


@pytest.mark.parametrize(("error", "errs"), [(1e-2, False), (3e-2, True), (None, True)])
def test_a_whole_may_err_more_than_its_parts(error: float | None, *, errs: bool) -> None:
    """A whole of too large or unknown error is given up for its error."""
    whole = arm(CHOICE, "linear+bf16", 2.0, output_error=error)
    rows = [replace(row, output_error=row.output_error or 1e-7) for row in run(control(CHOICE))]
    found = only([*rows, whole], Aim(max_error=2e-2))
    assert (found.errs, found.is_refuted) == (errs, errs)


@pytest.mark.parametrize(
    ("of_whole", "bound", "reach"),
    [((0.001, -0.002, 0.004), 0.0035, 0.0035), ((-0.01, -0.013, -0.007), 0.0, 0.0127)],
)
def test_the_reach_counts_losses_too(
    of_whole: tuple[float, ...], bound: float, reach: float
) -> None:
    """The bound is the most that a rival could gain; the reach is the most that it could change."""
    names = ("of_whole", "of_whole_low", "of_whole_high")
    sdpa = arm("attention", "sdpa", **dict(zip(names, of_whole, strict=True)))
    (part,) = only([control("attention"), sdpa]).parts
    assert part.bound_of_whole == pytest.approx(bound, abs=1e-4)
    assert part.reach_of_whole == pytest.approx(reach, abs=1e-4)


def test_each_arm_has_what_it_could_gain_over_the_choice() -> None:
    """The choice has the largest of its rivals' gains; an unmeasured rival is left out."""
    rows = [
        control("precision"),
        arm("precision", "bf16", 2.0),
        arm("precision", "amp_bf16", 1.98),
        failed("precision", "amp_fp16", "skipped"),
    ]
    gains = gains_by_arm(only(rows).parts[0])
    assert set(gains) == {"fp32", "bf16", "amp_bf16"}
    assert gains["fp32"] == 0.0
    # The default is too far behind to widen the bound of them all.
    assert 0.0 < gains["bf16"] < gains["amp_bf16"]


def of_the_whole(level: str, value: float, half: float, factor: str = "attention") -> Record:
    """Build an undecided row with what its arm changes of the whole."""
    bounds = {"of_whole": value, "of_whole_low": value - half, "of_whole_high": value + half}
    return arm(factor, level, verdict="undecided", **bounds)


@pytest.mark.parametrize(
    ("value", "half", "chosen"),
    [
        (0.05, 0.04, "sdpa"),  # without certainty, but likely
        (0.05, 0.2, "mha"),  # may be chance
        (0.005, 0.001, "mha"),  # certain, but not worth a change
        (-0.05, 0.2, "mha"),
    ],
)
def test_a_likely_gain_of_the_whole_is_chosen(value: float, half: float, chosen: str) -> None:
    """The default, which would be regretted more, gives way before a verdict does."""
    part = only([control("attention"), of_the_whole("sdpa", value, half)]).parts[0]
    assert part.level == chosen


def test_the_likeliest_of_several_gains_is_chosen() -> None:
    """By what the whole gains, whatever component was measured."""
    rows = [
        control("compile"),
        of_the_whole("compile", 0.04, 0.01, "compile"),
        of_the_whole("compile_blocks", 0.06, 0.03, "compile"),
    ]
    part = only(rows).parts[0]
    assert part.level == "compile_blocks"
    assert (part.bound_of_whole or 0.0) < 0.02


def test_a_precision_needs_a_verdict() -> None:
    """It costs accuracy, so a likely gain does not suffice."""
    rows = [control("precision"), of_the_whole("bf16", 0.05, 0.04, "precision")]
    assert only(rows).arm.precision == "fp32"
