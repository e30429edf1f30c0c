"""The grid: which comparisons a run measures. No torch; arithmetic on names and sizes only."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from bench.record import (
    CACHES,
    CHOICE,
    DEVICES,
    FACTORS,
    MODEL_ARMS,
    MODES,
    OWN_FACTOR,
    USUAL_FACTORS,
    Arm,
    Comparison,
    InputError,
    Workload,
)
from vitcore import costs
from vitcore.config import ATTENTIONS, PATCHERS, VARIANTS, ViTConfig, known

COMPONENTS = ("auto", "block", "model")
LEVELS: dict[str, tuple[str, ...]] = {
    "patcher": PATCHERS,
    "attention": ATTENTIONS,
    "compile": ("eager", "compile", "compile_blocks", "reduce_overhead", "max_autotune"),
    "precision": ("fp32", "tf32", "amp_bf16", "amp_fp16", "bf16"),
    "checkpoint": ("none", "blocks"),
    "optimizer": ("adamw", "adamw_loop", "adamw_foreach", "adamw_fused", "sgd"),
    "kernel": ("auto", "flash", "efficient", "cudnn", "math", "no_fast_path"),
    "layout": ("contiguous", "channels_last"),
}

# On a CPU a call above this is measured on one encoder block instead of the whole model, so that
# a run of the default size ends within its ten minutes: B/16 forward at batch 1 is 35 GFLOP.
CPU_MODEL_LIMIT_FLOPS = 50e9
# Arms that other devices lack.
_CUDA_ARMS = ("tf32", "reduce_overhead", "max_autotune", "efficient", "cudnn")
# Bytes of a parameter and of an activation's value. Autocast keeps the first, and halves the other.
_BYTES = {
    "fp32": (4, 4),
    "tf32": (4, 4),
    "amp_bf16": (4, 2),
    "amp_fp16": (4, 2),
    "bf16": (2, 2),
}
# How often an optimizer reads or writes each parameter, or as many numbers of its own.
_ADAMW_PASSES, _SGD_PASSES = 7, 5
LARGEST_BATCH = 10**10
# What is measured where the user does not say: hardly anybody trains a ViT on a CPU.
MODES_OF = {"cpu": ("forward",), "cuda": MODES}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What one benchmark module compares.

    ``arms`` are levels of ``factor``, the baseline first. ``component`` is ``patcher``,
    ``attention`` or ``encoder``: the last means the whole model or one block, whichever
    ``Selection.component`` says. ``batch_sizes`` are for each device; the user may give others.
    ``modes`` are those in which the arms differ, ``levels`` what all arms have of other factors on
    a device, where that is not the usual.
    A user's own arms and what a run chose are in no selection: their grids are empty.
    """

    factor: str
    component: str
    arms: tuple[str, ...]
    batch_sizes: Mapping[str, tuple[int, ...]]
    modes: tuple[str, ...] = MODES
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known("factor", self.factor, (*FACTORS, OWN_FACTOR, CHOICE))
        for arm in self.arms:
            known(self.factor, arm, LEVELS[self.factor])


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of the grid to measure; checked at birth (InputError lists what is known)."""

    variants: tuple[str, ...] = ("B/16", "L/16", "H/14")
    factors: tuple[str, ...] = USUAL_FACTORS
    devices: tuple[str, ...] = ("cpu",)
    modes: tuple[str, ...] | None = None
    batch_sizes: tuple[int, ...] | None = None
    image_size: int = 224
    component: str = "auto"
    cache: str = "cold"

    def __post_init__(self) -> None:
        try:
            self._check_names()
            for variant in self.variants:
                ViTConfig.from_name(variant, image_size=self.image_size)
        except ValueError as error:
            raise InputError(str(error)) from error
        if self.batch_sizes == ():
            raise InputError("no batch size given; expected whole numbers of at least 1")
        for size in self.batch_sizes or ():
            if not 1 <= size <= LARGEST_BATCH:
                raise InputError(
                    f"batch size is {size}; expected a whole number from 1 to {LARGEST_BATCH}"
                )

    def _check_names(self) -> None:
        checked: tuple[tuple[str, tuple[str, ...], Sequence[str]], ...] = (
            ("variant", self.variants, tuple(VARIANTS)),
            ("factor", self.factors, FACTORS),
            ("device", self.devices, DEVICES),
            ("mode", MODES if self.modes is None else self.modes, MODES),
            ("component", (self.component,), COMPONENTS),
            ("cache state", (self.cache,), CACHES),
        )
        for kind, names, allowed in checked:
            if not names:
                raise InputError(f"no {kind} given; known: {', '.join(allowed)}")
            for name in names:
                known(kind, name, tuple(allowed))


Measure = Callable[[Comparison], None]


def config_for(workload: Workload, **changes: Any) -> ViTConfig:
    """The model that a workload's component is part of.

    Raises ValueError for the workload of a user's own arms, which is part of none.
    """
    if workload.variant is None:
        raise ValueError(f"{workload} is no part of vitcore")
    return ViTConfig.from_name(workload.variant, image_size=workload.image_size, **changes)


def repeats(variant: str, whole: str, part: str) -> int:
    """How often a part stands in a model or a block."""
    if whole == "model":
        return ViTConfig.from_name(variant).depth if part == "attention" else 1
    return int(part == "attention")


def parameters(workload: Workload) -> int:
    """Parameters of a workload's component, by arithmetic."""
    return int(getattr(costs, workload.component)(config_for(workload)).parameters)


def flops(workload: Workload) -> float:
    """Floating-point operations of one call, by arithmetic; what is computed twice counts once."""
    config, component = config_for(workload), workload.component
    if workload.mode == "train":
        macs = costs.training_macs(config, component)
    else:
        macs = costs.cost_of(config, component).macs
    return 2.0 * macs * (workload.batch_size or 1)


def least_bytes(workload: Workload, arm: Arm) -> float:
    """Bytes that one call of an arm must read and write at least (see ``costs.moved_bytes``)."""
    parameter_bytes, value_bytes = _BYTES[arm.precision]
    return float(
        costs.moved_bytes(
            config_for(workload),
            workload.component,
            batch_size=workload.batch_size or 1,
            mode=workload.mode,
            parameter_bytes=parameter_bytes,
            value_bytes=value_bytes,
            optimizer_passes=_SGD_PASSES if arm.optimizer == "sgd" else _ADAMW_PASSES,
        )
    )


def expand(grid: Grid, selection: Selection) -> Iterator[Comparison]:
    """Every comparison of one grid: for each workload the control, then each candidate."""
    if grid.factor not in selection.factors:
        return
    for device in selection.devices:
        sizes = selection.batch_sizes or grid.batch_sizes[device]
        modes = [m for m in selection.modes or MODES_OF[device] if m in grid.modes]
        for variant, mode, batch_size in product(selection.variants, modes, sizes):
            workload = _workload(grid, selection, device, variant, mode, batch_size)
            yield from _comparisons(grid, workload, selection.cache)


def _workload(
    grid: Grid, selection: Selection, device: str, variant: str, mode: str, batch_size: int
) -> Workload:
    workload = Workload(
        component=grid.component,
        variant=variant,
        patch_size=VARIANTS[variant]["patch_size"],
        image_size=selection.image_size,
        batch_size=batch_size,
        mode=mode,
        device=device,
    )
    if grid.component == "encoder":
        return choose_component(workload, selection.component)
    return workload


def choose_component(workload: Workload, wanted: str) -> Workload:
    """The same work on the whole model or one block; ``auto`` takes the model where that is quick.

    On a CPU that is up to CPU_MODEL_LIMIT_FLOPS a call.
    """
    model = replace(workload, component="model")
    if wanted != "auto":
        return replace(workload, component=wanted)
    if workload.device == "cpu" and flops(model) > CPU_MODEL_LIMIT_FLOPS:
        return replace(workload, component="block")
    return model


def _comparisons(grid: Grid, workload: Workload, cache: str) -> Iterator[Comparison]:
    baseline = replace(Arm(), **grid.levels.get(workload.device, {}))
    baseline = replace(baseline, **{grid.factor: grid.arms[0]})
    for name in grid.arms:
        if _applies(name, workload):
            yield Comparison(
                factor=grid.factor,
                workload=workload,
                baseline=baseline,
                arm=replace(baseline, **{grid.factor: name}),
                # Inside a whole model no part finds its weights in the cache anyway.
                cache="warm" if workload.component == "model" else cache,
            )


def _applies(arm: str, workload: Workload) -> bool:
    if arm in _CUDA_ARMS and workload.device != "cuda":
        return False
    return arm not in MODEL_ARMS or workload.component == "model"


def shuffled(comparisons: Sequence[Comparison], seed: int) -> list[Comparison]:
    """The same comparisons in an order that the seed decides."""
    order = list(comparisons)
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, not a secret)
    return order
