"""What two outputs that differ have in common: where they agree, a factor, an order, a rounding.

Axes: I elements along one axis of an output, X all others.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

_BATCH_TOKENS_WIDTH = 3
# Fewer elements than this share that agree may do so by chance.
_LEAST_SHARE = 0.05
# Elements of the largest output whose order is searched: to sort more takes seconds.
_SORTED = 20_000_000
# Relative norm of the error that a product in half precision or TF32 explains.
_ROUNDING = 1e-2
_HALVES = {torch.bfloat16: "bfloat16", torch.float16: "float16"}


def wide(value: Tensor) -> Tensor:
    """Return a tensor in float64; a complex one as pairs of real numbers."""
    return (torch.view_as_real(value.resolve_conj()) if value.is_complex() else value).double()


def difference(value: Tensor, reference: Tensor) -> Tensor:
    """Return value - reference in float64, zero where both are equal, infinities included."""
    value, reference = wide(value), wide(reference)
    return torch.where(value == reference, 0.0, value - reference)


def nan_counts(value: Tensor, reference: Tensor) -> str | None:
    """Return how many elements of which arm are NaN; None without any."""
    own, others = int(value.isnan().sum()), int(reference.isnan().sum())
    if not own and not others:
        return None
    count = value.numel()
    text = f"{own} of {count} elements are NaN in the candidate, {others} in the baseline"
    where = _where(value.isnan() == reference.isnan())
    return text if where is None else f"{text}, different {where}"


def likeness(value: Tensor, reference: Tensor, limit: float) -> str | None:
    """Return what the candidate's output has in common with the baseline's, both of one shape.

    ``limit`` is the relative norm that counts as equal. None if no pattern was found.
    """
    found = islice(_likenesses(value, reference, limit), 1)
    return next(found, None)


def _likenesses(value: Tensor, reference: Tensor, limit: float) -> Iterator[str]:
    v, r = wide(value), wide(reference)
    if not v.numel() or not (v.isfinite().all() and r.isfinite().all()):
        return
    yield from _rounded(value, v, r)
    yield from _partly(v, r, limit)
    yield from _scaled(v, r, limit)
    yield from _reordered(v, r, limit)
    if float((v - r).norm()) <= _ROUNDING * float(r.norm()):
        yield "all over, about as products in TF32 or half precision would make it"


def _partly(v: Tensor, r: Tensor, limit: float) -> Iterator[str]:
    """Yield where the two differ, if they agree elsewhere."""
    size = float(r.square().mean().sqrt())
    same = (v - r).abs() <= limit / 10 * size
    share = float(same.double().mean())
    if not _LEAST_SHARE <= share < 1:
        return
    part = f"{100 * (1 - share):.2g} % of the elements"
    where = f"{at} ({part})" if (at := _where(same)) else f"in {part}"
    rest = float((v - r)[same].norm() / r[same].norm().clamp_min(1e-300))
    agrees = f"the rest agrees to {max(rest, 1e-16):.0e}"
    yield f"only {where}{_constant(v[~same], r[~same])}, {agrees}"


def _constant(v: Tensor, r: Tensor) -> str:
    """Return which arm holds zeros where the two differ."""
    zeros = [name for name, x in (("candidate", v), ("baseline", r)) if not x.any()]
    return f", where the {zeros[0]} is 0" if zeros else ""


def _where(same: Tensor) -> str | None:
    """Return the axes along which whole slices agree, and the indices of the others."""
    found: list[str] = []
    for axis in range(same.dim()):
        differ_I = ~same.movedim(axis, 0).reshape(same.shape[axis], -1).all(1)
        if differ_I.any() and not differ_I.all():
            name = _axis_name(axis, same.dim())
            found.append(f"{name} {_indices(differ_I)}")
    return f"at {' and '.join(found)}" if found else None


def _indices(chosen_I: Tensor) -> str:
    """Return indices as text: ``120 to 199 of 200``, ``3 of 8``, ``5 between 2 and 90 of 200``."""
    indices: list[int] = chosen_I.nonzero().flatten().tolist()
    first, last, count = indices[0], indices[-1], len(indices)
    if count == 1:
        return f"{first} of {len(chosen_I)}"
    if last - first + 1 == count:
        return f"{first} to {last} of {len(chosen_I)}"
    return f"{first} to {last} ({count} of {len(chosen_I)})"


def _axis_name(axis: int, axes: int) -> str:
    if axis == 0:
        return "row"
    if axis == axes - 1:
        return "channel"
    return "position" if axes == _BATCH_TOKENS_WIDTH else f"index of axis {axis}"


def _scaled(v: Tensor, r: Tensor, limit: float) -> Iterator[str]:
    """Yield the factor or the constant by which the two differ."""
    norm = float(r.norm())
    if not norm:
        return
    factor = float((v * r).sum()) / norm**2
    if factor and float((v - factor * r).norm()) <= limit * abs(factor) * norm:
        yield f"the candidate is {factor:.4g} times the baseline"
    shift = float((v - r).mean())
    if float((v - r - shift).norm()) <= limit * norm:
        yield f"the candidate is the baseline plus {shift:.4g}"


def _reordered(v: Tensor, r: Tensor, limit: float) -> Iterator[str]:
    """Yield the axis along which the candidate holds the baseline's values in another order."""
    if v.numel() > _SORTED:
        return
    most = limit * float(r.norm())
    if not math.isclose(float(v.norm()), float(r.norm()), rel_tol=limit):
        return
    if float((v.flatten().sort().values - r.flatten().sort().values).norm()) > most:
        return
    for axis in range(v.dim()):
        if float((_in_order(v, axis) - _in_order(r, axis)).norm()) <= most:
            name = _axis_name(axis, v.dim())
            yield f"the candidate holds the same in another order of {name}s"
    yield "the candidate holds the same values in other places"


def _in_order(x: Tensor, axis: int) -> Tensor:
    """Return the slices along an axis, sorted by their product with one vector."""
    x_IX = x.movedim(axis, 0).reshape(x.shape[axis], -1)
    weight_X = torch.linspace(1, 2, x_IX.shape[1], dtype=x.dtype).sin()
    return x_IX[(x_IX @ weight_X).argsort()]


def _rounded(value: Tensor, v: Tensor, r: Tensor) -> Iterator[str]:
    """Yield the type to which the candidate was rounded, where that explains the difference."""
    for dtype, name in _HALVES.items():
        is_rounded = torch.equal(v.to(dtype).double(), v)
        if is_rounded and value.dtype != dtype and not torch.equal(r.to(dtype).double(), r):
            error = float((v - r).norm() / r.norm().clamp_min(1e-300))
            if error <= 2 * torch.finfo(dtype).eps:
                yield f"the candidate's values are rounded to {name}"
