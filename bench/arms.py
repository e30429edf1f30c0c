"""Arms made ready to run: the one place where the suite builds parts of vitcore.

Axes: B batch, C channels, H and W image rows and columns, N tokens, D token width, L classes,
X the axes of an input or output that may be any of these.
"""

import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cases import config_for
from bench.record import Arm, Comparison, Workload
from vitcore.attention import build_attention
from vitcore.blocks import EncoderBlock
from vitcore.config import ViTConfig
from vitcore.model import ViT, initialise
from vitcore.patchers import build_patcher
from vitcore.weights import canonical, transfer

_COMPONENTS: dict[str, Callable[[ViTConfig], nn.Module]] = {
    "patcher": build_patcher,
    "attention": build_attention,
    "block": EncoderBlock,
    "model": ViT,
}
Context = Callable[[], AbstractContextManager[object]]
_AUTOCAST = {"amp_bf16": torch.bfloat16, "amp_fp16": torch.float16}
# GradScaler's own start of 2**16 overflows float16 in the first steps, which it would skip.
_LOSS_SCALE = 2.0**10


class UnavailableError(RuntimeError):
    """The arm cannot run on this machine; the message says what to install or change."""


def missing_compiler() -> str | None:
    """Why torch.compile cannot work here, with the remedy; None where it can."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler):
        return None
    return (
        f"no C++ compiler: {compiler!r} is not on the PATH; install one "
        "(Debian: apt-get install g++) or name yours in CXX"
    )


@contextmanager
def _tf32() -> Iterator[None]:
    """TF32 products inside, full float32 products again afterwards."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        pin_precision()


def pin_precision() -> None:
    """Full float32 products everywhere, so that fp32 means fp32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _autocast(precision: str, device: str) -> Context:
    if precision in _AUTOCAST:
        return partial(torch.autocast, device, dtype=_AUTOCAST[precision])
    return nullcontext


def random_inputs(workload: Workload) -> Tensor:
    """Standard normal input of a workload, float32 on the CPU: image_BCHW or x_BND."""
    config = config_for(workload)
    generator = torch.Generator().manual_seed(zlib.crc32(str(workload).encode()))
    if workload.component in ("patcher", "model"):
        shape: tuple[int, ...] = (workload.batch_size, config.channels, *config.image_hw)
    else:
        shape = (workload.batch_size, config.tokens, config.width)
    return torch.randn(shape, generator=generator)


def build_module(arm: Arm, workload: Workload) -> nn.Module:
    """Build an arm's module with seeded random weights, float32 on the workload's device.

    One-dimensional parameters are moved off their constants: zero biases would hide a mistake.
    """
    config = config_for(workload, patcher=arm.patcher, attention=arm.attention)
    gpus = [0] if workload.device == "cuda" else []
    with torch.random.fork_rng(gpus), torch.device(workload.device), torch.no_grad():
        torch.manual_seed(0)
        module = _COMPONENTS[workload.component](config).apply(initialise)
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return module


def copy_weights(source: nn.Module, arm: Arm, workload: Workload, dtype: torch.dtype) -> nn.Module:
    """Build another arm's module with the weights of ``source``, on the workload's device."""
    module = build_module(arm, workload).to(dtype)
    transfer(source, module)
    return module


class Candidate:
    """An arm ready to run: calling it does the timed work once.

    ``forward`` is one call under inference mode; ``train`` is one step: forward, loss, backward,
    AdamW.
    """

    def __init__(self, arm: Arm, workload: Workload, module: nn.Module, input_BX: Tensor) -> None:
        first = next(module.parameters())
        dtype = torch.bfloat16 if arm.precision == "bf16" else first.dtype
        train = workload.mode == "train"
        self.module = module.to(device=workload.device, dtype=dtype).train(train)
        self.input_BX = input_BX.to(device=workload.device, dtype=dtype)
        # A GPU's batch would take the reference on the CPU minutes: there one image is checked.
        self.checked = slice(1 if workload.device == "cuda" else None)
        self.loss = _cross_entropy if workload.component == "model" else _half_mean_square
        self.autocast = _autocast(arm.precision, workload.device)
        # Autocast is for the forward pass alone; TF32 is for the products of backward too.
        self.products: Context = _tf32 if arm.precision == "tf32" else nullcontext
        self.scaler = torch.GradScaler(
            workload.device, init_scale=_LOSS_SCALE, enabled=arm.precision == "amp_fp16"
        )
        step = self._train if train else self._forward
        self.step = _tf32()(step) if arm.precision == "tf32" else step
        if train:
            self.optimizer = torch.optim.AdamW(self.module.parameters())
        _compile(self.module, arm.compile)

    def __call__(self) -> object:
        """Do the timed work once."""
        return self.step()

    def output(self) -> Tensor:
        """The checked images' output, float64 on the CPU, as a forward call computes it."""
        with self.products():
            return self._forward()[self.checked].double().cpu()

    def output_and_gradients(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The checked images' output and their gradients by canonical name, float64, CPU."""
        self.module.zero_grad(set_to_none=True)
        with self.products():
            with self.autocast():
                out_BX = self.module(self.input_BX[self.checked])
                loss = self.loss(out_BX)
            self.scaler.scale(loss).backward()
        scale = self.scaler.get_scale()
        gradients = {
            name: parameter.grad.double().cpu() / scale
            for name, parameter in self.module.named_parameters()
            if parameter.grad is not None
        }
        self.module.zero_grad(set_to_none=True)
        return out_BX.detach().double().cpu(), canonical(gradients)

    def _forward(self) -> Tensor:
        with torch.inference_mode(), self.autocast():
            out_BX: Tensor = self.module(self.input_BX)
        return out_BX

    def _train(self) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.loss(self.module(self.input_BX))
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss


def _cross_entropy(logits_BL: Tensor) -> Tensor:
    """The classifier's loss; the labels count through the classes."""
    label_B = torch.arange(len(logits_BL), device=logits_BL.device) % logits_BL.shape[1]
    return F.cross_entropy(logits_BL, label_B)


def _half_mean_square(x_BND: Tensor) -> Tensor:
    """A loss for a part of the model, at least float32 as autocast would have it."""
    wide = torch.promote_types(x_BND.dtype, torch.float32)
    return x_BND.to(wide).square().mean() / 2


def _compile(module: nn.Module, how: str) -> None:
    """Compile in place; each shape gets its own code, so that a check never slows the timing."""
    if how == "eager":
        return
    if reason := missing_compiler():
        raise UnavailableError(reason)
    torch.compiler.reset()
    blocks = getattr(module, "blocks", [module]) if how == "compile_blocks" else [module]
    for part in blocks:
        part.compile(dynamic=False)


def build_pair(comparison: Comparison) -> tuple[Candidate, Candidate]:
    """Build baseline and candidate with equal weights and inputs.

    Raises UnavailableError where this machine cannot run one of them.
    """
    workload = comparison.workload
    input_BX = random_inputs(workload)
    module = build_module(comparison.baseline, workload)
    copied = copy_weights(module, comparison.arm, workload, torch.float32)
    return (
        # Inputs are equal but not shared: the second call must not find the first one's in cache.
        Candidate(comparison.baseline, workload, module, input_BX.clone()),
        Candidate(comparison.arm, workload, copied, input_BX),
    )


def build_reference(comparison: Comparison, baseline: Candidate) -> Candidate:
    """The same function and weights in float64 on the CPU, for the images that are checked.

    Attention is the hand-written one, so that no fused kernel is its own judge.
    """
    workload = replace(comparison.workload, device="cpu")
    arm = Arm(attention="manual")
    module = copy_weights(baseline.module, arm, workload, torch.float64)
    return Candidate(arm, workload, module, baseline.input_BX[baseline.checked].double())
