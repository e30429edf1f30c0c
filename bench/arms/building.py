"""Build the parts of vitcore as arms; nothing else in the suite builds them.

Axes: B batch, C channels, H and W image rows and columns, N tokens, D token width, X the axes of
an input that may be either.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.arms.agreement import Agreement, beyond_tolerance, gradient_error, relative_error
from bench.arms.candidate import Candidate
from bench.arms.drawn_weights import WithoutDraws, draw_weights
from bench.arms.inputs import Inputs
from bench.arms.levels import cross_entropy
from bench.arms.preparing import seeded
from bench.arms.tensors import Leaves
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.errors import InputError, one_line
from bench.suite.work import config_for
from bench.usercode.imports import import_from
from vitcore.attention import build_attention
from vitcore.blocks import EncoderBlock
from vitcore.config import ViTConfig
from vitcore.model import ViT
from vitcore.patchers import build_patcher
from vitcore.weights import transfer

T = TypeVar("T")
Both = tuple[T, T]
# Module and builder of each component, unchanged in every revision that has a table of variants.
_BUILDERS = {
    "patcher": ("vitcore.patchers", "build_patcher"),
    "attention": ("vitcore.attention", "build_attention"),
    "block": ("vitcore.blocks", "EncoderBlock"),
    "model": ("vitcore.model", "ViT"),
}
_COMPONENTS: dict[str, Callable[[ViTConfig], nn.Module]] = {
    "patcher": build_patcher,
    "attention": build_attention,
    "block": EncoderBlock,
    "model": ViT,
}


def is_arm_first(key: str, pass_index: int) -> bool:
    """Whether the candidate is built before the baseline: in alternate passes, for half the keys.

    Memory placement affects speed: of two identical stacks of 50 layers the one built second ran
    0.4 % faster in every process. Alternation turns that bias into variance between passes.
    """
    return (zlib.crc32(key.encode()) + pass_index) % 2 == 1


def in_turn(baseline: Callable[[], T], arm: Callable[[], T], *, arm_first: bool) -> Both[T]:
    """Return what both builders make, the baseline's first; ``arm_first`` builds the arm first."""
    if arm_first:
        made = arm()
        return baseline(), made
    return baseline(), arm()


def build_from(tree: Path, workload: Workload, levels: dict[str, Any]) -> nn.Module:
    """Build a workload's component with the vitcore and the config class of another tree.

    Raises InputError if that vitcore has no such component or builds it in another way.
    """
    module, name = _BUILDERS[workload.component]
    try:
        config = import_from(tree, "vitcore.config").ViTConfig
        build = getattr(import_from(tree, module), name)
        made: nn.Module = build(
            config.from_name(workload.variant, image_size=workload.image_size, **levels)
        )
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"vitcore in {tree} cannot build a {workload.component} of {workload.variant} "
            f"({one_line(error)}); leave this target out, or compare with a later revision"
        ) from error
    return made


def random_inputs(workload: Workload) -> Tensor:
    """Return a standard normal input of a workload, float32 on the CPU: image_BCHW or x_BND."""
    config = config_for(workload)
    generator = torch.Generator().manual_seed(zlib.crc32(str(workload).encode()))
    if workload.component in ("patcher", "model"):
        shape: tuple[int, ...] = (config.channels, *config.image_hw)
    else:
        shape = (config.tokens, config.width)
    return torch.randn((workload.batch_size or 1, *shape), generator=generator)


def build_module(arm: Arm, workload: Workload, **changes: Any) -> nn.Module:
    """Build an arm's module with seeded random weights, float32 on the workload's device.

    ``changes`` are further fields of the config. The vitcore of ``arm.tree`` builds the module
    where the arm names one; raises InputError if it cannot.
    """
    changes = {"patcher": arm.patcher, "attention": arm.attention, **changes}
    with seeded(workload.device), torch.device(workload.device):
        with WithoutDraws():
            if arm.tree is None:
                module = _COMPONENTS[workload.component](config_for(workload, **changes))
            else:
                module = build_from(Path(arm.tree), workload, changes)
        draw_weights(module)
    return module


def blank_module(
    arm: Arm, workload: Workload, *, device: str | None = None, **changes: Any
) -> nn.Module:
    """Build an arm's module with uninitialised weights, for a caller that overwrites them.

    ``changes`` are further fields of the config. Drawing random weights would take as long as all
    other steps of a build together.
    """
    with torch.device("meta"):
        config = config_for(workload, patcher=arm.patcher, attention=arm.attention, **changes)
        module = _COMPONENTS[workload.component](config)
    return module if device == "meta" else module.to_empty(device=workload.device)


def copy_weights(source: nn.Module, arm: Arm, workload: Workload, dtype: torch.dtype) -> nn.Module:
    """Build an arm's module on the workload's device and copy the weights of ``source`` into it."""
    module = blank_module(arm, workload).to(dtype)
    transfer(source, module)
    return module


def candidate_of(arm: Arm, workload: Workload, module: nn.Module, input_BX: Tensor) -> Candidate:
    """Return an arm of a module, ready to run on an input of the workload."""
    return Candidate(
        arm,
        workload,
        module,
        Inputs(args=(input_BX,)),
        loss=cross_entropy if workload.component == "model" else None,
        one_image=_needs_one_image(workload),
    )


def _needs_one_image(workload: Workload) -> bool:
    """Return whether one image of a batch suffices for a check.

    The float64 reference runs on the CPU, where a batch made for a GPU would take minutes.
    """
    many = (workload.batch_size or 1) > 1
    return workload.device == "cuda" or (many and workload.mode == "forward")


def build_candidate(arm: Arm, workload: Workload) -> Candidate:
    """Build a single arm with random weights and inputs."""
    return candidate_of(arm, workload, build_module(arm, workload), random_inputs(workload))


def build_arms(comparison: Comparison, *, arm_first: bool = False) -> Both[Candidate]:
    """Build baseline and candidate with equal weights and inputs.

    Raises UnavailableError if this machine cannot run one of them.
    """
    workload, arms = comparison.workload, (comparison.baseline, comparison.arm)
    input_BX = random_inputs(workload)
    modules = in_turn(
        partial(build_module, comparison.baseline, workload),
        partial(blank_module, comparison.arm, workload),
        arm_first=arm_first,
    )
    transfer(*modules)
    return in_turn(
        *(
            partial(candidate_of, arm, workload, module, input_BX)
            for arm, module in zip(arms, modules, strict=True)
        ),
        arm_first=arm_first,
    )


def build_reference(comparison: Comparison, baseline: Candidate) -> Candidate:
    """Build the float64 reference on the CPU: same function and weights, for the checked images.

    It uses the hand-written attention, so that a fused kernel is never compared with itself.
    """
    workload = replace(comparison.workload, device="cpu")
    arm = Arm(attention="manual", precision="fp64")
    module = copy_weights(baseline.module, arm, workload, torch.float64)
    (input_BX,) = baseline.inputs.args
    return candidate_of(arm, workload, module, input_BX[:1] if baseline.one_image else input_BX)


@dataclass(frozen=True)
class Expected:
    """Output of the float64 reference, and in training its gradients, on the CPU."""

    output: Tensor
    gradients: Leaves | None


def expected_of(comparison: Comparison, baseline: Candidate) -> Expected:
    """Compute what every arm of a workload with the baseline's weights and input should return."""
    reference = build_reference(comparison, baseline)
    if comparison.workload.mode == "train":
        return Expected(*reference.output_and_gradients())
    return Expected(reference.output(), None)


def agreement_with(expected: Expected, arm: Candidate) -> Agreement:
    """Compare an arm's output, and in training its gradients, with the expected ones."""
    gradient: float | None = None
    if expected.gradients is not None:
        output, gradients = arm.output_and_gradients()
        gradient = gradient_error(gradients, expected.gradients)
    else:
        output = arm.output()
    errors = {"output": relative_error(output, expected.output), "gradient": gradient}
    return Agreement(
        output_error=errors["output"],
        gradient_error=gradient,
        largest_error=float((output - expected.output).abs().max()),
        error=beyond_tolerance(arm.arm.precision, errors),
    )


def check(comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
    """Compare an arm with the float64 reference of its baseline's weights and input."""
    return agreement_with(expected_of(comparison, baseline), arm)
