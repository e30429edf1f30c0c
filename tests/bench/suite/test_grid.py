"""bench.suite.grid: contents of the grid, valid selections, cost of a call."""

from dataclasses import replace
from itertools import groupby, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.comparison import (
    ASKED_FACTORS,
    DEFAULT_ARM,
    DEVICES,
    FACTORS,
    MODES,
    USUAL_FACTORS,
    Arm,
    Comparison,
)
from bench.records.errors import InputError
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_compile import GRID as COMPILE
from bench.suite.bench_precision import GRID as PRECISION
from bench.suite.grid import LEVELS, PART_FACTORS, Grid, Selection, comparisons, expand, shuffled
from bench.suite.work import config_for, flops, least_bytes
from helpers.records import make_workload
from vitcore import costs
from vitcore.config import VARIANTS

# Bytes of a parameter and of a value, by precision.
WIDTHS = {
    "fp32": (4, 4),
    "tf32": (4, 4),
    "amp_bf16": (4, 2),
    "amp_fp16": (4, 2),
    "bf16": (2, 2),
}
# Reads and writes of each parameter in a step of training, by optimizer.
PASSES = {"adamw": 7, "adamw_loop": 7, "adamw_foreach": 7, "adamw_fused": 7, "sgd": 5}
EVERYWHERE = comparisons(Selection(devices=DEVICES))


@pytest.mark.parametrize(
    ("field", "value", "listed"),
    [
        ("variants", ("B/17",), "variant 'B/17'; known: B/16, B/32, L/16, L/32, H/14"),
        (
            "factors",
            ("attn",),
            f"factor 'attn'; known: {', '.join(FACTORS)}",
        ),
        ("devices", ("tpu",), "device 'tpu'; known: cpu, cuda"),
        ("modes", ("forward", "infer"), "mode 'infer'; known: forward, train"),
        ("component", "head", "component 'head'; known: auto, block, model"),
        ("cache", "hot", "cache state 'hot'; known: model, cold, warm"),
    ],
)
def test_unknown_name(field: str, value: Any, listed: str) -> None:
    """An unknown name is refused with the known names."""
    with pytest.raises(InputError) as raised:
        Selection(**{field: value})
    assert str(raised.value) == f"unknown {listed}"


@pytest.mark.parametrize("field", ["variants", "factors", "devices", "modes"])
def test_empty_list(field: str) -> None:
    """A list without a name is refused with the known names."""
    nothing: dict[str, Any] = {field: ()}
    with pytest.raises(InputError, match=r"no \w+ given; known: \w+"):
        Selection(**nothing)


@pytest.mark.parametrize("size", [0, -8])
def test_batch_size_below_one(size: int) -> None:
    """A batch size below 1 is refused, also after valid ones."""
    with pytest.raises(InputError, match=rf"batch size is {size}; expected .* from 1 to"):
        Selection(batch_sizes=(4, size))


@pytest.mark.parametrize(
    ("variants", "image_size", "remedy"),
    [(("B/16", "H/14"), 240, "use 238 or 252"), (("B/16",), 225, "use 224 or 240")],
)
def test_image_size_that_no_patch_divides(
    variants: tuple[str, ...], image_size: int, remedy: str
) -> None:
    """An image size must fit the patches of every variant; the error has the nearest sizes."""
    with pytest.raises(InputError, match=remedy):
        Selection(variants=variants, image_size=image_size)


@pytest.mark.parametrize(("factor", "arms"), [("speed", ()), ("attention", ("mha", "flash"))])
def test_grid_refuses_unknown_arms(factor: str, arms: tuple[str, ...]) -> None:
    """A grid of an unknown factor or arm is an error."""
    with pytest.raises(ValueError, match="; known: "):
        Grid(factor=factor, component="attention", arms=arms, batch_sizes={})


def test_control_comes_first() -> None:
    """Every workload of every grid begins with its one control."""
    groups = [list(group) for _, group in groupby(EVERYWHERE, lambda c: (c.factor, c.workload))]
    assert len(groups) == len({(c.factor, c.workload) for c in EVERYWHERE})
    for group in groups:
        assert [c.is_control for c in group] == [True] + [False] * (len(group) - 1)


def test_arms_differ_in_the_factor_only() -> None:
    """A candidate is the baseline with another level of the compared factor."""
    for each in EVERYWHERE:
        assert replace(each.baseline, **{each.factor: each.arm_name}) == each.arm


def test_default_covers_variants_and_factors() -> None:
    """Without options every factor of inference is compared on B/16, L/16 and H/14."""
    covered = {(c.workload.variant, c.factor, c.workload.mode) for c in comparisons(Selection())}
    variants, in_forward = ("B/16", "L/16", "H/14"), FACTORS[:4]
    assert covered == set(product(variants, in_forward, ("forward",)))
    trained = {c.factor for c in comparisons(Selection(modes=("train",)))}
    assert trained == set(USUAL_FACTORS)


@pytest.mark.parametrize("factor", ASKED_FACTORS)
def test_pinned_factors_are_compared_on_request(factor: str) -> None:
    """Kernels and layouts are compared only if their factor is selected."""
    assert {c.factor for c in comparisons(Selection(factors=(factor,)))} == {factor}


@pytest.mark.parametrize("device", DEVICES)
def test_cuda_arms_are_left_out_on_a_cpu(device: str) -> None:
    """TF32, CUDA graphs and CUDA's attention kernels are left out on a CPU."""
    chosen = Selection(devices=(device,), factors=FACTORS, modes=MODES)
    arms = {each.arm_name for each in comparisons(chosen)}
    cuda_only = {"tf32", "reduce_overhead", "max_autotune", "efficient", "cudnn"}
    assert arms & cuda_only == (cuda_only if device == "cuda" else set())


@pytest.mark.parametrize("precision", LEVELS["precision"])
@pytest.mark.parametrize("optimizer", LEVELS["optimizer"])
def test_least_bytes(precision: str, optimizer: str) -> None:
    """Parameters count at their stored width, values at the computed width, at every level."""
    parameter_bytes, value_bytes = WIDTHS[precision]
    workload = make_workload(component="block", mode="train", batch_size=3)
    assert least_bytes(
        workload, Arm(precision=precision, optimizer=optimizer)
    ) == costs.moved_bytes(
        config_for(workload),
        "block",
        batch_size=3,
        mode="train",
        parameter_bytes=parameter_bytes,
        value_bytes=value_bytes,
        optimizer_passes=PASSES[optimizer],
    )


def test_training_factors_need_training() -> None:
    """Selecting optimizers without training is an error that names --modes train."""
    with pytest.raises(InputError, match="optimizer differ in training only; give --modes train"):
        comparisons(Selection(factors=("optimizer",)))
    asked = Selection(factors=("optimizer",), modes=("forward", "train"))
    assert {c.workload.mode for c in comparisons(asked)} == {"train"}


@pytest.mark.parametrize(("device", "modes"), [("cpu", ("forward",)), ("cuda", MODES)])
def test_default_modes_depend_on_the_device(device: str, modes: tuple[str, ...]) -> None:
    """On CUDA training is measured by default; given modes apply to every device."""
    found = {c.workload.mode for c in comparisons(Selection(devices=(device,)))}
    assert found == set(modes)
    asked = Selection(devices=(device,), modes=("train",))
    assert {c.workload.mode for c in comparisons(asked)} == {"train"}


def places_of(arm: str, **changes: Any) -> set[tuple[str, str]]:
    """Return the device and component of an arm's comparisons."""
    found = comparisons(Selection(**{"devices": DEVICES, **changes}))
    return {(c.workload.device, c.workload.component) for c in found if c.arm_name == arm}


@pytest.mark.parametrize(
    ("arm", "places"),
    [
        ("tf32", {("cuda", "model")}),
        ("compile", {("cuda", "model")}),
        ("reduce_overhead", {("cuda", "model")}),
    ],
)
def test_where_an_arm_applies(arm: str, places: set[tuple[str, str]]) -> None:
    """TF32 is for CUDA; compiling the whole model needs a whole model, on a CPU on request."""
    assert places_of(arm) == places
    on_request = {("cpu", "model")} if arm == "compile" else set()
    assert places_of(arm, component="model") == places | on_request
    assert places_of(arm, component="block") <= {("cuda", "block")}


@pytest.mark.parametrize(
    ("changes", "components"),
    [
        ({}, {"block"}),
        ({"batch_sizes": (1,), "component": "model"}, {"model"}),
        ({"component": "block"}, {"block"}),
        # B/16 at batch 1 is small enough for a CPU, H/14 is not.
        ({"cache": "cold", "devices": ("cpu",)}, {"model", "block"}),
        ({"cache": "cold", "devices": ("cuda",)}, {"model"}),
        ({"modes": ("train",), "devices": ("cuda",)}, {"model"}),
    ],
)
def test_where_compiled_blocks_are_measured(changes: dict[str, Any], components: set[str]) -> None:
    """Compiled blocks are measured inside a model, beside eager ones, unless asked otherwise."""
    chosen = Selection(**{"devices": DEVICES, "modes": ("forward",), **changes})
    rows = [c for c in comparisons(chosen) if c.arm_name == "compile_blocks"]
    assert {c.workload.component for c in rows} == components
    is_inside = chosen.cache == "model" and chosen.modes == ("forward",)
    assert {c.is_inside for c in rows} == {is_inside and components == {"block"}}


def test_compiled_blocks_have_a_control_of_their_own() -> None:
    """Where compile_blocks is measured elsewhere than compile, each place has its control."""
    chosen = Selection(variants=("B/32",), batch_sizes=(1,), devices=("cuda",), modes=("forward",))
    rows = expand(COMPILE, chosen)
    assert [(c.workload.component, c.arm_name) for c in rows] == [
        ("model", "eager"),
        ("model", "compile"),
        ("model", "reduce_overhead"),
        ("model", "max_autotune"),
        ("block", "eager"),
        ("block", "compile_blocks"),
    ]


@pytest.mark.parametrize(
    ("device", "variant", "mode", "batch_size", "component"),
    [
        ("cpu", "B/16", "forward", 1, "model"),  # 35 GFLOP
        ("cpu", "B/16", "forward", 2, "block"),  # 70
        ("cpu", "B/16", "train", 1, "block"),  # 105
        ("cpu", "B/32", "train", 1, "model"),  # 26
        ("cpu", "L/16", "forward", 1, "block"),  # 123
        ("cuda", "H/14", "train", 64, "model"),
    ],
)
def test_auto_component(
    device: str, variant: str, mode: str, batch_size: int, component: str
) -> None:
    """On a CPU a call above 50 GFLOP is measured on one block; on CUDA never."""
    selection = Selection(
        variants=(variant,), devices=(device,), modes=(mode,), batch_sizes=(batch_size,)
    )
    assert {c.workload.component for c in expand(PRECISION, selection)} == {component}


@pytest.mark.parametrize("component", ["block", "model"])
def test_requested_component(component: str) -> None:
    """The requested component is used on every device, whatever its size."""
    selection = Selection(devices=DEVICES, component=component)
    assert {c.workload.component for c in expand(PRECISION, selection)} == {component}
    assert {c.workload.component for c in expand(ATTENTION, selection)} == {"attention"}


def test_batch_sizes() -> None:
    """Requested batch sizes replace each device's defaults."""
    sizes = {(c.workload.device, c.workload.batch_size) for c in EVERYWHERE}
    assert sizes == {("cpu", 1), ("cpu", 8), ("cuda", 1), ("cuda", 8), ("cuda", 64)}
    chosen = comparisons(Selection(devices=DEVICES, batch_sizes=(3, 5)))
    assert {c.workload.batch_size for c in chosen} == {3, 5}


def test_both_batch_sizes_answer_every_factor() -> None:
    """On a CPU every factor of inference is compared at batch 1 and at batch 8."""
    found = {(c.factor, c.workload.batch_size) for c in comparisons(Selection())}
    assert found == set(product(FACTORS[:4], (1, 8)))


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_cache_state(cache: str) -> None:
    """A part is measured alone in the selected state; a whole model has its own."""
    chosen = comparisons(Selection(cache=cache, devices=DEVICES, modes=MODES, factors=FACTORS))
    states = {(c.workload.component == "model", c.cache) for c in chosen}
    assert states == {(True, "model"), (False, cache)}
    assert not any(c.is_inside for c in chosen)


@pytest.mark.parametrize("component", ["auto", "block", "model"])
def test_the_cache_state_of_a_model_is_found_inside_it(component: str) -> None:
    """By default parts are measured inside a model; what cannot be exchanged there is cold."""
    chosen = comparisons(
        Selection(component=component, devices=DEVICES, modes=MODES, factors=FACTORS)
    )
    for each in chosen:
        work = each.workload
        is_part = work.component != "model"
        if each.is_inside:
            assert each.factor in PART_FACTORS
        assert each.is_inside == (
            is_part and work.mode == "forward" and each.factor in PART_FACTORS
        )
        assert each.cache == ("model" if each.is_inside or not is_part else "cold")


def test_every_factor_has_the_default_arm_as_baseline() -> None:
    """One default arm for every factor, except for kernels, which need sdpa."""
    for each in EVERYWHERE:
        assert each.baseline == DEFAULT_ARM
    kernels = comparisons(Selection(factors=("kernel",)))
    assert {each.baseline.attention for each in kernels} == {"sdpa"}


def test_unselected_factor() -> None:
    """A factor that is not selected has no comparisons."""
    assert list(expand(ATTENTION, Selection(factors=("compile",)))) == []


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_shuffled_is_a_permutation(seed: int) -> None:
    """Shuffling keeps every comparison once, leaves its input unchanged and follows the seed."""
    before = list(EVERYWHERE)
    order = shuffled(before, seed)
    assert sorted(each.key for each in order) == sorted(each.key for each in EVERYWHERE)
    assert before == list(EVERYWHERE)
    assert shuffled(EVERYWHERE, seed) == order


def test_shuffled_by_seed() -> None:
    """Each pass has an order of its own that differs from the grid's."""
    orders: set[tuple[Comparison, ...]] = {tuple(shuffled(EVERYWHERE, seed)) for seed in range(20)}
    assert len(orders | {EVERYWHERE}) == 21


def test_flops_of_one_image() -> None:
    """B/16 forward is torchvision's published 17.564 GMAC, two operations each."""
    assert flops(make_workload(component="model")) == pytest.approx(2 * 17.564e9, rel=1e-4)


@pytest.mark.parametrize("component", ["patcher", "attention", "block", "model"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_flops_scale(variant: str, component: str) -> None:
    """Training costs three forward passes less the inputs' gradients; FLOPs scale with images."""
    workload = make_workload(variant=variant, component=component)
    spared = costs.without_gradient(config_for(workload), component).flops
    assert flops(replace(workload, mode="train")) == 3 * flops(workload) - spared
    assert flops(replace(workload, batch_size=7)) == 7 * flops(workload) > 0


def test_config_for() -> None:
    """A workload's model has its variant's sizes, its image size and the requested changes."""
    config = config_for(make_workload(variant="L/32", image_size=384), patcher="unfold")
    assert (config.width, config.grid_hw, config.patcher) == (1024, (12, 12), "unfold")
