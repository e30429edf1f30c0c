"""A Vision Transformer from scratch whose patcher, attention and head can be swapped.

Read in this order: ``config``, ``patchers``, ``attention``, ``blocks``, ``model``; then ``weights``
(move one set of weights between arms) and ``costs`` (parameters and FLOPs by arithmetic).

``import vitcore`` does not import torch: the names that need it load on first use, so that
``vitcore.config`` and ``vitcore.costs`` also serve programs that never touch a tensor.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vitcore.config import VARIANTS, ViTConfig

if TYPE_CHECKING:
    from vitcore.attention import build_attention
    from vitcore.blocks import EncoderBlock, Mlp
    from vitcore.model import ViT
    from vitcore.patchers import build_patcher
    from vitcore.weights import transfer

_NEEDS_TORCH = {
    "EncoderBlock": "blocks",
    "Mlp": "blocks",
    "ViT": "model",
    "build_attention": "attention",
    "build_patcher": "patchers",
    "transfer": "weights",
}

__all__ = [
    "VARIANTS",
    "EncoderBlock",
    "Mlp",
    "ViT",
    "ViTConfig",
    "build_attention",
    "build_patcher",
    "transfer",
]


def __getattr__(name: str) -> Any:
    """Load a name that needs torch on first use (PEP 562)."""
    if name in _NEEDS_TORCH:
        return getattr(import_module(f"vitcore.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module 'vitcore' has no attribute {name!r}")
