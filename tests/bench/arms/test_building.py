"""Arms: every arm computes the same function as the float64 reference."""

from dataclasses import replace

import pytest
import torch

from bench.arms.agreement import TOLERANCES, gradient_error, relative_error
from bench.arms.building import build_arms, build_module, build_reference, random_inputs
from bench.arms.levels import pin_precision
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.errors import UnavailableError
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.bench_precision import GRID as PRECISION
from bench.suite.grid import Grid, Selection, expand

# One patch of 32 x 32 pixels: the sizes of ViT-B at next to no work.
SMALL = Selection(variants=("B/32",), image_size=32, batch_sizes=(2,), component="block")
WORKLOAD = Workload(
    component="block",
    variant="B/32",
    patch_size=32,
    image_size=32,
    batch_size=2,
    mode="forward",
    device="cpu",
)

TINY_MODEL = replace(WORKLOAD, component="model", variant="Ti/16", patch_size=16, image_size=16)


def small(*grids: Grid) -> list[Comparison]:
    """Every comparison of some grids at the small size."""
    return [each for grid in grids for each in expand(grid, SMALL)]


@pytest.mark.parametrize("comparison", small(PATCHERS, ATTENTION, PRECISION), ids=lambda c: c.key)
def test_arm_agrees_with_float64(comparison: Comparison) -> None:
    """Outputs, and gradients in training, are within a tenth of the precision's tolerance."""
    baseline, arm = build_arms(comparison)
    reference = build_reference(comparison, baseline)
    limit = TOLERANCES[comparison.arm.precision] / 10
    if comparison.workload.mode == "forward":
        assert relative_error(arm.output(), reference.output()) < limit
        return
    output_BX, gradients = arm.output_and_gradients()
    expected_BX, expected = reference.output_and_gradients()
    assert relative_error(output_BX, expected_BX) < limit
    assert gradient_error(gradients, expected) < limit


def test_the_reference_is_float64_without_fused_kernels() -> None:
    """The reference computes in float64 with the hand-written attention."""
    (comparison, *_) = small(ATTENTION)
    baseline, _ = build_arms(comparison)
    reference = build_reference(comparison, baseline)
    assert {p.dtype for p in reference.module.parameters()} == {torch.float64}
    assert type(reference.module).__name__ == "ManualAttention"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("arm_first", [False, True])
@pytest.mark.parametrize("attention", ["mha", "manual"])
@pytest.mark.parametrize("patcher", ["conv", "unfold", "linear"])
def test_every_weight_of_an_arm_is_initialised(
    patcher: str, attention: str, *, arm_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arm and baseline have weights of equal sum in either order: none stays uninitialised.

    The test fills uninitialised memory with NaN.
    """
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(mode=True)
    try:
        comparison = Comparison(
            factor="patcher",
            workload=TINY_MODEL,
            baseline=Arm(),
            arm=Arm(patcher=patcher, attention=attention),
        )
        baseline, arm = build_arms(comparison, arm_first=arm_first)
    finally:
        torch.use_deterministic_algorithms(mode=False)
    sums = [
        sum(float(each.detach().double().sum()) for each in side.module.state_dict().values())
        for side in (baseline, arm)
    ]
    assert sums[1] == pytest.approx(sums[0])


def test_inputs_are_random_seeded_and_never_zero() -> None:
    """Inputs repeat for a workload, differ between workloads, and are never zero."""
    first_BX, again_BX = random_inputs(WORKLOAD), random_inputs(WORKLOAD)
    assert torch.equal(first_BX, again_BX)
    assert not torch.equal(first_BX, random_inputs(replace(WORKLOAD, mode="train")))
    assert first_BX.count_nonzero() == first_BX.numel()
    assert first_BX.shape == (2, 2, 768)


def test_no_weight_stays_at_a_constant() -> None:
    """Biases and norms are random too, so that an arm without them is found out."""
    for name, parameter in build_module(Arm(attention="mha"), WORKLOAD).named_parameters():
        assert parameter.std() > 0, name


def test_building_leaves_the_callers_random_numbers_alone() -> None:
    """Building weights does not advance the global generator."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    build_module(Arm(), WORKLOAD)
    assert torch.equal(torch.rand(1), expected)


def test_a_training_step_trains() -> None:
    """A call in train mode changes the weights; a call in forward mode does not."""
    for mode, moves in (("train", True), ("forward", False)):
        workload = replace(WORKLOAD, mode=mode)
        comparison = Comparison(factor="attention", workload=workload, baseline=Arm(), arm=Arm())
        arm, _ = build_arms(comparison)
        before = [parameter.detach().clone() for parameter in arm.module.parameters()]
        arm()
        after = list(arm.module.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) is moves


def test_compiling_without_a_compiler_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C++ compiler the arm is unavailable, and the message names the remedy."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    comparison = Comparison(
        factor="compile",
        workload=WORKLOAD,
        baseline=Arm(),
        arm=Arm(compile="compile_blocks"),
    )
    with pytest.raises(UnavailableError, match=r"'no-such-compiler' is not on the PATH; install"):
        build_arms(comparison)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("component", "mode"),
    [("attention", "forward"), pytest.param("block", "train", marks=pytest.mark.long)],
)
def test_compiled_arm_agrees_with_float64(component: str, mode: str) -> None:
    """A compiled arm agrees with float64 like the eager one."""
    comparison = Comparison(
        factor="compile",
        workload=replace(WORKLOAD, mode=mode, component=component),
        baseline=Arm(),
        arm=Arm(compile="compile_blocks"),
    )
    baseline, arm = build_arms(comparison)
    expected_BX, expected = build_reference(comparison, baseline).output_and_gradients()
    if mode == "forward":
        assert relative_error(arm.output(), expected_BX) < 1e-5
        return
    output_BX, gradients = arm.output_and_gradients()
    assert relative_error(output_BX, expected_BX) < 1e-5
    assert gradient_error(gradients, expected) < 1e-5


def test_fp32_means_full_float32() -> None:
    """Pinning fp32 switches TF32 off."""
    torch.set_float32_matmul_precision("high")
    pin_precision()
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32 is False
