"""bench.analysis.decision: the rule, level by level; what is left open; wholes and parts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.decision import Aim, decide
from bench.records.comparison import CHOICE, DEFAULT_ARM, OBJECTIVES, Arm
from bench.records.row import Record
from helpers.decisions import arm, control, failed, only, repeats, run
from helpers.records import make_record


def levels(records: list[Record], **aim: object) -> dict[str, str]:
    """What is chosen of each factor."""
    return {p.factor: p.level for p in only(records, Aim(**aim)).parts}  # type: ignore[arg-type]


def test_the_fastest_of_what_is_called_faster_is_chosen() -> None:
    """Of each factor by itself; without a verdict the default level stays."""
    found = only(run(arm("precision", "amp_bf16", 1.7, output_error=5e-3)))
    assert found.arm == Arm(patcher="linear", attention="mha", precision="bf16")
    assert found.arm.choice == "linear+bf16"


def test_where_nothing_is_better_the_plain_arm_is_chosen() -> None:
    """An arm that is as fast is no reason to change."""
    found = only([control("patcher"), arm("patcher", "unfold", 0.9), arm("patcher", "linear")])
    assert found.arm == DEFAULT_ARM
    assert found.arm.choice == "plain"


def test_faster_but_for_its_verdict_is_not_chosen() -> None:
    """The verdict counts, which is adjusted for the number of comparisons, not the estimate."""
    records = [control("patcher"), arm("patcher", "linear", 1.5, verdict="undecided")]
    assert levels(records) == {"patcher": "conv"}
    assert only(records).parts[0].contenders == ("linear",)


@pytest.mark.parametrize("status", ["wrong", "oom", "crashed", "timeout", "skipped"])
def test_what_failed_is_not_chosen(status: str) -> None:
    """Nor is it a rival."""
    part = only([control("patcher"), failed("patcher", "linear", status)]).parts[0]
    assert (part.level, part.contenders) == ("conv", ())


@pytest.mark.parametrize(("bound", "level"), [(None, "bf16"), (1e-2, "bf16"), (1e-4, "fp32")])
def test_errors_are_bounded(bound: float | None, level: str) -> None:
    """Where nobody says, each precision's own tolerance has been held already."""
    assert levels(run(), max_error=bound)["precision"] == level


def test_gradients_count_as_errors_too() -> None:
    """In training an arm has two errors, and both are to be small."""
    row = arm("precision", "bf16", 2.0, output_error=1e-5, gradient_error=1e-1)
    assert levels([control("precision"), row], max_error=1e-3) == {"precision": "fp32"}


def test_another_algorithm_is_no_faster_way() -> None:
    """SGD takes fewer steps of another kind; who wants that knows it."""
    optimizer = {"baseline": "adamw", "factor": "optimizer", "component": "block"}
    rows = [
        make_record(**optimizer, arm="adamw", speedup=1.0, verdict="undecided"),
        make_record(**optimizer, arm="sgd", speedup=1.4, verdict="faster"),
        make_record(**optimizer, arm="adamw_fused", speedup=1.2, verdict="faster"),
    ]
    assert levels(rows) == {"optimizer": "adamw_fused"}


def test_rivals_are_those_that_may_be_better_by_more_than_two_percent() -> None:
    """By their intervals: of what is surely no better there is nothing to say."""
    records = [
        control("precision"),
        arm("precision", "bf16", 2.0),
        arm("precision", "amp_bf16", 1.9, speedup_high=2.3),
        arm("precision", "amp_fp16", 1.9, speedup_high=2.03),
    ]
    assert only(records).parts[0].contenders == ("amp_bf16",)


def test_memory_is_exact() -> None:
    """At least 1 % less, whatever the verdict on time says; the least is taken."""
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
    """An empty cell is no number."""
    records = [control("attention"), arm("attention", "sdpa", 1.5, memory_ratio=None)]
    assert levels(records, objective="memory") == {"attention": "mha"}


@pytest.mark.parametrize(("joules", "level"), [(9.8, "fp32"), (9.0, "bf16"), (None, "fp32")])
def test_energy_needs_a_clear_difference(joules: float | None, level: str) -> None:
    """Meters are read over a window: less than 5 % is none."""
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
    """Its interval decides; where nothing queues the verdict does."""
    queued = {"throughput_ratio": ratio, "throughput_low": low, "throughput_high": low and 1.3}
    records = [control("attention"), arm("attention", "sdpa", 1.1, **queued)]
    assert levels(records, objective="throughput") == {"attention": level}


def test_an_unknown_objective_lists_the_known_ones() -> None:
    """It is checked at birth."""
    with pytest.raises(ValueError, match="latency, throughput, memory, energy"):
        Aim(objective="speed")


def test_each_situation_has_a_decision() -> None:
    """By device, variant, mode and batch size, in the rows' order of variants."""
    records = [
        make_record(**{**row.__dict__, "variant": variant, "batch_size": size, "mode": mode})
        for variant in ("L/16", "B/16")
        for mode in ("train", "forward")
        for size in (8, 1)
        for row in run()
    ]
    places = [each.situation for each in decide(records, Aim(), repeats)]
    found = [(place.variant, place.mode, place.batch_size) for place in places]
    modes = ("forward", "train")
    assert found == [(v, m, b) for v in ("L/16", "B/16") for m in modes for b in (1, 8)]


def test_a_users_own_arms_have_no_situation() -> None:
    """Their verdicts say all."""
    row = make_record(factor="factory", variant=None, batch_size=None, inputs="1,197,768")
    assert decide([row], Aim(), repeats) == []


def test_a_factor_of_another_batch_is_judged_by_the_nearest() -> None:
    """Precision at batch 1 and 4 says what to take at batch 8, which it was not measured at."""
    at_8 = [replace(row, batch_size=8) for row in run() if row.factor != "precision"]
    at_4 = [replace(row, batch_size=4) for row in run() if row.factor == "precision"]
    found = decide([*run(), *at_8, *at_4], Aim(), repeats)
    by_size = {each.situation.batch_size: each for each in found}
    sizes = {part.factor: part.batch_size for part in by_size[8].parts}
    assert sizes == {"patcher": 8, "attention": 8, "precision": 4}
    assert by_size[8].arm.precision == "bf16"


def test_the_whole_is_found_by_its_combination() -> None:
    """Beside the default arm's own row; another combination's is not taken for it."""
    plain = control(CHOICE)
    other, whole = arm(CHOICE, "bf16", 2.0), arm(CHOICE, "linear+bf16", 2.1)
    found = only(run(plain, other, whole))
    assert (found.combined, found.default) == (whole, plain)
    assert found.speedup is not None
    assert found.speedup.value == 2.1
    assert only(run(plain, other)).combined is None


def test_a_block_is_compiled_as_blocks_are() -> None:
    """What was chosen of a whole model is measured as what a block knows."""
    rows = [control("compile", component="model"), arm("compile", "compile", 1.3)]
    rows = [replace(row, component="model") for row in rows]
    whole = arm(CHOICE, "compile_blocks", 1.2, component="block")
    assert only([*rows, whole]).combined == whole


def test_an_unknown_error_keeps_no_bound() -> None:
    """Without a bound it does not matter."""
    rows = [control("precision"), arm("precision", "bf16", 2.0, output_error=None)]
    assert only(rows).arm.choice == "bf16"
    assert only(rows, Aim(max_error=0.5)).arm.choice == "plain"


def test_a_block_has_no_patcher() -> None:
    """It would be timed against itself: what is measured as a whole is the rest."""
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
def test_what_is_no_good_as_a_whole_is_given_up(
    changes: dict[str, Any],
    aim: dict[str, Any],
    is_refuted: bool,  # noqa: FBT001
) -> None:
    """It fails, errs too much, or is surely worse: then the default arm is to be chosen."""
    arms = ["bf16"] if aim.get("objective") == "memory" else ["linear", "bf16"]
    whole = arm(CHOICE, "+".join(arms), 2.0, **changes)
    found = only(run(control(CHOICE), whole), Aim(**aim))
    assert found.combined == whole
    assert found.is_refuted is is_refuted
    assert found.arm.choice == ("plain" if is_refuted else "+".join(arms))


def test_arms_of_which_nothing_is_known_are_named() -> None:
    """They failed, or what is chosen by was not measured; what is wrong is known to be."""
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
    """A patcher is no part of a block; half of an attention's quarter is saved."""
    faster = [control("attention"), arm("attention", "sdpa", 2.0)]
    records = [control("patcher"), arm("patcher", "linear", 3.0), *faster]
    expected = only([*records, control(CHOICE, component="block")]).expected
    assert expected is not None
    assert expected.value == pytest.approx(1 / (1 - 0.25 / 2))


def test_what_is_all_of_the_whole_multiplies() -> None:
    """Compile and precision are measured on the whole itself."""
    compiled = [control("compile"), arm("compile", "compile_blocks", 1.5)]
    precise = [control("precision"), arm("precision", "bf16", 2.0)]
    expected = only([*compiled, *precise, control(CHOICE)]).expected
    assert expected is not None
    assert expected.value == pytest.approx(3.0)
    assert expected.low is not None
    assert expected.low == pytest.approx(3.0 / (1 + 0.02 * 2**0.5), rel=1e-3)


def test_without_the_wholes_time_nothing_is_expected() -> None:
    """How much of it a part is, nobody knows then."""
    assert only(run()).expected is None


def test_the_plain_time_is_known_by_the_candidate_too() -> None:
    """Where the control has no row, by what the candidate took and its speed-up."""
    with_control = only(run(control(CHOICE), arm(CHOICE, "linear+bf16", 2.0)))
    without = only(run(arm(CHOICE, "linear+bf16", 2.0)))
    assert without.expected is not None
    assert with_control.expected is not None
    assert without.expected.value == pytest.approx(with_control.expected.value)


@pytest.mark.parametrize(("speedup", "differs"), [(2.0, False), (1.5, True), (2.6, True)])
def test_a_whole_that_is_not_what_its_parts_let_expect(speedup: float, differs: bool) -> None:  # noqa: FBT001
    """Either way, where the intervals share nothing."""
    records = run(control(CHOICE), arm(CHOICE, "linear+bf16", speedup))
    assert only(records).differs is differs


@given(
    speedups=st.lists(st.floats(0.2, 5.0), min_size=1, max_size=5),
    objective=st.sampled_from(OBJECTIVES[:2]),
)
def test_no_arm_that_is_called_faster_beats_the_chosen_one(
    speedups: list[float], objective: str
) -> None:
    """Whatever the rows, and the default level is chosen exactly where none is called faster."""
    names = ["amp_bf16", "amp_fp16", "bf16", "tf32", "fp16"]
    rows = [arm("precision", name, value) for name, value in zip(names, speedups, strict=False)]
    part = only([control("precision"), *rows], Aim(objective=objective)).parts[0]
    faster = {row.arm: row.speedup for row in rows if row.verdict == "faster"}
    assert part.level == max(faster, key=lambda name: faster[name] or 0.0, default="fp32")
