"""Agreement of two arms: relative errors, tolerances of each precision, and reasons to reject."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.arms.differences import difference, likeness, nan_counts, wide
from bench.arms.tensors import Leaves
from bench.records.errors import Remedy
from bench.records.notes import Note

# Largest relative norm that rounding alone explains, for outputs and gradients of a whole model;
# an arm above it computes another function. Unit roundoffs: fp64 1e-16, fp32 6e-8, tf32 and fp16
# 5e-4, bf16 4e-3.
TOLERANCES = {
    "fp64": 1e-10,
    "fp32": 1e-4,
    "tf32": 2e-2,
    "amp_fp16": 2e-2,
    "fp16": 2e-2,
    "amp_bf16": 1e-1,
    "bf16": 1e-1,
}
_PRECISIONS = {
    torch.float64: "fp64",
    torch.complex128: "fp64",
    torch.float32: "fp32",
    torch.complex64: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
}
# Why two arms compute different functions, and how to make them compute the same.
_Mismatch = tuple[str, str]
_SAME = "let both compute the same"
_SHOWN = 4


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Return ||value - reference|| / ||reference||, both float64 and of one shape."""
    return float((value - reference).norm() / reference.norm())


def gradient_error(values: Mapping[str, Tensor], references: Mapping[str, Tensor]) -> float:
    """Return the relative norm of the error over all gradients together, matched by name.

    Raises KeyError if a parameter has no gradient.
    """
    wrong = sum(float((values[name] - g).norm() ** 2) for name, g in references.items())
    return math.sqrt(wrong / sum(float(g.norm() ** 2) for g in references.values()))


def beyond_tolerance(precision: str, errors: Mapping[str, float | None]) -> str | None:
    """Return why an arm is ``wrong``, or None if every error is within the precision's tolerance.

    NaN is never within tolerance.
    """
    limit = TOLERANCES[precision]
    for name, error in errors.items():
        if error is not None and not error <= limit:
            return f"{name} error {error:.2g} against float64; {precision} allows {limit:.0e}"
    return None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Distance of an arm's outputs and gradients from the expected ones, as relative norms.

    ``largest_error`` is the largest absolute difference of an output. ``None`` means not checked,
    or not comparable by shape. ``error`` is one line on why the two compute different functions and
    what to do, ``difference`` its first part, ``remedy`` the alternative to accept the difference,
    ``note`` that the user accepted it, ``notes`` what else belongs to the row.
    """

    output_error: float | None = None
    gradient_error: float | None = None
    largest_error: float | None = None
    error: str | None = None
    difference: str | None = None
    remedy: Remedy | None = None
    note: str | None = None
    notes: tuple[Note, ...] = ()

    def differing(self, mismatch: _Mismatch | None) -> "Agreement":
        """Return the same distances with a mismatch, which the user may accept."""
        if mismatch is None:
            return self
        difference, advice = mismatch
        return replace(
            self,
            error=f"{difference}: {advice}",
            difference=difference,
            remedy=Remedy.ALLOW_DIFFERENT,
        )

    def noting(self, note: Note) -> "Agreement":
        """Return the same with one more note for the row."""
        return replace(self, notes=(*self.notes, note))

    def saying(self, *texts: str | None) -> "Agreement":
        """Return the same with a difference that says more; None says nothing."""
        if self.difference is None:
            return self
        advice = str(self.error).removeprefix(f"{self.difference}: ")
        return self.differing((", ".join(filter(None, (self.difference, *texts))), advice))

    def accepted(self) -> "Agreement":
        """Return the same distances with the mismatch, if there is one, as a note."""
        if self.difference is None:
            return self
        note = f"accepted: {self.difference}"
        return replace(self, error=None, difference=None, remedy=None, note=note)


def agreement(
    answer: tuple[Leaves, Leaves], expected: tuple[Leaves, Leaves], precisions: Iterable[str]
) -> Agreement:
    """Compare the outputs and gradients of an arm with those of its baseline.

    The tolerance is that of the coarsest precision among ``precisions`` (those in which the arms
    compute) and the outputs' types. Integers must be equal. Gradients count if both arms have them.
    """
    outputs, wanted = _paired(answer[0], expected[0])
    if mismatch := _mismatch(outputs, wanted):
        return Agreement().differing(mismatch)
    precision = _coarsest([*outputs.values(), *wanted.values()], precisions)
    gradients, targets = _common(answer[1], expected[1])
    output_error = _distance(outputs, wanted)
    gradient_error = _distance(gradients, targets) if targets else None
    mismatch = (
        _miscounted(outputs, wanted)
        or _beyond("outputs", output_error, precision, outputs, wanted)
        or _beyond("gradients", gradient_error, precision, gradients, targets)
    )
    return Agreement(
        output_error=_number(output_error),
        gradient_error=_number(gradient_error),
        largest_error=_number(_largest(outputs, wanted)),
    ).differing(mismatch)


def _paired(values: Leaves, references: Leaves) -> tuple[Leaves, Leaves]:
    """Match a single tensor with a tuple or mapping that holds exactly one."""
    if len(values) == len(references) == 1:
        return {"output": next(iter(values.values()))}, {"output": next(iter(references.values()))}
    return values, references


def _common(values: Leaves, references: Leaves) -> tuple[Leaves, Leaves]:
    names = [n for n, each in references.items() if n in values and values[n].shape == each.shape]
    return {n: values[n] for n in names}, {n: references[n] for n in names}


def _mismatch(values: Leaves, references: Leaves) -> _Mismatch | None:
    """Return why two outputs cannot be compared element by element, or None if they can."""
    if not values and not references:
        return "outputs hold no tensor to compare", "return one from both"
    if values.keys() != references.keys():
        return (
            f"outputs differ in structure: {_places(values)} against {_places(references)}",
            "return the same from both",
        )
    for place, reference in references.items():
        if values[place].shape != reference.shape:
            shapes = f"{tuple(values[place].shape)} against {tuple(reference.shape)}"
            where = _at(place, references)
            return f"outputs differ in shape{where}: {shapes}", "return the same from both"
    return None


def _places(values: Leaves) -> str:
    shown = [*list(values)[:_SHOWN], *(["…"] if len(values) > _SHOWN else [])]
    return ", ".join(shown) or "no tensor"


def _coarsest(values: Iterable[Tensor], precisions: Iterable[str]) -> str:
    """Return the precision with the largest tolerance; other types, like float8, count as bf16."""
    floating = (v.dtype for v in values if v.is_floating_point() or v.is_complex())
    names = [*precisions, *(_PRECISIONS.get(dtype, "bf16") for dtype in floating)]
    return max((n for n in names if n in TOLERANCES), key=TOLERANCES.__getitem__, default="fp32")


def _distance(values: Leaves, references: Leaves) -> float:
    """Return ||value - reference|| / ||reference|| over all tensors together.

    Equal infinities count as equal; a NaN makes the distance NaN.
    """
    wrong = norm = 0.0
    for place, each in references.items():
        reference = wide(each)
        wrong += float(difference(values[place], each).norm()) ** 2
        norm += float(reference[reference.isfinite()].norm()) ** 2
    if wrong == 0:
        return 0.0
    return math.nan if math.isnan(wrong) else math.sqrt(wrong / norm) if norm else math.inf


def _beyond(
    what: str, distance: float | None, precision: str, values: Leaves, references: Leaves
) -> _Mismatch | None:
    limit = TOLERANCES[precision]
    if distance is None or distance <= limit:
        return None
    if math.isnan(distance):
        return _holding_nan(what, values, references)
    text = f"{what} differ by {distance:.2g} (relative norm), {precision} allows {limit:.0e}"
    sizes = {
        place: float(difference(values[place], each).norm()) for place, each in references.items()
    }
    worst = max(sizes, key=sizes.__getitem__)
    said = likeness(values[worst], references[worst], limit)
    return f"{text}{_at(worst, references)}{f', {said}' if said else ''}", _SAME


def _holding_nan(what: str, values: Leaves, references: Leaves) -> _Mismatch:
    for place, each in references.items():
        if counted := nan_counts(values[place], each):
            is_shared = bool(each.isnan().any()) and bool(values[place].isnan().any())
            advice = "give other inputs" if is_shared else _SAME
            return f"{what} hold NaN{_at(place, references)}, {counted}", advice
    return f"{what} hold NaN", "give other inputs"


def _at(place: str, places: Leaves) -> str:
    return f" at {place}" if len(places) > 1 else ""


def _miscounted(values: Leaves, references: Leaves) -> _Mismatch | None:
    """Return why integer outputs differ; a single different integer is not a rounding error."""
    for place, reference in references.items():
        value = values[place]
        if not (_is_integer(value) and _is_integer(reference)):
            continue
        if different := int((value != reference).sum()):
            said = likeness(value, reference, 0.0)
            text = f"outputs differ in {different} of {value.numel()} integers"
            return f"{text}, {said}" if said else text, _SAME
    return None


def _is_integer(value: Tensor) -> bool:
    return not (value.is_floating_point() or value.is_complex())


def _largest(values: Leaves, references: Leaves) -> float | None:
    """Return the largest absolute difference of two elements; None without elements."""
    found = (difference(values[place], each) for place, each in references.items())
    return max((float(each.abs().max()) for each in found if each.numel()), default=None)


def _number(distance: float | None) -> float | None:
    return distance if distance is not None and math.isfinite(distance) else None
