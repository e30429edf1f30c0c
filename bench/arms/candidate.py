"""A candidate: an arm ready to run a forward call or a training step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.arms.compiling import compile_in_place
from bench.arms.inputs import Inputs
from bench.arms.levels import (
    Context,
    Loss,
    autocast,
    checkpoint_blocks,
    dtype_of,
    half_mean_squares,
    lay_out,
    optimizer_of,
    pinned_kernel,
    tf32,
)
from bench.arms.tensors import Leaves, dense, leaves, named
from bench.arms.trees import opaque
from bench.records.comparison import OWN, Arm, Workload

Work = Callable[..., object]

# GradScaler's default of 2**16 overflows float16 in the first steps, and it skips such steps.
_LOSS_SCALE = 2.0**10


@contextmanager
def seeded(device: str) -> Iterator[None]:
    """Seed the random generators inside the block and restore the caller's state afterwards."""
    with torch.random.fork_rng([0] if device == "cuda" else []):
        torch.manual_seed(0)
        yield


class Candidate:
    """An arm ready to run: a call does the timed work once.

    ``work`` is a module, which is moved to the workload's device and the precision's type, or any
    other callable, which stays as it is. Mode ``forward`` is one call under inference mode; mode
    ``train`` is one step: forward, loss, backward, optimizer. Without trainable parameters the
    gradients go to the inputs. Each candidate copies its inputs, so that it cannot find another
    arm's in the cache. With ``one_image`` only the first image of the batch is checked.
    """

    def __init__(
        self,
        arm: Arm,
        workload: Workload,
        work: Work,
        inputs: Inputs,
        *,
        loss: Loss | None = None,
        one_image: bool = False,
    ) -> None:
        self.arm, self.work, self.workload = arm, work, workload
        self.device = workload.device
        self.loss, self.one_image = loss or half_mean_squares, one_image
        self.module = work if isinstance(work, nn.Module) else nn.Module()
        # Objects of the last output that hold tensors but are not looked into.
        self.opaque: str | None = None
        self._prepare(inputs, train=workload.mode == "train")
        # Autocast covers the forward pass only; TF32 also covers the products of backward.
        self.autocast = autocast(arm.precision, self.device)
        self.products: Context = tf32 if arm.precision == "tf32" else nullcontext
        self.kernel = pinned_kernel(arm.kernel)
        self.scaler = torch.GradScaler(
            self.device, init_scale=_LOSS_SCALE, enabled=arm.precision == "amp_fp16"
        )
        self.trains = workload.mode == "train"
        step: Callable[[], object] = self._train if self.trains else self._call
        self.step = step
        for pin in (self.products, self.kernel):
            if pin is not nullcontext:
                self.step = _inside(pin, self.step)
        if self.trains and arm.checkpoint == "blocks":
            checkpoint_blocks(self.module)
        compile_in_place(self.module, arm.compile)

    def __call__(self) -> None:
        """Do the timed work once."""
        with self.surroundings():
            self.once()

    def surroundings(self) -> AbstractContextManager[object]:
        """Return the context around calls of ``once``, entered once, outside the timed calls."""
        return nullcontext() if self.trains else torch.inference_mode()

    def once(self) -> None:
        """Do the timed work once, inside ``surroundings``.

        The result is dropped here, so that every arm's time includes freeing it, whether or not
        the timer keeps return values.
        """
        self.step()

    def touch_inputs(self) -> None:
        """Read the inputs, so that they are in the cache as if a layer before had written them."""
        for memory in self.memories:
            # A copy reads tensors of every type and layout.
            memory.detach().clone()

    def outputs(self) -> Leaves:
        """Return every tensor of a forward call's output by its path, on the CPU."""
        with seeded(self.device), self.products(), self.kernel():
            return self._detached(self._forward())

    def outputs_and_gradients(self) -> tuple[Leaves, Leaves]:
        """Return the outputs of a training step and its gradients by name, float64, on the CPU."""
        inputs = self.inputs.map(lambda value: value[:1]) if self.one_image else self.inputs
        with seeded(self.device), self.products(), self.kernel():
            output, _ = self._forward_backward(inputs)
        gradients = self._gradients()
        self.forget_gradients()
        return self._detached(output), gradients

    def rehearse(self) -> None:
        """Do the work once without changing the weights: training skips the optimizer's step."""
        if not self.trains:
            self()
            return
        with self.products(), self.kernel():
            self._forward_backward(self.inputs)
        self.forget_gradients()

    def output(self) -> Tensor:
        """Return the output of an arm that returns one tensor, float64 on the CPU."""
        (only,) = self.outputs().values()
        return only.double()

    def output_and_gradients(self) -> tuple[Tensor, Leaves]:
        """Return the single output tensor of an arm and its gradients, float64 on the CPU."""
        outputs, gradients = self.outputs_and_gradients()
        (only,) = outputs.values()
        return only.double(), gradients

    def optimizer_state(self) -> Iterator[Tensor]:
        """Iterate over the tensors that the optimizer keeps between steps."""
        states: Any = self.optimizer.state.values() if self.optimizer else ()
        return (each for state in states for each in state.values() if isinstance(each, Tensor))

    def _prepare(self, inputs: Inputs, *, train: bool) -> None:
        dtype = dtype_of(self.arm.precision)
        _move(self.module, self.device, dtype)
        if self.arm.precision == OWN:
            # Inputs take the type of the module's parameters; a plain function gets them unchanged.
            dtype = _dtype_for(self.module, inputs)
        self.module.train(train)
        lay_out(self.module, self.arm.layout)
        own: Leaves = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.inputs = inputs.copied(
            self.device, dtype, layout=self.arm.layout, needs_grad=train and not own
        )
        self.memories = self.inputs.memories()
        # Inputs, and all tensors, that receive gradients, by name.
        self.given = {n: t for n, t in self.inputs.tensors().items() if t.requires_grad}
        self.trainable = {**own, **self.given}
        step = train and bool(own)
        self.optimizer = optimizer_of(self.arm.optimizer, own.values()) if step else None

    def _detached(self, output: object) -> Leaves:
        """Copy the output: a later call may write to the very tensors that this one returned."""
        found = [(place, dense(leaf)) for place, leaf in leaves(output, "output")]
        self.opaque = opaque(output, "output")
        checked = ((place, leaf[:1] if self.one_image else leaf) for place, leaf in found)
        return {place: leaf.detach().to("cpu", copy=True) for place, leaf in checked}

    def _gradients(self) -> Leaves:
        """Return gradients without the loss scale; a tensor without a gradient counts as zero."""
        scale = self.scaler.get_scale()
        found = {
            name: torch.zeros_like(each) if each.grad is None else each.grad
            for name, each in self.trainable.items()
        }
        return named({name: each.double().cpu() / scale for name, each in found.items()})

    def forget_gradients(self) -> None:
        """Free every gradient."""
        if self.optimizer:
            self.optimizer.zero_grad(set_to_none=True)
        for each in self.given.values():
            each.grad = None

    def _forward(self) -> object:
        with torch.inference_mode(), self.autocast():
            return self.work(*self.inputs.args, **self.inputs.kwargs)

    def _call(self) -> object:
        if self.autocast is nullcontext:
            return self.work(*self.inputs.args, **self.inputs.kwargs)
        with self.autocast():
            return self.work(*self.inputs.args, **self.inputs.kwargs)

    def _forward_backward(self, inputs: Inputs) -> tuple[object, Tensor]:
        """Run forward, loss and backward; gradients stay in ``.grad`` for the optimizer."""
        self.forget_gradients()
        with self.autocast():
            output = self.work(*inputs.args, **inputs.kwargs)
            loss = self.loss(output)
        self.scaler.scale(loss).backward()
        return output, loss

    def _train(self) -> Tensor:
        _, loss = self._forward_backward(self.inputs)
        if self.optimizer:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss


def _move(module: nn.Module, device: str, dtype: torch.dtype | None) -> None:
    """Move a module to the device and convert its floating-point parameters and buffers.

    Complex tensors keep their type.
    """
    if any(each.device.type != device for each in (*module.parameters(), *module.buffers())):
        module.to(device)
    for tensor in [*module.parameters(), *module.buffers()]:
        if dtype and tensor.is_floating_point() and tensor.dtype != dtype:
            tensor.data = tensor.data.to(dtype)


def _inside(context: Context, step: Callable[[], object]) -> Callable[[], object]:
    """Wrap a step so that each call enters the context."""

    def inside() -> object:
        with context():
            return step()

    return inside


def _dtype_for(module: nn.Module, inputs: Inputs) -> torch.dtype | None:
    """Return the type that inputs take from a module; None where the user chose types for it."""
    dtype = next((each.dtype for each in module.parameters() if each.is_floating_point()), None)
    given = {each.dtype for each in inputs.tensors().values()}
    return None if dtype in given else dtype
