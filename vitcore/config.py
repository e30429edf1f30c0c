"""Sizes and choices of a Vision Transformer: one frozen record, one table of variants."""

from dataclasses import dataclass
from typing import Any, Self

PATCHERS = ("unfold", "conv", "linear")
ATTENTIONS = ("mha", "mha_weights", "manual", "sdpa")
HEADS = ("linear", "mlp")

# Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", Table 1; the number behind the
# slash is the patch size in pixels.
_BASE = {"depth": 12, "width": 768, "mlp_width": 3072, "heads": 12}
_LARGE = {"depth": 24, "width": 1024, "mlp_width": 4096, "heads": 16}
_HUGE = {"depth": 32, "width": 1280, "mlp_width": 5120, "heads": 16}
VARIANTS: dict[str, dict[str, int]] = {
    "B/16": {**_BASE, "patch_size": 16},
    "B/32": {**_BASE, "patch_size": 32},
    "L/16": {**_LARGE, "patch_size": 16},
    "L/32": {**_LARGE, "patch_size": 32},
    "H/14": {**_HUGE, "patch_size": 14},
}


def known(kind: str, name: str, names: "tuple[str, ...] | dict[str, Any]") -> str:
    """Return ``name`` if it is one of ``names``; otherwise raise a ValueError that lists them."""
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(names)}")
    return name


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Definition of a ViT; ``__post_init__`` checks it.

    ``image_size`` is in pixels: one number for a square, or (height, width). ``width`` is the
    token width D, ``mlp_width`` the hidden width of the MLP. ``dropout`` acts where it acts
    in the paper (appendix B.1): after the position embedding and after every dense layer except the
    query, key and value projections.

    Raises ValueError if the sizes do not fit together or a name is unknown.
    """

    image_size: int | tuple[int, int] = 224
    patch_size: int = 16
    channels: int = 3
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_width: int = 3072
    num_classes: int = 1000
    head: str = "linear"
    patcher: str = "conv"
    attention: str = "sdpa"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        known("patcher", self.patcher, PATCHERS)
        known("attention", self.attention, ATTENTIONS)
        known("head", self.head, HEADS)
        self._check_positive()
        self._check_fit()

    @classmethod
    def from_name(cls, name: str, **changes: Any) -> Self:
        """Build the config of a variant such as ``"B/16"``, with any field changed by keyword."""
        sizes: dict[str, Any] = VARIANTS[known("variant", name, VARIANTS)]
        return cls(**{**sizes, **changes})

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of the image in pixels."""
        if isinstance(self.image_size, tuple):
            return self.image_size
        return self.image_size, self.image_size

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        height, width = self.image_hw
        return height // self.patch_size, width // self.patch_size

    @property
    def patches(self) -> int:
        """Number of patches in an image."""
        rows, columns = self.grid_hw
        return rows * columns

    @property
    def tokens(self) -> int:
        """Sequence length N inside the encoder: the patches and the class token."""
        return self.patches + 1

    @property
    def head_width(self) -> int:
        """Width K of one attention head."""
        return self.width // self.heads

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: channels x patch_size x patch_size."""
        return self.channels * self.patch_size**2

    def _check_positive(self) -> None:
        if isinstance(self.image_size, tuple) and len(self.image_size) != len(("height", "width")):
            raise ValueError(f"image_size is {self.image_size}; expected one number or two")
        sizes = ("patch_size", "channels", "width", "depth", "heads", "mlp_width", "num_classes")
        given = {name: getattr(self, name) for name in sizes}
        given |= {"image height": self.image_hw[0], "image width": self.image_hw[1]}
        for name, size in given.items():
            if type(size) is not int or size < 1:
                raise ValueError(f"{name} is {size!r}; expected a whole number of at least 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout!r}; expected at least 0 and less than 1")

    def _check_fit(self) -> None:
        for name, size in zip(("height", "width"), self.image_hw, strict=True):
            if size % self.patch_size:
                lower = size // self.patch_size * self.patch_size
                fitting = [str(fit) for fit in (lower, lower + self.patch_size) if fit]
                raise ValueError(
                    f"image {name} {size} is not a multiple of patch size {self.patch_size}; "
                    f"use {' or '.join(fitting)}"
                )
        if self.width % self.heads:
            fitting = [str(n) for n in range(1, self.width + 1) if self.width % n == 0]
            raise ValueError(
                f"{self.heads} heads do not divide width {self.width}; "
                f"fitting numbers of heads: {', '.join(fitting)}"
            )
