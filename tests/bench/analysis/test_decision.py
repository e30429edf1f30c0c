"""bench.analysis.decision: the rule per level, undecided rivals, and the arm as a whole."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.aim import Aim
from bench.analysis.decision import LEVELS, decide
from bench.analysis.estimates import Interval
from bench.records.comparison import CHOICE, DEFAULT_ARM, OBJECTIVES, Arm
from bench.records.row import Record
from helpers.decisions import arm, control, failed, only, repeats, run
from helpers.records import make_record


def levels(records: list[Record], **aim: object) -> dict[str, str]:
    """The chosen level of each factor."""
    return {p.factor: p.level for p in only(records, Aim(**aim)).parts}  # type: ignore[arg-type]


def test_the_fastest_of_the_faster_arms_is_chosen() -> None:
    """Each factor is decided by itself; without a "faster" verdict the default level stays."""
    found = only(run(arm("precision", "amp_bf16", 1.7, output_error=5e-3)))
    assert found.arm == Arm(patcher="linear", attention="mha", precision="bf16")
    assert found.arm.choice == "linear+bf16"


def test_where_nothing_is_better_the_plain_arm_is_chosen() -> None:
    """An equivalent arm does not replace the default."""
    found = only([control("patcher"), arm("patcher", "unfold", 0.9), arm("patcher", "linear")])
    assert found.arm == DEFAULT_ARM
    assert found.arm.choice == "plain"


def test_an_estimate_without_a_verdict_is_not_chosen() -> None:
    """The verdict, adjusted for the number of comparisons, decides, not the estimate."""
    records = [control("patcher"), arm("patcher", "linear", 1.5, verdict="undecided")]
    assert levels(records) == {"patcher": "conv"}
    assert only(records).parts[0].contenders == ("linear",)


@pytest.mark.parametrize("status", ["wrong", "oom", "crashed", "timeout", "skipped"])
def test_a_failed_arm_is_not_chosen(status: str) -> None:
    """A failed arm is neither chosen nor a rival."""
    part = only([control("patcher"), failed("patcher", "linear", status)]).parts[0]
    assert (part.level, part.contenders) == ("conv", ())


@pytest.mark.parametrize(("bound", "level"), [(None, "bf16"), (1e-2, "bf16"), (1e-4, "fp32")])
def test_errors_are_bounded(bound: float | None, level: str) -> None:
    """The error bound excludes arms above it; the default is each precision's tolerance."""
    assert levels(run(), max_error=bound)["precision"] == level


def test_gradients_count_as_errors_too() -> None:
    """In training both the output error and the gradient error must keep the bound."""
    row = arm("precision", "bf16", 2.0, output_error=1e-5, gradient_error=1e-1)
    assert levels([control("precision"), row], max_error=1e-3) == {"precision": "fp32"}


def test_another_algorithm_is_not_chosen() -> None:
    """SGD, another algorithm than AdamW, is never chosen as a faster form of it."""
    optimizer = {"baseline": "adamw", "factor": "optimizer", "component": "block"}
    rows = [
        make_record(**optimizer, arm="adamw", speedup=1.0, verdict="undecided"),
        make_record(**optimizer, arm="sgd", speedup=1.4, verdict="faster"),
        make_record(**optimizer, arm="adamw_fused", speedup=1.2, verdict="faster"),
    ]
    assert levels(rows) == {"optimizer": "adamw_fused"}


def test_rivals_may_be_better_by_more_than_two_percent() -> None:
    """A rival's interval reaches more than 2 % above the chosen arm."""
    records = [
        control("precision"),
        arm("precision", "bf16", 2.0),
        arm("precision", "amp_bf16", 1.9, speedup_high=2.3),
        arm("precision", "amp_fp16", 1.9, speedup_high=2.03),
    ]
    assert only(records).parts[0].contenders == ("amp_bf16",)


def test_an_arm_without_bounds_may_be_better() -> None:
    """An arm whose verdict was withheld stays a rival, except where memory decides."""
    records = [
        control("attention"),
        arm("attention", "sdpa", 0.9, verdict="undecided", speedup_low=None, speedup_high=None),
        arm("attention", "manual", 0.9),
    ]
    assert only(records).parts[0].contenders == ("sdpa",)
    assert only(records, Aim(objective="memory")).parts[0].contenders == ()


def test_memory_is_exact() -> None:
    """Memory decides from 1 % less, whatever the verdict on time; the smallest is chosen."""
    records = [
        control("attention"),
        arm("attention", "manual", 1.3, memory_ratio=0.995),
        arm("attention", "sdpa", 0.9, memory_ratio=0.8),
        arm("attention", "mha_weights", 0.9, memory_ratio=0.9),
    ]
    assert levels(records, objective="memory") == {"attention": "sdpa"}
    part = only(records, Aim(objective="memory")).parts[0]
    assert part.gain.value == pytest.approx(1.25)
    assert part.speedup.value == pytest.approx(0.9)
    assert part.contenders == ()


def test_unknown_memory_is_never_chosen() -> None:
    """An arm with an empty memory ratio is not chosen for memory."""
    records = [control("attention"), arm("attention", "sdpa", 1.5, memory_ratio=None)]
    assert levels(records, objective="memory") == {"attention": "mha"}


@pytest.mark.parametrize(("joules", "level"), [(9.8, "fp32"), (9.0, "bf16"), (None, "fp32")])
def test_energy_needs_a_clear_difference(joules: float | None, level: str) -> None:
    """Energy decides from 5 % less: meters are read over a window."""
    records = [
        control("precision", joules_per_image=10.0),
        arm("precision", "bf16", 1.0, joules_per_image=joules),
    ]
    assert levels(records, objective="energy") == {"precision": level}


@pytest.mark.parametrize(
    ("ratio", "low", "level"),
    [(1.2, 1.1, "sdpa"), (1.2, 0.9, "mha"), (1.2, None, "mha"), (None, None, "sdpa")],
)
def test_throughput_is_of_queued_calls(ratio: float | None, low: float | None, level: str) -> None:
    """The interval of queued calls decides; without queued calls the verdict does."""
    queued = {"throughput_ratio": ratio, "throughput_low": low, "throughput_high": low and 1.3}
    records = [control("attention"), arm("attention", "sdpa", 1.1, **queued)]
    assert levels(records, objective="throughput") == {"attention": level}


def test_an_unknown_objective_lists_the_known_ones() -> None:
    """The constructor refuses an unknown objective and lists the known ones."""
    with pytest.raises(ValueError, match="latency, throughput, memory, energy"):
        Aim(objective="speed")


def test_each_situation_has_a_decision() -> None:
    """Each device, variant, mode and batch size has two decisions, in the order of the rows."""
    records = [
        make_record(**{**row.__dict__, "variant": variant, "batch_size": size, "mode": mode})
        for variant in ("L/16", "B/16")
        for mode in ("train", "forward")
        for size in (8, 1)
        for row in run()
    ]
    decisions = decide(records, Aim(), repeats)
    places = [(each.situation, each.level) for each in decisions]
    found = [(place.variant, place.mode, place.batch_size, level) for place, level in places]
    modes = ("forward", "train")
    expected = product(("L/16", "B/16"), modes, (1, 8), LEVELS)
    assert found == list(expected)


def test_a_users_own_arms_have_no_situation() -> None:
    """Comparisons of a user's own arms get no decision beyond their verdicts."""
    row = make_record(factor="factory", variant=None, batch_size=None, inputs="1,197,768")
    assert decide([row], Aim(), repeats) == []


def test_a_factor_of_another_batch_is_judged_by_the_nearest() -> None:
    """Precision, measured at batch 1 and 4, decides batch 8 by its rows at batch 4."""
    at_8 = [replace(row, batch_size=8) for row in run() if row.factor != "precision"]
    at_4 = [replace(row, batch_size=4) for row in run() if row.factor == "precision"]
    found = decide([*run(), *at_8, *at_4], Aim(), repeats)
    by_size = {each.situation.batch_size: each for each in found}
    sizes = {part.factor: part.batch_size for part in by_size[8].parts}
    assert sizes == {"patcher": 8, "attention": 8, "precision": 4}
    assert by_size[8].arm.precision == "bf16"


def test_the_whole_is_found_by_its_combination() -> None:
    """The whole's row is that of the chosen combination, with the default arm beside it."""
    plain = control(CHOICE)
    other, whole = arm(CHOICE, "bf16", 2.0), arm(CHOICE, "linear+bf16", 2.1)
    found = only(run(plain, other, whole))
    assert (found.combined, found.default) == (whole, plain)
    assert found.speedup is not None
    assert found.speedup.value == 2.1
    (precision,) = (row for row in run() if row.arm == "bf16")
    on_model = [replace(row, component="model") for row in run()]
    assert only([*on_model, plain, other]).combined is None
    # A block has no patcher: its row of bf16 alone is that of the combination.
    assert only(run()).combined == precision


def test_a_block_is_compiled_as_blocks_are() -> None:
    """A compile level chosen on whole models is matched with the block's own form of it."""
    rows = [control("compile", component="model"), arm("compile", "compile", 1.3)]
    rows = [replace(row, component="model") for row in rows]
    whole = arm(CHOICE, "compile_blocks", 1.2, component="block")
    assert only([*rows, whole]).combined == whole


def test_an_unknown_error_keeps_no_bound() -> None:
    """An arm of unknown error fails any error bound; without a bound it can be chosen."""
    rows = [control("precision"), arm("precision", "bf16", 2.0, output_error=None)]
    assert only(rows).arm.choice == "bf16"
    assert only(rows, Aim(max_error=0.5)).arm.choice == "plain"


def test_a_block_has_no_patcher() -> None:
    """The combination of a block is measured without the chosen patcher."""
    whole = arm(CHOICE, "bf16", 2.0, component="block")
    found = only(run(control(CHOICE, component="block"), whole))
    assert found.combined == whole
    assert found.arm.choice == "linear+bf16"


@pytest.mark.parametrize(
    ("changes", "aim", "is_refuted"),
    [
        ({}, {}, False),
        ({"verdict": "slower"}, {}, True),
        ({"verdict": "undecided"}, {}, False),
        ({"status": "wrong"}, {}, True),
        ({"status": "oom"}, {}, True),
        ({"status": "skipped"}, {}, False),
        ({"output_error": 5e-2}, {"max_error": 2e-2}, True),
        ({"output_error": 1e-2}, {"max_error": 2e-2}, False),
        ({"memory_ratio": 1.1}, {"objective": "memory"}, True),
        ({"memory_ratio": 0.9}, {"objective": "memory"}, False),
        ({"throughput_ratio": 0.9, "throughput_high": 0.95}, {"objective": "throughput"}, True),
        ({"throughput_ratio": 0.9, "throughput_high": 1.05}, {"objective": "throughput"}, False),
    ],
)
def test_a_refuted_whole_is_given_up(
    changes: dict[str, Any],
    aim: dict[str, Any],
    is_refuted: bool,  # noqa: FBT001
) -> None:
    """A whole that fails, errs too much or is surely worse gives way to the default arm."""
    arms = ["bf16"] if aim.get("objective") == "memory" else ["linear", "bf16"]
    whole = arm(CHOICE, "+".join(arms), 2.0, **changes)
    found = only(run(control(CHOICE), whole), Aim(**aim))
    assert found.combined == whole
    assert found.is_refuted is is_refuted
    assert found.arm.choice == ("plain" if is_refuted else "+".join(arms))


def test_unmeasured_arms_are_named() -> None:
    """Arms without the deciding measurement are listed as unmeasured; a wrong arm is not."""
    rows = [
        control("precision"),
        arm("precision", "amp_bf16", 1.5),
        failed("precision", "bf16", "crashed"),
        failed("precision", "amp_fp16", "wrong"),
        failed("precision", "fp16", "skipped"),
    ]
    (part,) = only(rows).parts
    assert (part.level, part.unmeasured) == ("amp_bf16", ("bf16", "fp16"))
    (part,) = only(rows, Aim(objective="energy")).parts
    assert part.unmeasured == ("amp_bf16", "bf16", "fp16")


def test_parts_save_a_share_of_the_whole() -> None:
    """The expected speed-up counts a part by its share of the whole; a block has no patcher."""
    faster = [control("attention"), arm("attention", "sdpa", 2.0)]
    records = [control("patcher"), arm("patcher", "linear", 3.0), *faster]
    expected = only([*records, control(CHOICE, component="block")]).expected
    assert expected is not None
    assert expected.value == pytest.approx(1 / (1 - 0.25 / 2))


def test_factors_of_the_whole_multiply() -> None:
    """Compile and precision are measured on the whole, so their speed-ups multiply."""
    compiled = [control("compile"), arm("compile", "compile_blocks", 1.5)]
    precise = [control("precision"), arm("precision", "bf16", 2.0)]
    expected = only([*compiled, *precise, control(CHOICE)]).expected
    assert expected is not None
    assert expected.value == pytest.approx(3.0)
    assert expected.low is not None
    assert expected.low == pytest.approx(3.0 / (1 + 0.02 * 2**0.5), rel=1e-3)


def test_without_the_wholes_time_the_effect_of_parts_alone_is_unknown() -> None:
    """Parts measured inside the model are in units of the whole; of others the share is unknown."""
    rows = [row for row in run() if row.factor != "precision"]
    found = only(rows).expected
    assert found is not None
    assert found.value == pytest.approx(1.04)
    alone = [replace(row, of_whole=None, of_whole_low=None, of_whole_high=None) for row in rows]
    assert only(alone).expected is None


def test_the_plain_time_follows_from_the_candidate() -> None:
    """Without the control's row, the candidate's latency and speed-up give the plain time."""
    with_control = only(run(control(CHOICE), arm(CHOICE, "linear+bf16", 2.0)))
    without = only(run(arm(CHOICE, "linear+bf16", 2.0)))
    assert without.expected is not None
    assert with_control.expected is not None
    assert without.expected.value == pytest.approx(with_control.expected.value)


@pytest.mark.parametrize(("speedup", "differs"), [(2.08, False), (1.5, True), (2.6, True)])
def test_a_whole_differs_from_its_expected_speedup(speedup: float, differs: bool) -> None:  # noqa: FBT001
    """A whole differs where the interval of the two's difference excludes none, on either side."""
    records = run(control(CHOICE), arm(CHOICE, "linear+bf16", speedup))
    assert only(records).differs is differs


def inside(speedup: float, width: float) -> list[Record]:
    """Return a run's rows of parts inside a model, and of their combination with an interval."""
    part = {"component": "block", "cache": "model"}
    bounds = {"speedup_low": speedup / width, "speedup_high": speedup * width}
    wholes = {"of_whole": speedup - 1, "of_whole_low": speedup / width - 1}
    parts = [
        arm(factor, name, 1.10, **part, of_whole=0.10, of_whole_low=0.08, of_whole_high=0.12)
        for factor, name in (("attention", "sdpa"), ("compile", "compile_blocks"))
    ]
    whole = arm(CHOICE, "sdpa+compile_blocks", speedup, **part, **bounds, **wholes)
    return [*parts, control(CHOICE, **part), replace(whole, of_whole_high=speedup * width - 1)]


def test_a_combination_and_its_parts_are_two_measurements() -> None:
    """Inside the model the speed-up is their weighted mean, narrower than each of them."""
    found = only(inside(1.1, 1.2))
    assert found.speedup is not None
    assert found.expected is not None
    assert found.measured == Interval(1.1, 1.1 / 1.2, 1.1 * 1.2)
    assert found.expected.value == pytest.approx(1.21)
    assert found.measured.value < found.speedup.value < found.expected.value
    assert found.speedup.value > 1.2
    widths = [(each.high or 0) / (each.low or 1) for each in (found.speedup, found.expected)]
    assert 1 < widths[0] < widths[1]


def test_one_that_differs_from_its_parts_counts_alone() -> None:
    """Effects that do not multiply are those of the combination."""
    found = only(inside(1.0, 1.01))
    assert found.differs
    assert found.speedup == found.measured


@given(
    speedups=st.lists(st.floats(0.2, 5.0), min_size=1, max_size=5),
    objective=st.sampled_from(OBJECTIVES[:2]),
)
def test_the_chosen_arm_is_the_fastest_of_the_faster_arms(
    speedups: list[float], objective: str
) -> None:
    """Of any rows the fastest "faster" arm is chosen, or else the default level."""
    names = ["amp_bf16", "amp_fp16", "bf16", "tf32", "fp16"]
    rows = [arm("precision", name, value) for name, value in zip(names, speedups, strict=False)]
    part = only([control("precision"), *rows], Aim(objective=objective)).parts[0]
    faster = {row.arm: row.speedup for row in rows if row.verdict == "faster"}
    assert part.level == max(faster, key=lambda name: faster[name] or 0.0, default="fp32")


@pytest.mark.parametrize(
    ("expected", "differs"),
    [
        (Interval(1.12, 1.04, 1.206), True),  # 11 % apart, ± 9 % together: the intervals overlap
        (Interval(1.08, 1.0, 1.166), False),
        (Interval(1.5), False),
        (None, False),
    ],
)
def test_the_difference_is_tested(expected: Interval | None, differs: bool) -> None:  # noqa: FBT001
    """Overlapping intervals may differ: their half-widths add as squares."""
    found = make_record(speedup=1.0, speedup_low=1 / 1.06, speedup_high=1.06)
    decision = only(run(control(CHOICE), arm(CHOICE, "linear+bf16", 2.0)))
    assert replace(decision, combined=found, expected=expected).differs is differs


def test_a_row_at_another_precision_is_no_whole() -> None:
    """Compiling at bf16 is compared with the default at bf16, which is not the default arm."""
    fields = {"component": "model", "cache": "model"}
    rows = [
        control("compile", **fields),
        control("compile", **fields, precision="bf16"),
        arm("compile", "compile", 1.3, **fields, precision="bf16"),
        *run(),
    ]
    full, best = decide(rows, Aim(), repeats)
    assert (full.level, best.level) == LEVELS
    assert best.arm.compile == "compile"
    assert [each.combined.factor for each in (full, best) if each.combined] != ["compile"]
