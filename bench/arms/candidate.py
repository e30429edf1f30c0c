"""A candidate: an arm ready to run a forward call or a training step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.arms.compiling import compile_in_place
from bench.arms.contents import Contents, contents_of
from bench.arms.inputs import Inputs
from bench.arms.kept_state import kept_state
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
from bench.arms.modes import ForwardMode, set_mode, settle_shapes
from bench.arms.preparing import dtype_for, move, pinned, seeded
from bench.arms.steps import TrainingRecord, Versions
from bench.arms.tensors import Leaves, dense, leaves, named
from bench.arms.trees import opaque
from bench.records.comparison import OWN, Arm, Workload

Work = Callable[..., object]

# GradScaler's default of 2**16 overflows float16 in the first steps, and it skips such steps.
_LOSS_SCALE = 2.0**10


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
        # What the work holds, and its modules as one.
        self.contents = contents_of(work)
        self.module = self.contents.module
        self.forward = ForwardMode()
        self.training = TrainingRecord()
        # Objects of the last output that hold tensors but are not looked into.
        self.opaque: str | None = None
        settle_shapes(work, self.module, inputs, self.device)
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
        self._bare_step = pinned(self._call, self.products, self.kernel)
        self.step = pinned(step, self.products, self.kernel)
        if self.trains and arm.checkpoint == "blocks":
            checkpoint_blocks(self.module)
        compile_in_place(self.module, arm.compile)

    def __call__(self) -> None:
        """Do the timed work once."""
        with self.surroundings():
            self.once()

    def surroundings(self) -> AbstractContextManager[object]:
        """Return the context around calls of ``once``, entered once, outside the timed calls.

        Gradients are off as far as the calls so far allowed it.
        """
        return nullcontext() if self.trains else self.forward.context()

    def once(self) -> None:
        """Do the timed work once, inside ``surroundings``.

        The result is dropped here, so that every arm's time includes freeing it, whether or not
        the timer keeps return values.
        """
        self.step()

    def touch_inputs(self) -> None:
        """Read the inputs, so that they are in the cache as if a layer before had written them."""
        with torch.no_grad():
            for memory in self.memories:
                # A copy reads tensors of every type and layout.
                memory.clone()

    def outputs(self) -> Leaves:
        """Return every tensor of a forward call's output by its path, on the CPU."""
        with self._kept(), seeded(self.device), self.products(), self.kernel():
            return self._detached(self.forward.tried(self._forward))

    def outputs_and_gradients(self) -> tuple[Leaves, Leaves]:
        """Return the outputs of a training step and its gradients by name, float64, on the CPU."""
        inputs = self.inputs.map(lambda value: value[:1]) if self.one_image else self.inputs
        with self._kept(), seeded(self.device), self.products(), self.kernel():
            output = self._observed(inputs)
            gradients = {} if self.training.is_own else self._gradients()
            self.forget_gradients()
        return self._detached(output), gradients

    def rehearse(self) -> None:
        """Do the work once without changing the weights: training skips the optimizer's step."""
        with self._kept():
            if not self.trains:
                self.forward.tried(self)
                return
            with self.products(), self.kernel():
                self._observed(self.inputs)
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
        move(self.module, self.device, dtype)
        if self.arm.precision == OWN:
            # Inputs take the type of the module's parameters; a plain function gets them unchanged.
            dtype = dtype_for(self.module, inputs)
        set_mode(self.module, train=train)
        lay_out(self.module, self.arm.layout)
        own: Leaves = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        own |= {f"tensor {index}": each for index, each in enumerate(self.contents.tensors)}
        self.own = own
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

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Put back buffers, and parameters where the arm may step them itself."""
        is_plain = isinstance(self.work, nn.Module) and not self.contents.optimizers
        buffers = Contents(tensors=tuple(self.module.buffers()))
        with kept_state(buffers if is_plain and not self.training.is_own else self.contents):
            yield

    def _observed(self, inputs: Inputs) -> object:
        """Run forward and backward, and find out what a step of training changes."""
        self.forget_gradients()
        versions = Versions(self.module, self.own)
        with self.autocast():
            output = self.work(*inputs.args, **inputs.kwargs)
        self.training = versions.record()
        if self.training.is_own:
            self.optimizer, self.step = None, self._bare_step
            return output
        with self.autocast():
            loss = self.loss(output)
        self.scaler.scale(loss).backward()
        self.training = versions.record()
        return output

    def _forward(self) -> object:
        context = torch.inference_mode() if self.trains else self.surroundings()
        with context, self.autocast():
            return self.work(*self.inputs.args, **self.inputs.kwargs)

    def _call(self) -> object:
        if self.autocast is nullcontext:
            return self.work(*self.inputs.args, **self.inputs.kwargs)
        with self.autocast():
            return self.work(*self.inputs.args, **self.inputs.kwargs)

    def _forward_backward(self) -> tuple[object, Tensor]:
        """Run forward, loss and backward; gradients stay in ``.grad`` for the optimizer."""
        self.forget_gradients()
        with self.autocast():
            output = self.work(*self.inputs.args, **self.inputs.kwargs)
            loss = self.loss(output)
        self.scaler.scale(loss).backward()
        return output, loss

    def _train(self) -> Tensor:
        _, loss = self._forward_backward()
        if self.optimizer:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return loss
