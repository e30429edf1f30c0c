"""One set of weights for every arm: names and shapes that do not depend on the arm."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_CONV_AXES = 4


def canonical_name(name: str) -> str:
    """Return the name of a parameter that all arms share.

    nn.MultiheadAttention names it ``mha.in_proj_weight``, the other arms ``in_proj.weight``.
    """
    return name.replace("mha.", "").replace("in_proj_", "in_proj.")


def canonical(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return parameters, or their gradients, under canonical names and in canonical shapes.

    A convolution's weight (D, C, P, P) becomes the (D, C x P x P) of the equivalent
    Linear. Arms differ only by names and reshapes, so gradients map as weights do.
    """
    return {
        canonical_name(name): value.flatten(1) if value.dim() == _CONV_AXES else value
        for name, value in values.items()
    }


def _heads(module: nn.Module) -> list[int]:
    """Return the attention heads of every layer, which the shapes of weights do not show."""
    heads = (getattr(part, "heads", None) for part in module.modules())
    return [number for number in heads if isinstance(number, int)]


def _check_fit(source: nn.Module, target: nn.Module) -> None:
    have, want = canonical(source.state_dict()), canonical(target.state_dict())
    lacking = sorted(have.keys() ^ want.keys())
    if lacking:
        raise ValueError(
            f"weights cannot move: {lacking[0]!r} is in one model only ({len(lacking)} names are); "
            "expected two models with the same depth and head"
        )
    for name, value in have.items():
        if value.shape != want[name].shape:
            raise ValueError(
                f"weights cannot move: {name!r} is {tuple(value.shape)} in the source and "
                f"{tuple(want[name].shape)} in the target; expected models of equal size"
            )
    if _heads(source) != _heads(target):
        raise ValueError(
            f"weights cannot move: the source has {_heads(source)[0]} attention heads and the "
            f"target {_heads(target)[0]}; expected equal numbers"
        )


def transfer(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of ``source`` into ``target``, whatever patcher and attention each has.

    Afterwards both compute the same function. Device and dtype of ``target`` stay as they are.
    Raises ValueError, before anything is written, where the two are of different sizes.
    """
    _check_fit(source, target)
    values = canonical(source.state_dict())
    with torch.no_grad():
        for name, parameter in target.state_dict().items():
            parameter.copy_(values[canonical_name(name)].reshape(parameter.shape))


def tie(source: nn.Module, target: nn.Module) -> None:
    """Give ``target`` the very weights of ``source``, without copying, on its device and dtype.

    Both then compute the same function, and hold one set of weights. ``target`` may be on the meta
    device. Raises ValueError, before anything changes, where the two are of different sizes, or
    where no view of a weight has the target's shape (that of a channels-last convolution).
    """
    _check_fit(source, target)
    values = {canonical_name(name): value for name, value in source.state_dict().items()}
    tied = {
        name: _as_view(values[canonical_name(name)], name, value.shape)
        for name, value in target.state_dict().items()
    }
    target.load_state_dict(tied, assign=True)


def _as_view(value: Tensor, name: str, shape: torch.Size) -> Tensor:
    try:
        return value.view(shape)
    except RuntimeError as error:
        raise ValueError(
            f"weights cannot be shared: {name!r} is {tuple(value.shape)} in the source, of which "
            f"{tuple(shape)} is no view; expected contiguous weights"
        ) from error
