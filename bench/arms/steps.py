"""What a step of training changes: parameters and buffers, by the arm itself or by an optimizer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.arms.tensors import Leaves


@dataclass(frozen=True)
class TrainingRecord:
    """Parameters that a step changes, as numbers; buffers that a call changes, as tensors.

    ``is_own``: the call changes the parameters itself, with an optimizer of its own or by hand.
    """

    parameters: int = 0
    buffers: int = 0
    is_own: bool = False

    def __str__(self) -> str:
        """The record as text: ``steps 1,234 parameters and 3 buffers``."""
        buffers = f" and {self.buffers} buffers" if self.buffers else ""
        by_itself = " in the call itself" if self.is_own else ""
        return f"steps {self.parameters:,} parameters{buffers}{by_itself}"

    def against(self, baseline: "TrainingRecord") -> str | None:
        """Return how a step of the candidate differs from the baseline's; None if it does not."""
        if (self.parameters, self.is_own) == (baseline.parameters, baseline.is_own):
            return None
        return f"the candidate {self}, the baseline {baseline}"


class Versions:
    """The state of parameters and buffers before a call, to find those that it changes."""

    def __init__(self, module: nn.Module, own: Leaves) -> None:
        self._own, self._before = own, [_version(each) for each in own.values()]
        # Kernels write to statistics of batches without counting it as a change.
        self._buffers = [(each, each.detach().clone()) for each in module.buffers()]

    def record(self) -> TrainingRecord:
        """Return what has changed, or is about to be changed by an optimizer with gradients."""
        both = zip(self._own.values(), self._before, strict=True)
        changed = [each for each, before in both if _version(each) != before]
        stepped = changed or [each for each in self._own.values() if each.grad is not None]
        return TrainingRecord(
            parameters=sum(each.numel() for each in stepped),
            buffers=sum(not torch.equal(now, before) for now, before in self._buffers),
            is_own=bool(changed),
        )


def _version(value: Tensor) -> int:
    return 0 if value.is_inference() else value._version  # noqa: SLF001 (torch has no other name)
