"""bench.costs.top1: a trained model, and the share of digits that an arm reads alike."""

import sys
from itertools import product
from typing import Any

import pytest
import torch

from bench.costs import top1 as digits
from bench.costs.top1 import top1_agreement, trained
from bench.records.comparison import Arm
from bench.records.errors import InputError
from vitcore.config import ATTENTIONS, PATCHERS


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """State of a process before the model's training; training takes one epoch."""
    monkeypatch.setattr(digits, "trained", trained.__wrapped__)
    monkeypatch.setattr(digits, "_answers", digits._answers.__wrapped__)
    monkeypatch.setattr(digits, "_EPOCHS", 1)


def test_the_model_reads_digits_that_it_never_saw() -> None:
    """The model reads at least 93 % of held-out digits correctly."""
    known = trained()
    with torch.inference_mode():
        right_B = known.model(known.image_BCHW).argmax(1) == known.digit_B
    assert len(right_B) == 360
    assert right_B.double().mean() >= 0.93


def test_it_is_trained_once() -> None:
    """A second request in a process returns the same model."""
    assert trained() is trained()


@pytest.mark.parametrize(("patcher", "attention"), list(product(PATCHERS, ATTENTIONS)))
def test_arms_in_float32_agree(patcher: str, attention: str) -> None:
    """Every patcher and attention reads every digit as float64 does with the same weights."""
    assert top1_agreement(Arm(patcher=patcher, attention=attention), "cpu") == 1.0


@pytest.mark.parametrize(
    "levels",
    [
        {"kernel": "math"},
        {"attention": "mha", "kernel": "no_fast_path"},
        {"layout": "channels_last"},
    ],
    ids=lambda levels: "-".join(levels.values()),
)
def test_pinned_kernels_and_layouts_agree(levels: dict[str, Any]) -> None:
    """Pinned kernels and layouts give the same answers."""
    assert top1_agreement(Arm(**levels), "cpu") == 1.0


@pytest.mark.parametrize("precision", ["bf16", "amp_bf16"])
def test_arms_in_bfloat16_nearly_agree(precision: str) -> None:
    """The agreement is a share close to 1."""
    assert 0.95 <= top1_agreement(Arm(precision=precision), "cpu") <= 1.0


def test_answers_differ_where_weights_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that reads all digits as zeros agrees on the zeros alone."""
    expected_B = digits._read(Arm(attention="manual", precision="fp64"), "cpu")
    wrong = Arm(attention="mha")
    answers = {wrong: torch.zeros_like(expected_B)}
    monkeypatch.setattr(digits, "_answers", lambda arm, _: answers.get(arm, expected_B))
    assert top1_agreement(wrong, "cpu") == float((expected_B == 0).double().mean())
    assert 0.05 < top1_agreement(wrong, "cpu") < 0.15


def test_training_levels_share_their_answers() -> None:
    """Arms that differ in training only share one set of answers, computed once."""
    arm = Arm(checkpoint="blocks", optimizer="sgd", factory="a.py:f")
    assert digits._read(arm, "cpu") is digits._read(Arm(), "cpu")


@pytest.mark.usefixtures("untrained")
def test_the_caller_is_left_as_it_was() -> None:
    """The caller's random state, threads and gradient mode are restored."""
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    top1_agreement(Arm(), "cpu")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


@pytest.mark.usefixtures("untrained")
def test_inside_inference_mode_it_is_trained_alike() -> None:
    """Training inside inference mode gives the same weights, usable afterwards."""
    expected = digits.trained()
    with torch.inference_mode():
        found = digits.trained()
        assert 0 < top1_agreement(Arm(), "cpu") <= 1
    assert torch.equal(found.image_BCHW, expected.image_BCHW)
    for name, value in found.model.state_dict().items():
        assert torch.equal(value, expected.model.state_dict()[name]), name
    assert not any(each.is_inference() for each in found.model.parameters())


@pytest.mark.usefixtures("untrained")
def test_without_scikit_learn_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the images the error names the package, and the thread count is kept."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    threads = torch.get_num_threads()
    with pytest.raises(InputError, match=r"scikit-learn's digits; install vitbench\[digits\]"):
        top1_agreement(Arm(), "cpu")
    assert torch.get_num_threads() == threads
