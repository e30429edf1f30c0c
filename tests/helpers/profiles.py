"""Profiles with defaults; keywords change single values."""

from dataclasses import replace
from typing import Any

from bench.records.arm_costs import Case
from bench.records.call_profile import (
    BETWEEN,
    PYTHON,
    CallProfile,
    ComponentMemory,
    MemoryTrace,
    Share,
    Timeline,
)
from bench.records.comparison import Arm
from helpers.records import WORKLOAD

MEBI = 2**20
NODE = "autograd::engine::evaluate_function: "
TIMELINE = Timeline(
    events=(0, 1, 4, 9, 12),
    live_bytes={
        "parameters": (330 * MEBI,) * 5,
        "gradients": (0, 0, 0, 330 * MEBI, 330 * MEBI),
        "inputs": (MEBI,) * 5,
        "activations": (0, 40 * MEBI, 90 * MEBI, 10 * MEBI, 0),
    },
    phases={"forward": 1, "backward": 4, "optimizer": 12},
)
WATCHED = MemoryTrace(
    seconds=(0.0, 0.0, 0.01, 0.02, 0.03),
    live_bytes=(661 * MEBI, 662 * MEBI, 700 * MEBI, 690 * MEBI, 661 * MEBI),
    components=(
        ComponentMemory(name="optimizer", most_bytes=700 * MEBI, kept_bytes=-MEBI),
        ComponentMemory(name="MLP", most_bytes=662 * MEBI, kept_bytes=MEBI),
    ),
)
PROFILED = CallProfile(
    case=Case(workload=replace(WORKLOAD, component="model", mode="train"), arm=Arm()),
    calls=5,
    wall_s=0.2501,
    profiled_s=0.2702,
    overhead=1.08,
    components=(
        Share(name="MLP", seconds=0.15, calls=312.0, within={"MLP": 0.15}),
        Share(name="attention", seconds=0.08, calls=696.0, within={"attention": 0.08}),
        Share(name="optimizer", seconds=0.0395, calls=40.5, within={"optimizer": 0.0395}),
        Share(name=BETWEEN, seconds=0.0005, calls=None, within={BETWEEN: 0.0005}),
    ),
    operators=(
        Share(name="aten::addmm", seconds=0.2, calls=48.0, within={"MLP": 0.13, "attention": 0.07}),
        Share(name="aten::div", seconds=0.0395, calls=40.5, within={"optimizer": 0.0395}),
        Share(name=f"{NODE}AddmmBackward0", seconds=0.02, calls=48.0, within={"MLP": 0.02}),
        Share(name=PYTHON, seconds=0.0055, calls=None, within={"attention": 0.005, BETWEEN: 5e-4}),
        Share(name="aten::gelu", seconds=0.005, calls=12.0, within={"attention": 0.005}),
    ),
    memory=TIMELINE,
    watched=WATCHED,
)


def make_profiled(**changes: Any) -> CallProfile:
    """Build the profile of a training step of B/16 on a CPU."""
    return replace(PROFILED, **changes)


def on(device: str, **changes: Any) -> CallProfile:
    """Build the default profile on another device; keywords change it."""
    workload = replace(PROFILED.case.workload, device=device)
    return make_profiled(case=replace(PROFILED.case, workload=workload), **changes)
