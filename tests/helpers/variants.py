"""A variant smaller than the published ones, for tests whose subject is not the size."""

from typing import Any

# An even number of heads, as the fast path of nn.MultiheadAttention demands.
TINY: dict[str, Any] = {"patch_size": 16, "depth": 2, "width": 256, "mlp_width": 1024, "heads": 4}
