"""Check a user's own arms against their baseline, and choose the weights with which they agree."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.arms.agreement import Agreement, agreement
from bench.arms.candidate import Candidate
from bench.arms.tensors import Leaves
from bench.arms.weights import (
    KeptWeights,
    comparable_gradients,
    has_weights,
    misfit,
    share_weights,
)
from bench.records.comparison import Comparison
from bench.records.errors import one_line
from bench.records.notes import MOVED_WEIGHTS, OWN_WEIGHTS, Note, NoteKind
from bench.timing.device import is_out_of_memory

T = TypeVar("T")
# Outputs and gradients by name.
Answer = tuple[Leaves, Leaves]
# With an accepted difference weights are moved where that makes it smaller by this factor.
_FAR_CLOSER = 10.0


class ArmError(RuntimeError):
    """A user's arm raised when it was called; the message names the arm and the exception."""


def check_own(
    comparison: Comparison,
    expected: Answer,
    baseline: Candidate,
    arms: Sequence[Candidate],
    source: nn.Module,
) -> Agreement:
    """Compare a user's arm with the baseline's answer, within what the comparison allows.

    ``arms`` are copies of one arm. Unless they keep their own weights they get those of ``source``,
    a module of the baseline, if that makes them agree.
    """
    made = _compared(comparison, expected, baseline, arms[0])
    if comparison.is_control or not has_weights(arms[0].module):
        found = made
    elif made.error is None:
        found = made if comparison.weights == "shared" else made.noting(OWN_WEIGHTS)
    elif made.difference is None or comparison.weights != "auto":
        found = made
    else:
        found = _with_moved(comparison, made, (expected, baseline, arms, source))
    found = _with_steps(comparison, found, baseline, arms[0])
    if found.difference is not None:
        sides = ("candidate", arms[0]), ("baseline", baseline)
        hidden = [f"the {name}'s {each.opaque}" for name, each in sides if each.opaque]
        found = found.saying(*hidden, *_unsteady(comparison, expected, baseline, arms[0]))
    return found.accepted() if comparison.allow_different else found


def _with_steps(
    comparison: Comparison, found: Agreement, baseline: Candidate, arm: Candidate
) -> Agreement:
    """Add what a training step changes in both arms; a difference is one of what they do."""
    if not arm.trains or comparison.is_control or (found.error and found.difference is None):
        return found
    difference = arm.training.against(baseline.training)
    if difference is None:
        text = f"{arm.training}, as the baseline does"
        return found.noting(Note(kind=NoteKind.TRAINING, subject="training", text=text))
    if found.difference is None:
        return found.differing((f"training differs, {difference}", "let both train the same"))
    return found.saying(f"training differs, {difference}")


def _compared(
    comparison: Comparison, expected: Answer, baseline: Candidate, arm: Candidate
) -> Agreement:
    answer = own_answer("candidate", comparison, arm)
    if isinstance(answer, Agreement):
        return answer
    outputs, gradients = answer
    likes = comparable_gradients(gradients, expected[1], arm.trainable, baseline.trainable)
    precisions = baseline.arm.precision, arm.arm.precision
    return agreement((outputs, likes[0]), (expected[0], likes[1]), precisions)


def _with_moved(
    comparison: Comparison,
    made: Agreement,
    sides: tuple[Answer, Candidate, Sequence[Candidate], nn.Module],
) -> Agreement:
    """Move the baseline's weights to the arms; leave them there if the arms agree then."""
    expected, baseline, arms, source = sides
    if why := misfit(source, arms[0].module):
        return made.saying(f"weights cannot be moved since {why}") if has_weights(source) else made
    own = KeptWeights([arm.module for arm in arms])
    for arm in arms:
        share_weights(source, arm.module)
    moved = _compared(comparison, expected, baseline, arms[0])
    if moved.error is None or (comparison.allow_different and _is_far_closer(moved, made)):
        return moved.noting(MOVED_WEIGHTS)
    own.restore()
    return _nearer(made, moved)


def _is_far_closer(moved: Agreement, made: Agreement) -> bool:
    errors = moved.output_error, made.output_error
    return None not in errors and _FAR_CLOSER * (errors[0] or 0.0) <= (errors[1] or 0.0)


def _nearer(made: Agreement, moved: Agreement) -> Agreement:
    """Return the smaller of two differences, which says more; the errors are those as made."""
    errors = made.output_error, moved.output_error
    if errors[0] is None or errors[1] is None:
        return made
    if errors[0] == errors[1]:
        return made
    if errors[0] < errors[1]:
        return made.saying(f"with weights as made ({errors[1]:.2g} with the baseline's)")
    said = moved.saying(f"with the baseline's weights ({errors[0]:.2g} as made)")
    return replace(
        said,
        output_error=made.output_error,
        gradient_error=made.gradient_error,
        largest_error=made.largest_error,
    )


def _unsteady(
    comparison: Comparison, expected: Answer, baseline: Candidate, arm: Candidate
) -> list[str]:
    """Return which arms differ from themselves at a second call."""
    found: list[str] = []
    for name, each, first in (("candidate", arm, None), ("baseline", baseline, expected)):
        answers = [first or own_answer(name, comparison, each), own_answer(name, comparison, each)]
        first_answer, again = answers
        if isinstance(first_answer, Agreement) or isinstance(again, Agreement):
            continue
        change = agreement(_without_nan(again), _without_nan(first_answer), (each.arm.precision,))
        if change.error is not None:
            size = "" if change.output_error is None else f" by {change.output_error:.2g}"
            found.append(f"the {name} differs from itself{size} at a second call")
    return found


def _without_nan(answer: Answer) -> Answer:
    """Return numbers for NaN, which a second call repeats."""
    outputs, gradients = ({n: v.nan_to_num() for n, v in part.items()} for part in answer)
    return outputs, gradients


def own_answer(name: str, comparison: Comparison, arm: Candidate) -> Answer | Agreement:
    """Return outputs and gradients of a user's arm; a failed check if it changes its input."""
    before = [memory.detach().clone() for memory in arm.memories]
    answer = called(name, partial(_answer, comparison, arm))
    if not all(map(_is_same, before, arm.memories)):
        return Agreement(error=f"the {name} changes its input: let it work on a copy")
    return answer


def _is_same(before: Tensor, after: Tensor) -> bool:
    after = after.detach()
    try:
        return torch.equal(before.nan_to_num(), after.nan_to_num())
    except Exception:  # noqa: BLE001 (sparse and nested tensors raise various)
        return True


def _answer(comparison: Comparison, arm: Candidate) -> Answer:
    if comparison.workload.mode == "train":
        return arm.outputs_and_gradients()
    return arm.outputs(), {}


def called(name: str, answer: Callable[[], T]) -> T:
    """Call a user's arm; raises ArmError, with its name, for any exception but lack of memory."""
    try:
        return answer()
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise ArmError(f"the {name} raised {one_line(error)}") from error
