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
from bench.suite.grid import COMPONENT_CHOICES, Selection, comparisons
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
    "speedup_high, verdict, detectable_effect, p_value, output_error, gradient_error, disturbed, "
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
        ("STATUSES", "ok oom timeout crashed wrong skipped"),
        ("VERDICTS", "faster slower equivalent undecided"),
        ("FACTORS", "patcher attention compile precision checkpoint optimizer kernel layout"),
        ("USUAL_FACTORS", "patcher attention compile precision checkpoint optimizer"),
        ("DEVICES", "cpu cuda"),
        ("MODES", "forward train"),
        ("CACHES", "cold warm"),
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
    assert arm.level(record.CHOICE) == "linear+sdpa+compile+bf16"
    assert arm.as_part("model") == arm
    assert arm.as_part("block").choice == "sdpa+compile_blocks+bf16"


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


@settings(deadline=None)
@given(text=st.text(), limit=st.integers(10, 40))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    """Any message becomes one line within the limit."""
    line = one_line(ValueError(text), limit)
    assert len(line.splitlines()) == 1
    assert len(line) <= limit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "fine"}, "status is 'fine'; expected one of ok, oom, timeout, crashed, wrong"),
        ({"arm_s": (0.1,)}, "6 baseline and 1 arm times make no pairs"),
    ],
)
def test_invalid_sample(changes: dict[str, Any], message: str) -> None:
    """A sample with an unknown status or unpaired times is refused at creation."""
    with pytest.raises(ValueError, match=message):
        make_sample(make_comparison(), **changes)


def test_difference_of_no_interest() -> None:
    """By default, differences below 2 % are of no interest."""
    assert record.DELTA == 0.02


@pytest.mark.parametrize(
    ("wall", "expected_s"), [({}, 0.5), ({"baseline_wall_s": (1.0,), "arm_wall_s": (2.0,)}, 3.0)]
)
def test_timed_seconds(wall: dict[str, Any], expected_s: float) -> None:
    """Wall times are used where present, device times elsewhere."""
    sample = make_sample(make_comparison(), baseline_s=(0.25,), arm_s=(0.25,), **wall)
    assert sample.timed_s == expected_s
