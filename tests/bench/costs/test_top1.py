"""bench.costs.top1: a trained model, and how many arms read digits as it does."""

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
    """As in a process that has not trained the model yet; training takes one epoch."""
    monkeypatch.setattr(digits, "trained", trained.__wrapped__)
    monkeypatch.setattr(digits, "_answers", digits._answers.__wrapped__)
    monkeypatch.setattr(digits, "_EPOCHS", 1)


def test_the_model_reads_digits_that_it_never_saw() -> None:
    """At least 93 in 100, so that its answers are worth comparing."""
    known = trained()
    with torch.inference_mode():
        right_B = known.model(known.image_BCHW).argmax(1) == known.digit_B
    assert len(right_B) == 360
    assert right_B.double().mean() >= 0.93


def test_it_is_trained_once() -> None:
    """Whoever asks again in this process gets the same model."""
    assert trained() is trained()


@pytest.mark.parametrize(("patcher", "attention"), list(product(PATCHERS, ATTENTIONS)))
def test_arms_in_float32_agree(patcher: str, attention: str) -> None:
    """Every patcher and attention reads every digit as the same weights do in float64."""
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
def test_what_is_pinned_agrees(levels: dict[str, Any]) -> None:
    """Kernels and layouts are other ways to the same answers."""
    assert top1_agreement(Arm(**levels), "cpu") == 1.0


@pytest.mark.parametrize("precision", ["bf16", "amp_bf16"])
def test_arms_in_bfloat16_nearly_agree(precision: str) -> None:
    """It is a share, not far from all."""
    assert 0.95 <= top1_agreement(Arm(precision=precision), "cpu") <= 1.0


def test_answers_differ_where_weights_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that reads all digits as zeros agrees on the zeros alone."""
    expected_B = digits._read(Arm(attention="manual", precision="fp64"), "cpu")
    wrong = Arm(attention="mha")
    answers = {wrong: torch.zeros_like(expected_B)}
    monkeypatch.setattr(digits, "_answers", lambda arm, _: answers.get(arm, expected_B))
    assert top1_agreement(wrong, "cpu") == float((expected_B == 0).double().mean())
    assert 0.05 < top1_agreement(wrong, "cpu") < 0.15


def test_what_only_training_knows_makes_no_difference() -> None:
    """Such arms share one set of answers, which is read once."""
    arm = Arm(checkpoint="blocks", optimizer="sgd", factory="a.py:f")
    assert digits._read(arm, "cpu") is digits._read(Arm(), "cpu")


@pytest.mark.usefixtures("untrained")
def test_the_caller_is_left_as_it_was() -> None:
    """Random numbers go on as if nothing had happened, on as many threads, without gradients."""
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
    """Whoever asks from inside a measured call gets the same numbers, and can go on using them."""
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
    """Where the images are not installed nothing else is hurt, least of all the threads."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    threads = torch.get_num_threads()
    with pytest.raises(InputError, match=r"scikit-learn's digits; install vitbench\[digits\]"):
        top1_agreement(Arm(), "cpu")
    assert torch.get_num_threads() == threads
