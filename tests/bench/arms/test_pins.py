"""bench.arms.levels: pinned attention kernels and memory layouts."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.backends import cuda, mha

from bench.arms.building import build_candidate, build_pair, check
from bench.arms.candidate import Candidate
from bench.arms.levels import laid_out, lay_out, pinned_kernel
from bench.costs.kernels import FLASH, MATH, NATIVE_MHA, kernels_of
from bench.records.comparison import Arm, Comparison
from bench.suite.grid import LEVELS
from helpers.records import make_workload

SMALL = {"variant": "B/32", "patch_size": 32, "image_size": 64}
ATTENTIONS = {FLASH, MATH, NATIVE_MHA}
PINNED = [
    ("forward", "sdpa", "auto", FLASH),
    ("forward", "sdpa", "flash", FLASH),
    ("forward", "sdpa", "math", MATH),
    ("forward", "mha", "auto", NATIVE_MHA),
    ("forward", "mha", "no_fast_path", FLASH),
    ("forward", "mha", "flash", FLASH),
    ("forward", "mha", "math", MATH),
    ("forward", "mha_weights", "auto", NATIVE_MHA),
    ("forward", "mha_weights", "no_fast_path", MATH),
    ("train", "sdpa", "flash", FLASH),
    ("train", "sdpa", "math", MATH),
    ("train", "mha", "auto", FLASH),
    ("train", "mha", "math", MATH),
]


def comparison(
    factor: str, level: str, component: str, mode: str = "forward", **levels: str
) -> Comparison:
    """An arm with one level against the same with PyTorch's own choice, on a small part."""
    own = {"kernel": "auto", "layout": "contiguous"}[factor]
    return Comparison(
        factor=factor,
        workload=make_workload(component=component, mode=mode, **SMALL),
        baseline=Arm(**levels, **{factor: own}),
        arm=Arm(**levels, **{factor: level}),
    )


def choices() -> tuple[bool, ...]:
    """Kernels that PyTorch may use at this moment."""
    asked: tuple[Callable[[], bool], ...] = (
        mha.get_fastpath_enabled,
        cuda.flash_sdp_enabled,
        cuda.mem_efficient_sdp_enabled,
        cuda.cudnn_sdp_enabled,
        cuda.math_sdp_enabled,
    )
    return tuple(each() for each in asked)


@pytest.mark.parametrize(("mode", "attention", "kernel", "expected"), PINNED)
def test_a_pinned_kernel_runs(mode: str, attention: str, kernel: str, expected: str) -> None:
    """The profile has the pinned kernel's operators and no other's; then the choice is restored."""
    before = choices()
    each = comparison("kernel", kernel, "attention", mode, attention=attention)
    arm = build_candidate(each.arm, each.workload)
    with arm.surroundings():
        assert set(kernels_of(arm.once, "cpu")) & ATTENTIONS == {expected}
    assert choices() == before


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize(
    ("attention", "kernel"),
    [
        *(("sdpa", kernel) for kernel in ("flash", "math")),
        *(("mha", kernel) for kernel in ("flash", "math", "no_fast_path")),
        ("mha_weights", "no_fast_path"),
    ],
)
def test_every_kernel_computes_the_same(mode: str, attention: str, kernel: str) -> None:
    """With each kernel, outputs and gradients agree with float64, alone and in a block."""
    for component in ("attention", "block"):
        each = comparison("kernel", kernel, component, mode, attention=attention)
        assert check(each, *build_pair(each)).error is None


@pytest.mark.parametrize("name", [each for each in LEVELS["kernel"] if each != "auto"])
@pytest.mark.parametrize("fast_path", [True, False])
def test_nothing_stays_pinned(name: str, *, fast_path: bool) -> None:
    """PyTorch's choice of kernels is restored, also after an exception."""
    inside: list[tuple[bool, ...]] = []

    def arm() -> None:
        with pinned_kernel(name)():
            inside.append(choices())
            raise ValueError("no such head")

    mha.set_fastpath_enabled(fast_path)
    before = choices()
    with pytest.raises(ValueError, match="no such head"):
        arm()
    after = choices()
    mha.set_fastpath_enabled(True)
    assert after == before
    ((has_fast_path, *backends),) = inside
    assert not has_fast_path
    assert sum(backends) == (4 if name == "no_fast_path" else 1)


def test_without_a_pin_nothing_is_entered() -> None:
    """Without a pin a timed call enters no context."""
    assert pinned_kernel("auto") is nullcontext


@pytest.mark.parametrize("kernel", ["efficient", "cudnn"])
def test_a_missing_kernel_is_not_replaced(kernel: str) -> None:
    """A kernel that the device lacks is an error, never another kernel."""
    each = comparison("kernel", kernel, "attention")
    with pytest.raises(RuntimeError, match="No viable backend"):
        build_candidate(each.arm, each.workload)()


def is_channels_last(value: Tensor) -> bool:
    """Whether the memory of an image_BCHW is in channels-last order."""
    return value.is_contiguous(memory_format=torch.channels_last) and not value.is_contiguous()


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp_bf16"])
def test_weights_and_images_have_the_layout(mode: str, precision: str) -> None:
    """The convolution's weight and the image are channels-last in every type."""
    each = comparison("layout", "channels_last", "patcher", mode, precision=precision)
    baseline, arm = build_pair(each)
    for found, expected in ((baseline, False), (arm, True)):
        assert list(map(is_channels_last, images(found))) == [expected, expected]


def images(arm: Candidate) -> list[Tensor]:
    """The arm's tensors of four axes: the image and the weight of a convolution."""
    tensors: list[Any] = [*arm.inputs.args, *arm.module.parameters()]
    return [each for each in tensors if each.dim() == 4]


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("patcher", ["conv", "unfold", "linear"])
def test_every_layout_computes_the_same(mode: str, patcher: str) -> None:
    """With each layout outputs and gradients agree with float64."""
    each = comparison("layout", "channels_last", "patcher", mode, patcher=patcher)
    assert check(each, *build_pair(each)).error is None


def test_other_tensors_keep_their_layout() -> None:
    """Tokens, vectors and weights of Linear layers keep their layout."""
    x_BND, linear = torch.ones(2, 3, 4), nn.Linear(3, 4)
    strides = linear.weight.stride()
    lay_out(linear, "channels_last")
    assert laid_out(x_BND, "channels_last") is x_BND
    assert linear.weight.stride() == strides


def test_the_default_layout_changes_nothing() -> None:
    """The default layout leaves module and image untouched."""
    image_BCHW = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert laid_out(image_BCHW, "contiguous") is image_BCHW
