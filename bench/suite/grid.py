"""The grid: which comparisons a run measures. No torch; arithmetic on names and sizes only."""

import pkgutil
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from types import ModuleType

from bench.records.comparison import (
    CACHES,
    DEFAULT_ARM,
    DEVICES,
    FACTORS,
    MODEL,
    MODEL_ARMS,
    MODES,
    USUAL_FACTORS,
    USUAL_PIXELS,
    Comparison,
    Workload,
)
from bench.records.errors import InputError
from bench.suite.work import flops
from vitcore.config import ATTENTIONS, PATCHERS, VARIANTS, ViTConfig, known

COMPONENT_CHOICES = ("auto", "block", "model")
# Every level of every factor, the usual baseline first but for patchers.
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

# Factors whose arms can be exchanged from block to block, or call to call, of one model.
PART_FACTORS = ("patcher", "attention", "compile", "kernel", "layout")

# On a CPU a call above this is measured on one encoder block instead of the whole model, so that
# a run of the default size ends within its ten minutes: B/16 forward at batch 1 is 35 GFLOP.
CPU_MODEL_LIMIT_FLOPS = 50e9
# Arms that are only available on CUDA.
_CUDA_ARMS = ("tf32", "reduce_overhead", "max_autotune", "efficient", "cudnn")
LARGEST_BATCH = 10**10
# Default modes of each device: a ViT is rarely trained on a CPU.
MODES_OF = {"cpu": ("forward",), "cuda": MODES}
Measure = Callable[[Comparison], None]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Comparisons of one benchmark module.

    ``arms`` are levels of ``factor``, the baseline first. ``component`` is ``patcher``,
    ``attention`` or ``encoder``; the last means the whole model or one block, depending on
    ``Selection.component``. ``batch_sizes`` are the defaults of each device, ``modes`` those in
    which the arms differ, ``levels`` the levels of other factors that all arms have on a device,
    if not the usual ones.
    """

    factor: str
    component: str
    arms: tuple[str, ...]
    batch_sizes: Mapping[str, tuple[int, ...]]
    modes: tuple[str, ...] = MODES
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known("factor", self.factor, FACTORS)
        for arm in self.arms:
            known(self.factor, arm, LEVELS[self.factor])


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Part of the grid to measure; ``__post_init__`` raises InputError for an unknown name."""

    variants: tuple[str, ...] = ("B/16", "L/16", "H/14")
    factors: tuple[str, ...] = USUAL_FACTORS
    devices: tuple[str, ...] = ("cpu",)
    modes: tuple[str, ...] | None = None
    batch_sizes: tuple[int, ...] | None = None
    image_size: int = USUAL_PIXELS
    component: str = "auto"
    cache: str = MODEL

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
            ("component", (self.component,), COMPONENT_CHOICES),
            ("cache state", (self.cache,), CACHES),
        )
        for kind, names, allowed in checked:
            if not names:
                raise InputError(f"no {kind} given; known: {', '.join(allowed)}")
            for name in names:
                known(kind, name, tuple(allowed))


def expand(grid: Grid, selection: Selection) -> Iterator[Comparison]:
    """Yield every comparison of one grid: for each workload the control, then each candidate."""
    if grid.factor not in selection.factors:
        return
    for device in selection.devices:
        sizes = selection.batch_sizes or grid.batch_sizes[device]
        modes = [m for m in selection.modes or MODES_OF[device] if m in grid.modes]
        for variant, mode, batch_size in product(selection.variants, modes, sizes):
            workload = _workload(grid, selection, device, variant, mode, batch_size)
            yield from _comparisons(grid, workload, selection)


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
    """Return the workload on the whole model or one block.

    ``auto`` is the model, but on a CPU only up to CPU_MODEL_LIMIT_FLOPS a call.
    """
    model = replace(workload, component="model")
    if wanted != "auto":
        return replace(workload, component=wanted)
    if workload.device == "cpu" and flops(model) > CPU_MODEL_LIMIT_FLOPS:
        return replace(workload, component="block")
    return model


def _comparisons(grid: Grid, workload: Workload, selection: Selection) -> Iterator[Comparison]:
    """Yield the comparisons of one workload: before each component's candidates its control."""
    baseline = replace(DEFAULT_ARM, **grid.levels.get(workload.device, {}))
    baseline = replace(baseline, **{grid.factor: grid.arms[0]})
    places = {name: _place(workload, name, selection) for name in grid.arms[1:]}
    works = {name: place for name, place in places.items() if _applies(name, place, selection)}
    for work in dict.fromkeys(works.values()) or [workload]:
        names = [name for name, place in works.items() if place == work]
        for name in (grid.arms[0], *names):
            yield Comparison(
                factor=grid.factor,
                workload=work,
                baseline=baseline,
                arm=replace(baseline, **{grid.factor: name}),
                cache=_cache(grid, work, selection),
            )


def _place(workload: Workload, name: str, selection: Selection) -> Workload:
    """Return the workload of an arm: compiled blocks are measured inside a model, if possible."""
    is_inside = selection.cache == MODEL and workload.mode == "forward"
    if name == "compile_blocks" and is_inside and selection.component == "auto":
        return replace(workload, component="block")
    return workload


def _cache(grid: Grid, workload: Workload, selection: Selection) -> str:
    """Return the state of the caches; parts that cannot be measured inside a model are cold."""
    if workload.component == "model":
        return MODEL
    is_alone = workload.mode != "forward" or grid.factor not in PART_FACTORS
    return "cold" if selection.cache == MODEL and is_alone else selection.cache


def _applies(arm: str, workload: Workload, selection: Selection) -> bool:
    """Return whether an arm is measured on a workload.

    On a CPU a whole model is compiled only where models are asked for: that takes half a minute,
    for the speed of compiled blocks.
    """
    if arm in _CUDA_ARMS and workload.device != "cuda":
        return False
    is_wanted = workload.device == "cuda" or selection.component == "model"
    return arm not in MODEL_ARMS or (workload.component == "model" and is_wanted)


def shuffled(comparisons: Sequence[Comparison], seed: int) -> list[Comparison]:
    """Return the comparisons in the random order of a seed."""
    order = list(comparisons)
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, not a secret)
    return order


def grids() -> Iterator[Grid]:
    """Yield the grids of the benchmark modules in this folder, by name of the module."""
    names = [each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = (import_module(f"bench.suite.{name}") for name in names if name.startswith("bench_"))
    return filter(None, map(grid_of, modules))


def grid_of(module: ModuleType) -> Grid | None:
    """Return the grid of a benchmark module; None if only a plan names its comparisons."""
    return getattr(module, "GRID", None)


def comparisons(selection: Selection) -> tuple[Comparison, ...]:
    """Return every comparison of a selection. Raises InputError if there is none."""
    found = tuple(each for grid in grids() for each in expand(grid, selection))
    if not found:
        raise InputError(
            f"nothing to compare: factors {', '.join(selection.factors)} differ in training only; "
            "give --modes train"
        )
    return found
