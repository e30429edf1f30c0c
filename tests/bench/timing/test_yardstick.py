"""bench.timing.yardstick: frozen, correct, and measured beside every comparison of vitcore."""

import hashlib
import inspect

import torch
from torch import nn

from bench.timing import yardstick
from bench.timing.yardstick import Yardstick, YardstickTimes

# A change breaks every history: give a new yardstick a name of its own instead.
FROZEN = "a9ee437b92b009e5"


def test_yardstick_is_frozen() -> None:
    """The code is unchanged, apart from docstrings."""
    lines = inspect.getsource(Yardstick).splitlines()
    code = [line for line in lines if line.strip() and '"""' not in line]
    assert hashlib.sha256("\n".join(code).encode()).hexdigest()[:16] == FROZEN


def test_yardstick_is_an_encoder_block() -> None:
    """It has the parameters of a ViT-B block (the article's table) and a block's result."""
    block, x_BND = yardstick._ready("cpu")
    assert sum(each.numel() for each in block.parameters()) == 2 * 1_536 + 2_362_368 + 4_722_432
    norm, attend = block.norm_0, block.multihead_attention
    assert isinstance(norm, nn.LayerNorm)
    with torch.inference_mode():
        q_BND, k_BND, v_BND = torch.nn.functional.linear(
            norm(x_BND), attend.in_proj_weight, attend.in_proj_bias
        ).chunk(3, dim=-1)
        q_BHNE, k_BHNE, v_BHNE = (
            each.unflatten(-1, (12, 64)).transpose(1, 2) for each in (q_BND, k_BND, v_BND)
        )
        weights_BHNN = (q_BHNE @ k_BHNE.transpose(-1, -2) / 8).softmax(-1)
        mixed_BND = (weights_BHNN @ v_BHNE).transpose(1, 2).flatten(2)
        y_BND = x_BND + attend.out_proj(mixed_BND)
        torch.testing.assert_close(block(x_BND), y_BND + block.mlp(block.norm_1(y_BND)))


def test_yardstick_is_seeded() -> None:
    """Weights and input are seeded; the caller's random state is unchanged."""
    torch.manual_seed(7)
    expected = torch.rand(1)
    yardstick._ready.cache_clear()
    torch.manual_seed(7)
    _, first_BND = yardstick._ready("cpu")
    assert torch.rand(1) == expected
    yardstick._ready.cache_clear()
    assert torch.equal(first_BND, yardstick._ready("cpu")[1])


class Stick(YardstickTimes):
    """A yardstick of known times, beside a clock that a test moves."""

    def __init__(self, *times_s: float) -> None:
        self.at_s, self.left = 0.0, list(times_s)
        super().__init__("cpu", now_s=lambda: self.at_s)

    def _call_s(self) -> float:
        return self.left.pop(0)


def test_it_is_timed_among_the_rounds_and_no_less_than_three_times() -> None:
    """Rounds a moment apart share a call; what is lacking in the end is made then."""
    stick = Stick(5.0, 1.0, 3.0, 9.0)
    for stick.at_s, left in ((1.0, 4), (3.0, 3), (4.0, 3), (6.5, 2)):
        stick.between_rounds()
        assert len(stick.left) == left
    assert stick.median_s() == 3.0
    assert len(stick.left) == 1
    stick.at_s = 10.0
    stick.between_rounds()
    assert stick.median_s() == 4.0


def test_a_call_takes_measurable_time() -> None:
    """The yardstick takes a positive time in seconds."""
    assert 0 < YardstickTimes("cpu").median_s() < 60
