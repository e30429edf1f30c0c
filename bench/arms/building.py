"""Parts of vitcore as arms: the one place where the suite builds them.

Axes: B batch, C channels, H and W image rows and columns, N tokens, D token width, X the axes of
an input that may be either.
"""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.arms.agreement import Agreement, beyond_tolerance, gradient_error, relative_error
from bench.arms.candidate import Candidate, seeded
from bench.arms.levels import cross_entropy
from bench.arms.tensors import Inputs
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.errors import InputError, one_line
from bench.suite.work import config_for
from bench.usercode.imports import import_from
from vitcore.attention import build_attention
from vitcore.blocks import EncoderBlock
from vitcore.config import ViTConfig
from vitcore.model import ViT, initialise
from vitcore.patchers import build_patcher
from vitcore.weights import transfer

T = TypeVar("T")
Pair = tuple[T, T]


def is_arm_first(key: str, pass_index: int) -> bool:
    """Whether the arm of a comparison is made first: in every other pass, and for half the keys."""
    return (zlib.crc32(key.encode()) + pass_index) % 2 == 1


def in_turn(baseline: Callable[[], T], arm: Callable[[], T], *, arm_first: bool) -> Pair[T]:
    """What both make, the baseline's at the front; ``arm_first`` says who begins."""
    if arm_first:
        made = arm()
        return baseline(), made
    return baseline(), arm()


# Where each part has stood since vitcore has had a table of variants.
_PLACES = {
    "patcher": ("vitcore.patchers", "build_patcher"),
    "attention": ("vitcore.attention", "build_attention"),
    "block": ("vitcore.blocks", "EncoderBlock"),
    "model": ("vitcore.model", "ViT"),
}


def build_from(tree: Path, workload: Workload, levels: dict[str, Any]) -> nn.Module:
    """Build a workload's component by the vitcore in a folder, with that version's own config.

    Raises InputError where it has no such part, or builds it otherwise.
    """
    place, name = _PLACES[workload.component]
    try:
        config = import_from(tree, "vitcore.config").ViTConfig
        build = getattr(import_from(tree, place), name)
        made: nn.Module = build(
            config.from_name(workload.variant, image_size=workload.image_size, **levels)
        )
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"vitcore in {tree} builds no {workload.component} of {workload.variant} "
            f"({one_line(error)}); leave this target out, or compare with a later revision"
        ) from error
    return made


_COMPONENTS: dict[str, Callable[[ViTConfig], nn.Module]] = {
    "patcher": build_patcher,
    "attention": build_attention,
    "block": EncoderBlock,
    "model": ViT,
}


def random_inputs(workload: Workload) -> Tensor:
    """Standard normal input of a workload, float32 on the CPU: image_BCHW or x_BND."""
    config = config_for(workload)
    generator = torch.Generator().manual_seed(zlib.crc32(str(workload).encode()))
    if workload.component in ("patcher", "model"):
        shape: tuple[int, ...] = (config.channels, *config.image_hw)
    else:
        shape = (config.tokens, config.width)
    return torch.randn((workload.batch_size or 1, *shape), generator=generator)


def build_module(arm: Arm, workload: Workload, **changes: Any) -> nn.Module:
    """Build an arm's module with seeded random weights, float32 on the workload's device.

    ``changes`` are further fields of the config. One-dimensional parameters are moved off their
    constants: zero biases would hide a mistake. An arm of another tree is built by the vitcore that
    lies there: InputError where that has no such part.
    """
    changes = {"patcher": arm.patcher, "attention": arm.attention, **changes}
    with seeded(workload.device), torch.device(workload.device), torch.no_grad():
        if arm.tree is None:
            module = _COMPONENTS[workload.component](config_for(workload, **changes))
        else:
            module = build_from(Path(arm.tree), workload, changes)
        module.apply(initialise)
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return module


def _blank(arm: Arm, workload: Workload) -> nn.Module:
    """An arm's module on the workload's device, whose weights anything may be: to be overwritten.

    Random ones take as long as all the rest.
    """
    with torch.device("meta"):
        config = config_for(workload, patcher=arm.patcher, attention=arm.attention)
        module = _COMPONENTS[workload.component](config)
    return module.to_empty(device=workload.device)


def copy_weights(source: nn.Module, arm: Arm, workload: Workload, dtype: torch.dtype) -> nn.Module:
    """Build another arm's module with the weights of ``source``, on the workload's device."""
    module = _blank(arm, workload).to(dtype)
    transfer(source, module)
    return module


def _candidate(arm: Arm, workload: Workload, module: nn.Module, input_BX: Tensor) -> Candidate:
    return Candidate(
        arm,
        workload,
        module,
        Inputs(args=(input_BX,)),
        loss=cross_entropy if workload.component == "model" else None,
        # A GPU's batch would take the reference on the CPU minutes: there one image is checked.
        one_image=workload.device == "cuda",
    )


def build_candidate(arm: Arm, workload: Workload) -> Candidate:
    """Build one arm alone, with random weights and inputs."""
    return _candidate(arm, workload, build_module(arm, workload), random_inputs(workload))


def build_pair(comparison: Comparison, *, arm_first: bool = False) -> Pair[Candidate]:
    """Build baseline and candidate with equal weights and inputs.

    Raises UnavailableError where this machine cannot run one of them.
    """
    workload, arms = comparison.workload, (comparison.baseline, comparison.arm)
    input_BX = random_inputs(workload)
    modules = in_turn(
        partial(build_module, comparison.baseline, workload),
        partial(_blank, comparison.arm, workload),
        arm_first=arm_first,
    )
    transfer(*modules)
    return in_turn(
        *(
            partial(_candidate, arm, workload, module, input_BX)
            for arm, module in zip(arms, modules, strict=True)
        ),
        arm_first=arm_first,
    )


def build_reference(comparison: Comparison, baseline: Candidate) -> Candidate:
    """The same function and weights in float64 on the CPU, for the images that are checked.

    Attention is the hand-written one, so that no fused kernel is its own judge.
    """
    workload = replace(comparison.workload, device="cpu")
    arm = Arm(attention="manual", precision="fp64")
    module = copy_weights(baseline.module, arm, workload, torch.float64)
    (input_BX,) = baseline.inputs.args
    return _candidate(arm, workload, module, input_BX[:1] if baseline.one_image else input_BX)


def check(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    """Compare an arm's output, and in training its gradients, with the float64 reference."""
    reference = build_reference(comparison, baseline)
    gradient: float | None = None
    if comparison.workload.mode == "train":
        expected, expected_gradients = reference.output_and_gradients()
        output, gradients = arm.output_and_gradients()
        gradient = gradient_error(gradients, expected_gradients)
    else:
        expected, output = reference.output(), arm.output()
    errors = {"output": relative_error(output, expected), "gradient": gradient}
    return Agreement(
        output_error=errors["output"],
        gradient_error=gradient,
        largest_error=float((output - expected).abs().max()),
        error=beyond_tolerance(comparison.arm.precision, errors),
    )
