"""Patchers: one token for each patch of an image, image_BCHW -> x_BND.

Axes: B batch, C channels, H and W image rows and columns, N patches, D token width,
V values in a patch (C x P x P for patch size P, in that order), h and w rows and columns of
patches.

All three have one ``projection`` whose weight holds the same numbers in the same order, so a
reshape converts the weights of one into those of another.
"""

from torch import Tensor, nn

from vitcore.config import ViTConfig

_IMAGE_AXES = 4


class Permute(nn.Module):
    """Swap the last two axes: x_BVN -> x_BNV."""

    def forward(self, x_BVN: Tensor) -> Tensor:
        return x_BVN.transpose(1, 2)


class CutPatches(nn.Module):
    """Cut an image into patches by views and one copy: image_BCHW -> x_BNV."""

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size

    def forward(self, image_BCHW: Tensor) -> Tensor:
        size = self.patch_size
        x_BChPwP = image_BCHW.unflatten(3, (-1, size)).unflatten(2, (-1, size))
        x_BhwCPP: Tensor = x_BChPwP.permute(0, 2, 4, 1, 3, 5)
        return x_BhwCPP.flatten(3).flatten(1, 2)


class Patcher(nn.Module):
    """Base of the patchers: rejects an image whose size is not the config's."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.image_shape = (config.channels, *config.image_hw)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return x_BND. Raises ValueError if channels, height or width are not the config's."""
        if tuple(image_BCHW.shape[-3:]) != self.image_shape or image_BCHW.dim() != _IMAGE_AXES:
            raise ValueError(
                f"image has shape {tuple(image_BCHW.shape)}; expected (batch, channels, height, "
                f"width) = (any, {', '.join(map(str, self.image_shape))}): resize the image or "
                "change the config"
            )
        return self.embed(image_BCHW)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        """Return x_BND for an image of the right size."""
        raise NotImplementedError


class UnfoldPatcher(Patcher):
    """nn.Unfold and nn.Linear."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.unfold = nn.Unfold(kernel_size=config.patch_size, stride=config.patch_size)
        self.permute = Permute()
        self.projection = nn.Linear(config.patch_values, config.width)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        x_BVN = self.unfold(image_BCHW)
        x_BNV = self.permute(x_BVN)
        x_BND: Tensor = self.projection(x_BNV)
        return x_BND


class ConvPatcher(Patcher):
    """nn.Conv2d whose stride equals its kernel size: the usual patcher."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        size = config.patch_size
        self.projection = nn.Conv2d(config.channels, config.width, size, stride=size)
        self.flatten = nn.Flatten(start_dim=2)
        self.permute = Permute()

    def embed(self, image_BCHW: Tensor) -> Tensor:
        x_BDhw = self.projection(image_BCHW)
        x_BDN = self.flatten(x_BDhw)
        x_BND: Tensor = self.permute(x_BDN)
        return x_BND


class LinearPatcher(Patcher):
    """A reshape and nn.Linear: no im2col, no convolution."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.cut = CutPatches(config.patch_size)
        self.projection = nn.Linear(config.patch_values, config.width)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        x_BNV = self.cut(image_BCHW)
        x_BND: Tensor = self.projection(x_BNV)
        return x_BND


_PATCHERS: dict[str, type[Patcher]] = {
    "unfold": UnfoldPatcher,
    "conv": ConvPatcher,
    "linear": LinearPatcher,
}


def build_patcher(config: ViTConfig) -> Patcher:
    """Build the patcher that the config names."""
    return _PATCHERS[config.patcher](config)
