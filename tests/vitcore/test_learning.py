"""Training: a small ViT learns handwritten digits."""

from collections.abc import Iterator

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from vitcore import ViT, ViTConfig

DIGITS = ViTConfig(
    image_size=8,
    patch_size=2,
    channels=1,
    width=32,
    depth=2,
    heads=4,
    mlp_width=128,
    num_classes=10,
)


def digits() -> tuple[Tensor, Tensor]:
    """Return the 1797 images_BCHW of 8 x 8 grey pixels and their digits_B, shuffled."""
    data = load_digits()
    image_BCHW = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    order_B = torch.randperm(len(image_BCHW))
    return image_BCHW[order_B], torch.tensor(data.target)[order_B]


def train(model: ViT, image_BCHW: Tensor, digit_B: Tensor, epochs: int) -> None:
    """Train with AdamW under a one-cycle learning rate."""
    steps = epochs * -(-len(digit_B) // 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in range(epochs):
        for batch_B in torch.split(torch.randperm(len(digit_B)), 128):
            optimizer.zero_grad()
            logits_BL = model(image_BCHW[batch_B])
            torch.autograd.backward(nn.functional.cross_entropy(logits_BL, digit_B[batch_B]))
            optimizer.step()
            schedule.step()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch use one thread: layers this small gain nothing from more and may get slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_learns_digits() -> None:
    """After 15 epochs at least 90 % of 360 held-out digits are read correctly."""
    torch.manual_seed(0)
    image_BCHW, digit_B = digits()
    model = ViT(DIGITS)
    train(model.train(), image_BCHW[360:], digit_B[360:], epochs=15)
    with torch.no_grad():
        right_B = model.eval()(image_BCHW[:360]).argmax(1) == digit_B[:360]
    assert right_B.double().mean() >= 0.9
