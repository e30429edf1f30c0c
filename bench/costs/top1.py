"""Top-1 agreement of an arm with float64, on handwritten digits and a small trained ViT.

The relative error on random numbers says little about classification. The images are
scikit-learn's 1797 of 8 x 8 pixels; the model is trained here, in seconds, without a download.

Axes: B batch, C channels, H and W image rows and columns, L classes.
"""

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.arms.preparing import seeded
from bench.records.comparison import Arm, Workload
from bench.records.errors import InputError
from vitcore.config import ViTConfig
from vitcore.model import ViT
from vitcore.weights import transfer

CONFIG = ViTConfig(
    image_size=8,
    patch_size=2,
    channels=1,
    width=32,
    depth=2,
    heads=4,
    mlp_width=128,
    num_classes=10,
)
_HELD_OUT = 360
# Fewer epochs reach less than 95 % accuracy; 40 take twice the time for 0.5 % more.
_EPOCHS = 18
_BATCH = 128
_WORKLOAD = Workload(component="model", mode="forward", device="cpu")


@dataclass(frozen=True)
class Digits:
    """A trained model, held-out images_BCHW and their digits_B."""

    model: ViT
    image_BCHW: Tensor
    digit_B: Tensor


@cache
def trained() -> Digits:
    """Train the model once per process; keep the caller's random state and threads.

    Raises InputError if scikit-learn, which has the images, is not installed.
    """
    threads = torch.get_num_threads()
    # More than one thread makes layers this small slower, if anything.
    torch.set_num_threads(1)
    try:
        with seeded("cpu"), torch.inference_mode(mode=False), torch.enable_grad():
            image_BCHW, digit_B = _digits()
            model = ViT(CONFIG).train()
            _train(model, image_BCHW[_HELD_OUT:], digit_B[_HELD_OUT:])
    finally:
        torch.set_num_threads(threads)
    return Digits(model.eval(), image_BCHW[:_HELD_OUT], digit_B[:_HELD_OUT])


def top1_agreement(arm: Arm, device: str) -> float:
    """Return the share of held-out digits that an arm and float64 classify alike."""
    expected_B = _read(Arm(attention="manual", precision="fp64"), "cpu")
    return float((_read(arm, device) == expected_B).double().mean())


def _read(arm: Arm, device: str) -> Tensor:
    # Settings of training do not change a prediction, and one cache entry is enough.
    return _answers(replace(arm, checkpoint="none", optimizer="adamw", factory=None), device)


@cache
def _answers(arm: Arm, device: str) -> Tensor:
    """Return the digits_B that an arm predicts."""
    known = trained()
    config = replace(CONFIG, patcher=arm.patcher, attention=arm.attention)
    with seeded("cpu"):
        model = ViT(config)
    transfer(known.model, model)
    workload = replace(_WORKLOAD, device=device)
    candidate = Candidate(arm, workload, model, Inputs(args=(known.image_BCHW,)))
    return candidate.output().argmax(1)


def _digits() -> tuple[Tensor, Tensor]:
    """Return all images_BCHW, from -1 to 1, and their digits_B, shuffled."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            "top-1 agreement needs scikit-learn's digits; install vitbench[digits]"
        ) from error
    data = load_digits()
    image_BCHW = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    order_B = torch.randperm(len(image_BCHW))
    return image_BCHW[order_B], torch.tensor(data.target)[order_B]


def _train(model: ViT, image_BCHW: Tensor, digit_B: Tensor) -> None:
    """Train with AdamW under a one-cycle learning rate."""
    steps = _EPOCHS * -(-len(digit_B) // _BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in range(_EPOCHS):
        for batch_B in torch.split(torch.randperm(len(digit_B)), _BATCH):
            optimizer.zero_grad()
            logits_BL = model(image_BCHW[batch_B])
            torch.autograd.backward(nn.functional.cross_entropy(logits_BL, digit_B[batch_B]))
            optimizer.step()
            schedule.step()
