"""bench.records.comparison: frozen vocabulary and columns, names, checks at creation."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records import comparison as record
from bench.records.comparison import Arm, Comparison
from bench.records.errors import one_line
from bench.records.row import COLUMNS
from bench.suite.grid import COMPONENT_CHOICES, LEVELS, Selection, comparisons
from helpers.records import make_comparison, make_record, make_sample, make_workload

# design.md, section 5: at least these columns, in this order.
DESIGN = (
    "schema, run_id, commit, device, device_name, factor, component, variant, patch_size, "
    "image_size, batch_size, mode, precision, baseline, arm, status, passes, rounds, latency_ms, "
    "latency_low_ms, latency_high_ms, images_per_s, speedup, speedup_low, speedup_high, verdict, "
    "error"
)
# A change of this list changes the file format: raise SCHEMA with it.
SCHEMA_5 = (
    "schema, run_id, commit, device, device_name, factor, component, variant, patch_size, "
    "image_size, batch_size, mode, precision, cache, baseline, arm, status, passes, rounds, "
    "latency_ms, latency_low_ms, latency_high_ms, wall_ms, images_per_s, speedup, speedup_low, "
    "speedup_high, verdict, of_whole, of_whole_low, of_whole_high, whole_ms, detectable_effect, "
    "p_value, output_error, gradient_error, disturbed, "
    "unsteady, inputs, error, note, largest_error, top1_agreement, allocated_bytes, "
    "reserved_bytes, process_bytes, unexplained_bytes, predicted_bytes, prediction_error, "
    "memory_ratio, flop, moved_bytes, gflop_per_s, limit_gflop_per_s, limit_share, "
    "limit_share_low, limit_share_high, limit_library, copy_gb_per_s, compile_cold_s, "
    "compile_warm_s, graph_breaks, recompiles, break_even_images, break_even_low_images, "
    "break_even_high_images, kernels, joules_per_image, "
    "throughput_ratio, throughput_low, throughput_high, compile_extra_bytes, "
    "parameters, yardstick_ms, yardstick_ratio, yardstick_low, yardstick_high, "
    "pooled_speedup, pooled_low, pooled_high"
)


def test_columns_are_frozen() -> None:
    """Schema 5 has exactly these columns in this order."""
    assert record.SCHEMA == 5
    assert ", ".join(COLUMNS) == SCHEMA_5


def test_columns_follow_the_design() -> None:
    """Every column of the design exists, in the design's order."""
    assert ", ".join(name for name in COLUMNS if name in DESIGN.split(", ")) == DESIGN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("VERDICTS", "faster slower equivalent undecided"),
        ("FACTORS", "patcher attention compile precision checkpoint optimizer kernel layout"),
        ("USUAL_FACTORS", "patcher attention compile precision checkpoint optimizer"),
        ("DEVICES", "cpu cuda"),
        ("MODES", "forward train"),
        ("CACHES", "model cold warm"),
        ("PARTS", "patcher attention block"),
        ("OBJECTIVES", "latency throughput memory energy"),
    ],
)
def test_vocabulary_is_frozen(name: str, words: str) -> None:
    """The allowed words of a row do not change unnoticed."""
    assert getattr(record, name) == tuple(words.split())


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (make_workload(), "variant"),
        (Arm(), "precision"),
        (make_comparison(), "factor"),
        (make_sample(make_comparison()), "status"),
        (make_record(), "speedup"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_records_are_frozen(made: object, field: str) -> None:
    """No record can be changed after its creation."""
    with pytest.raises(FrozenInstanceError):
        setattr(made, field, "other")


@pytest.mark.parametrize("component", COMPONENT_CHOICES)
def test_keys_are_unique(component: str) -> None:
    """No two comparisons of the default grid on both devices share a key."""
    selection = Selection(devices=record.DEVICES, component=component)
    keys = [comparison.key for comparison in comparisons(selection)]
    assert len(keys) > 100
    assert len(set(keys)) == len(keys)


def test_names() -> None:
    """A comparison's name has its factor, its workload and the candidate's level."""
    comparison = make_comparison("sdpa", baseline="mha", batch_size=8, mode="train")
    assert str(comparison.workload) == "B/16-attention-b8-train-cpu"
    assert comparison.key == "attention-B/16-attention-b8-train-cpu-sdpa"
    assert (comparison.baseline_name, comparison.arm_name) == ("mha", "sdpa")


@pytest.mark.parametrize("factor", record.FACTORS)
def test_arm_has_a_level_of_every_factor(factor: str) -> None:
    """An arm's level of a factor is the one given at its creation."""
    assert replace(Arm(), **{factor: "x"}).level(factor) == "x"


@pytest.mark.parametrize(("arm", "is_control"), [("mha", True), ("manual", False)])
def test_control(arm: str, is_control: bool) -> None:  # noqa: FBT001 (a case's expectation)
    """A baseline against its own copy is a control, as a comparison and as a row."""
    assert make_comparison(arm, baseline="mha").is_control is is_control
    assert make_record(arm=arm, baseline="mha").is_control is is_control


def test_alike_comparisons() -> None:
    """Comparisons of one factor scatter alike; of placebos those of one part."""
    assert make_comparison(factor="compile", component="block").stratum == "compile"
    for component in record.PARTS:
        made = make_comparison("rewritten", baseline="none", factor="placebo", component=component)
        assert made.stratum == component


@pytest.mark.parametrize(("cache", "stratum"), [("model", "compile"), ("cold", "choice")])
def test_a_combination_inside_a_model_scatters_as_compiled_blocks(cache: str, stratum: str) -> None:
    """It is exchanged block by block; one measured alone scatters as combinations do."""
    made = make_comparison(component="block", cache=cache)
    assert replace(made, factor=record.CHOICE).stratum == stratum


def test_a_users_own_arms_have_names() -> None:
    """A comparison of a user's own arms is named by its inputs and the candidate."""
    sizes: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
    comparison = make_comparison(
        "a.py:f#2", baseline="a.py:f", factor="factory", component="callable", inputs="1,8", **sizes
    )
    assert str(comparison.workload) == "callable-1,8-forward-cpu"
    assert comparison.key == "factory-callable-1,8-forward-cpu-a.py:f#2"
    assert not comparison.is_control


def test_choice_is_named_by_its_unusual_levels() -> None:
    """A choice is named by its non-default levels in factor order, or as the default."""
    assert record.DEFAULT_ARM.level(record.CHOICE) == "plain"
    arm = Arm(patcher="linear", compile="compile", precision="bf16")
    assert arm.level(record.CHOICE) == "linear+compile+bf16"
    assert replace(arm, attention="sdpa").choice == "linear+sdpa+compile+bf16"
    assert arm.as_part("model") == arm
    assert arm.as_part("block").choice == "compile_blocks+bf16"


def test_control_needs_equal_arms() -> None:
    """Arms that differ in a factor other than the compared one are not a control."""
    other = Arm(attention="mha", precision="bf16")
    comparison: Comparison = replace(make_comparison("mha", baseline="mha"), arm=other)
    assert not comparison.is_control


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (RuntimeError("\n  indented  \n"), "RuntimeError: indented"),
        (KeyError(), "KeyError"),
        (ValueError("\x1b[31mred\x07\u202e"), "ValueError: \\x1b[31mred\\x07\\u202e"),
        (ValueError("half \udc80 é\N{THIN SPACE}×"), "ValueError: half \\udc80 é\N{THIN SPACE}×"),
        (OSError("x" * 400), "OSError: " + "x" * 290 + "…"),
    ],
)
def test_one_line(error: Exception, expected: str) -> None:
    """An error becomes its type and its first non-empty line, cut at 300 characters."""
    assert one_line(error) == expected


def at_precision(comparison: Comparison, precision: str) -> Comparison:
    """Return a comparison with both arms at a precision."""
    arms = (replace(each, precision=precision) for each in (comparison.baseline, comparison.arm))
    baseline, arm = arms
    return replace(comparison, baseline=baseline, arm=arm)


@pytest.mark.parametrize("precision", LEVELS["precision"])
@pytest.mark.parametrize("factor", record.FACTORS)
def test_another_precision_is_part_of_the_key(factor: str, precision: str) -> None:
    """Arms at another precision than fp32 have a key of their own, where precisions are equal."""
    usual = make_comparison("x", baseline="y", factor=factor)
    found = at_precision(usual, precision)
    if factor == "precision":
        assert found.key == f"precision-{found.workload}-{precision}"
    else:
        assert found.key == usual.key + ("" if precision == "fp32" else f"@{precision}")


@pytest.mark.parametrize("factor", ["factory", record.CHOICE])
def test_the_precision_of_other_factors_is_not_part_of_the_key(factor: str) -> None:
    """A user's own arms have one precision in a run, and a combination's name has its own."""
    comparison = make_comparison("sdpa")
    usual = replace(comparison, factor=factor)
    assert "@" not in at_precision(usual, "bf16").key


def test_a_row_has_the_key_of_its_comparison() -> None:
    """The key of a row, made from its columns, is the journal's."""
    grid = comparisons(Selection(factors=record.FACTORS, devices=record.DEVICES))
    levels = [at_precision(each, "bf16") for each in grid if each.factor == "attention"]
    for each in (*grid, *levels):
        work = each.workload
        row = make_record(
            **{name: getattr(work, name) for name in ("component", "variant", "patch_size")},
            **{name: getattr(work, name) for name in ("image_size", "batch_size", "mode")},
            device=work.device,
            factor=each.factor,
            precision=each.arm.precision,
            arm=each.arm_name,
        )
        assert row.key == each.key


@pytest.mark.parametrize(
    ("component", "cache", "is_inside"),
    [
        ("patcher", "model", True),
        ("attention", "model", True),
        ("block", "model", True),
        ("model", "model", False),
        ("attention", "cold", False),
        ("block", "warm", False),
        ("callable", "warm", False),
    ],
)
def test_parts_with_the_caches_of_a_model_are_inside(
    component: str,
    cache: str,
    is_inside: bool,  # noqa: FBT001 (a case's expectation)
) -> None:
    """A part is measured inside a model if its caches are to be those of a model."""
    comparison = make_comparison(component=component, cache=cache)
    assert comparison.is_inside is is_inside


def test_parts_inside_a_model_share_a_group() -> None:
    """Parts of one model share its calls; another variant, batch, precision or mode does not."""
    inside = make_comparison("sdpa", cache="model")
    same = [
        make_comparison("manual", cache="model"),
        make_comparison("unfold", baseline="conv", factor="patcher", component="patcher"),
        make_comparison("compile_blocks", baseline="eager", factor="compile", component="block"),
    ]
    groups = {replace(each, cache="model").group for each in same}
    assert groups == {inside.group} == {"B/16-inside-b1-forward-cpu-plain"}
    others = [
        make_comparison("sdpa", cache="model", **change)
        for change in ({"variant": "L/16"}, {"batch_size": 8}, {"mode": "train"})
    ]
    found = [inside, *others, at_precision(inside, "bf16"), make_comparison("sdpa")]
    assert len({each.group for each in found}) == len(found)
    assert at_precision(inside, "bf16").group == "B/16-inside-b1-forward-cpu-bf16"


def test_arms_measured_alone_share_a_group_by_workload_and_baseline() -> None:
    """Comparisons of one workload with one baseline are measured together, whatever they vary."""
    model = {"component": "model", "cache": "model"}
    precision = make_comparison("bf16", baseline="fp32", factor="precision", **model)
    compiled = make_comparison("compile", baseline="eager", factor="compile", **model)
    assert precision.group == compiled.group == "B/16-model-b1-forward-cpu-plain"
    assert at_precision(compiled, "bf16").group != precision.group
    assert make_comparison("sdpa").group != make_comparison("sdpa", component="block").group


def test_a_users_own_arms_share_a_group_by_baseline() -> None:
    """Own arms are grouped by their inputs and their baseline's name."""
    sizes: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
    own = {"factor": "factory", "component": "callable", "inputs": "1,8", **sizes}
    first, second, third = (
        make_comparison(arm, baseline=baseline, **own)
        for arm, baseline in (("a:g", "a:f"), ("a:f", "a:f"), ("a:g", "a:h"))
    )
    assert first.group == second.group == "callable-1,8-forward-cpu-a:f"
    assert third.group != first.group


def test_a_group_has_one_baseline_and_one_place() -> None:
    """In the grid, comparisons of one group have equal baselines, devices and sizes."""
    for device in record.DEVICES:
        selection = Selection(devices=(device,), modes=record.MODES, factors=record.FACTORS)
        seen: dict[str, tuple[Any, ...]] = {}
        for each in comparisons(selection):
            work = each.workload
            place = (each.baseline, work.device, work.variant, work.mode, work.batch_size)
            assert seen.setdefault(each.group, (*place, each.is_inside)) == (*place, each.is_inside)


@settings(deadline=None)
@given(text=st.text(), limit=st.integers(10, 40))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    """Any message becomes one line within the limit."""
    line = one_line(ValueError(text), limit)
    assert len(line.splitlines()) == 1
    assert len(line) <= limit


def test_difference_of_no_interest() -> None:
    """By default, differences below 2 % are of no interest."""
    assert record.DELTA == 0.02
