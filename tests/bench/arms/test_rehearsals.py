"""bench.arms.candidate: a rehearsal runs the work and leaves the state unchanged."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.arms.building import build_candidate
from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.records.comparison import Arm, Workload
from bench.suite.grid import LEVELS
from helpers.records import make_workload

ON_CPU = [each for each in LEVELS["precision"] if each != "tf32"]


def candidate(mode: str, work: Any = None, **levels: str) -> Candidate:
    """A small block, or another module, as an arm."""
    if work is None:
        small = make_workload(component="block", variant="B/32", image_size=32, mode=mode)
        return build_candidate(Arm(**levels), small)
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="given")
    return Candidate(Arm(**levels), workload, work, Inputs(args=(torch.ones(2, 3),)))


def state(arm: Candidate) -> dict[str, Any]:
    """Weights, buffers, gradients, and the state of optimizer and scaler."""
    parameters = dict(arm.module.named_parameters())
    return deepcopy(
        {
            **arm.module.state_dict(),
            "gradients": [name for name, each in parameters.items() if each.grad is not None],
            "optimizer": [each.double().sum().item() for each in arm.optimizer_state()],
            "scale": arm.scaler.get_scale(),
        }
    )


def check_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare two states, tensors bit by bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        same = (
            torch.equal(found[name], value) if isinstance(value, Tensor) else found[name] == value
        )
        assert same, name


@pytest.mark.parametrize("precision", ON_CPU)
@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("is_new", [True, False])
def test_nothing_is_changed(mode: str, precision: str, *, is_new: bool) -> None:
    """A rehearsal changes neither weights nor optimizer state, before or after a first step."""
    arm = candidate(mode, precision=precision)
    if not is_new:
        arm()
        arm.forget_gradients()
    before = state(arm)
    arm.rehearse()
    check_equal(state(arm), before)


@pytest.mark.parametrize("optimizer", LEVELS["optimizer"])
def test_a_rehearsal_does_not_change_later_steps(optimizer: str) -> None:
    """Two arms, one of them rehearsed, learn the same."""
    arms = [candidate("train", optimizer=optimizer) for _ in range(2)]
    before = state(arms[0])
    arms[0].rehearse()
    for arm in arms:
        arm()
    check_equal(state(arms[0]), state(arms[1]))
    assert any(
        not torch.equal(before[name], value) for name, value in arms[0].module.state_dict().items()
    )


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_the_work_is_done_once(mode: str) -> None:
    """A rehearsal runs the work once, in inference mode or with gradients like the timed call."""
    seen: list[bool] = []

    class Seeing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
            seen.append(torch.is_inference_mode_enabled())
            return super().forward(input)

    candidate(mode, Seeing(3, 3)).rehearse()
    assert seen == [mode == "forward"]


def test_a_rehearsal_clears_the_gradient_of_the_input() -> None:
    """The gradient of a plain function's input is cleared afterwards."""
    arm = candidate("train", torch.tanh)
    arm.rehearse()
    assert arm.inputs.args[0].grad is None


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_rehearsal_runs_the_pinned_kernel(mode: str) -> None:
    """A rehearsal uses the arm's pinned kernel and restores the choice."""
    seen: list[bool] = []

    class Seeing(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
            seen.append(torch.backends.cuda.flash_sdp_enabled())
            return super().forward(input)

    arm = candidate(mode, Seeing(3, 3), kernel="math")
    arm.rehearse()
    arm()
    arm.outputs()
    arm.outputs_and_gradients()
    assert seen == [False] * 4
    assert torch.backends.cuda.flash_sdp_enabled()
