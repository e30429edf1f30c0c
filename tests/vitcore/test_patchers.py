"""vitcore.patchers against a loop over patches; P patch rows and columns."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vitcore.config import PATCHERS, ViTConfig
from vitcore.patchers import Patcher, build_patcher


def randomised(config: ViTConfig) -> Patcher:
    """Build a float64 patcher with random weights and biases."""
    torch.manual_seed(0)
    patcher = build_patcher(config).double()
    for parameter in patcher.parameters():
        nn.init.normal_(parameter)
    return patcher


def oracle(patcher: Patcher, config: ViTConfig, image_BCHW: Tensor) -> Tensor:
    """Project each patch alone: left to right, then top to bottom."""
    size, values = config.patch_size, dict(patcher.named_parameters())
    weight_DCPP = values["projection.weight"].reshape(-1, config.channels, size, size)
    rows, columns = config.grid_hw
    x_BND = image_BCHW.new_empty(len(image_BCHW), config.patches, config.width)
    for image, image_CHW in enumerate(image_BCHW):
        for row in range(rows):
            for column in range(columns):
                below, right = row * size, column * size
                patch_CPP = image_CHW[:, below : below + size, right : right + size]
                token_D = (weight_DCPP * patch_CPP).sum((1, 2, 3)) + values["projection.bias"]
                x_BND[image, row * columns + column] = token_D
    return x_BND


@st.composite
def configs(draw: st.DrawFn) -> ViTConfig:
    """Draw small sizes, with one row, one column and one pixel among them."""
    size, rows, columns = (draw(st.integers(1, 4)) for _ in range(3))
    return ViTConfig(
        image_size=(rows * size, columns * size),
        patch_size=size,
        channels=draw(st.integers(1, 3)),
        width=draw(st.integers(1, 5)),
        heads=1,
        patcher=draw(st.sampled_from(PATCHERS)),
    )


@given(config=configs(), batch=st.integers(1, 3), channels_last=st.booleans())
@settings(deadline=None)
def test_patcher_equals_a_loop_over_patches(
    config: ViTConfig, batch: int, *, channels_last: bool
) -> None:
    """Every patcher projects the same patches in the same order, for any sizes and layout."""
    patcher = randomised(config)
    image_BCHW = torch.randn(batch, config.channels, *config.image_hw, dtype=torch.float64)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    image_BCHW = image_BCHW.to(memory_format=layout)
    expected_BND = oracle(patcher, config, image_BCHW)
    torch.testing.assert_close(patcher(image_BCHW), expected_BND, rtol=0, atol=1e-12)
