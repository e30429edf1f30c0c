"""bench.report.labels: one name for each workload, arm, situation and case."""

from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.aim import Aim, situation
from bench.analysis.decision import decide
from bench.files.history_csv import series_name
from bench.records.arm_costs import Case
from bench.records.comparison import CHOICE, DEFAULT_ARM, Arm, Workload
from bench.report.labels import (
    DEFAULT_ARM_TEXT,
    arm_name,
    baseline_name,
    case_heading,
    case_name,
    combination_name,
    conditions,
    level_name,
    part_name,
    situation_name,
    undecided_last,
    workload,
)
from helpers.decisions import repeats, run
from helpers.records import make_record

MODEL = Workload(
    component="model",
    mode="train",
    device="cpu",
    variant="B/16",
    patch_size=16,
    image_size=224,
    batch_size=1,
)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "B/16 attention b1 forward"),
        ({"image_size": 384, "batch_size": 8}, "B/16 attention b8 forward 384px"),
        ({"inputs": "1,8", "variant": None, "image_size": None}, "1,8 forward"),
    ],
)
def test_a_workload_has_one_name(changes: dict[str, Any], name: str) -> None:
    """A workload has the same name in tables, figures and histories."""
    record = make_record(**changes)
    assert workload(record) == record.workload.name == name
    assert f" {name} cpu " in series_name(record)


def test_record_has_the_fields_of_its_workload() -> None:
    """A row has every field of its workload."""
    record = make_record(inputs="1,8")
    shared = set(Workload.__dataclass_fields__) & set(type(record).__dataclass_fields__)
    assert shared == set(Workload.__dataclass_fields__)
    assert all(getattr(record.workload, name) == getattr(record, name) for name in shared)


def test_default_combination_is_named_default() -> None:
    """The default combination is "default"; outside combinations an arm has its level's name."""
    control = make_record(factor=CHOICE, baseline=DEFAULT_ARM.choice, arm=DEFAULT_ARM.choice)
    assert (arm_name(control), baseline_name(control)) == ("default", "default")
    assert arm_name(replace(control, arm="linear+bf16")) == "linear+bf16"
    assert arm_name(make_record(factor="factory", arm=DEFAULT_ARM.choice)) == DEFAULT_ARM.choice
    assert combination_name(DEFAULT_ARM) == "default"
    assert (
        combination_name(replace(DEFAULT_ARM, patcher="linear", precision="bf16"))
        == "linear + bf16"
    )
    assert DEFAULT_ARM_TEXT == "default (conv, mha, eager, fp32)"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "B/16 b1 forward"),
        ({"device": "cuda", "batch_size": 8}, "B/16 b8 forward cuda"),
        ({"image_size": 384}, "B/16 b1 forward 384px"),
    ],
)
def test_situations(changes: dict[str, Any], name: str) -> None:
    """A situation names its device unless it is the CPU."""
    assert situation_name(situation(make_record(**changes))) == name


def test_cases() -> None:
    """A case has its unusual levels; a heading also has the component and the device."""
    case = Case(workload=replace(MODEL, image_size=64), arm=Arm(attention="manual"))
    assert case_name(case) == "B/16 b1 train 64px manual"
    assert case_heading(case) == "B/16 b1 train 64px manual, on cpu"
    block = Case(workload=replace(MODEL, component="block", device="cuda"), arm=Arm())
    assert case_heading(block) == "block of B/16 b1 train, on cuda"


def test_axes() -> None:
    """Panels are named by mode, batch and device, rows by variant and component or inputs."""
    assert conditions(make_record()) == "forward, batch 1"
    assert conditions(make_record(batch_size=None, device="cuda")) == "forward, cuda"
    assert part_name(make_record()) == "B/16\nattention"
    assert part_name(make_record(inputs="1,8")) == "1,8"


def test_both_levels_have_a_name() -> None:
    """The best at full precision is named by that, the other is the best of all."""
    assert [level_name(each) for each in decide(run(), Aim(), repeats)] == ["at fp32", "of all"]


def test_only_undecided_candidates_are_moved() -> None:
    """Undecided candidates go to the end; controls and failed rows keep their places."""
    rows = [
        make_record(arm="mha", verdict="undecided"),
        make_record(arm="manual", verdict="undecided"),
        make_record(arm="sdpa", verdict=None, status="oom"),
        make_record(arm="mha_weights"),
    ]
    assert [row.arm for row in undecided_last(rows)] == ["mha", "sdpa", "mha_weights", "manual"]
