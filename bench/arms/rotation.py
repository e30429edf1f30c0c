"""Cold weights without flushing the cache: copies of an arm that are called in turn."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import cycle
from math import ceil

from bench.arms.candidate import Candidate
from bench.arms.groups import ArmGroup
from bench.records.comparison import Arm, Comparison
from bench.records.notes import Note, NoteKind
from bench.timing.device import cache_bytes, flusher

# More copies than this take too long to build; the cache is then flushed before each call.
_MOST_COPIES = 12
# The weights between two calls of one copy are at least this multiple of the last-level cache.
_COLD = 2.0


@dataclass(frozen=True)
class Copies:
    """The number of copies of each arm, and what to do before each call."""

    count: int = 1
    flush: Callable[[], object] | None = None
    is_cold: bool = True


def copies_for(comparisons: Sequence[Comparison], group: ArmGroup) -> Copies:
    """Return the copies of each arm that make the weights of every call cold.

    One copy and a flush before each call where copies do not help or cost too much: for functions,
    for training (whose state is large) and for compiled arms. One copy and no flush where the cache
    is to be warm, or a whole model is measured.
    """
    first = comparisons[0]
    if first.cache != "cold":
        return Copies(is_cold=False)
    device, arms = first.workload.device, {first.baseline, *(each.arm for each in comparisons)}
    if first.workload.mode == "train" or any(arm.compile != "eager" for arm in arms):
        return Copies(flush=flusher(device))
    own_bytes = group.weight_bytes
    # The baseline's copy is one more arm.
    between = own_bytes * (len(arms) + any(each.is_control for each in comparisons))
    count = ceil(_COLD * cache_bytes(device) / between) if own_bytes else 0
    return Copies(count) if 0 < count <= _MOST_COPIES else Copies(flush=flusher(device))


class Rotation:
    """Copies of one arm; each call of ``once`` calls the next copy."""

    def __init__(self, arms: Sequence[Candidate], copies: Copies) -> None:
        self.first, self._copies = arms[0], copies
        self._turns = cycle(arms)
        self._next = next(self._turns)

    @classmethod
    def of(cls, group: ArmGroup, arm: Arm, copies: Copies) -> "Rotation":
        """Build the copies of an arm. Raises like ``ArmGroup.build``."""
        return cls([group.build(arm) for _ in range(copies.count)], copies)

    def before(self) -> None:
        """Make the weights of the next call cold and its inputs warm, as inside a model."""
        if self._copies.flush is not None:
            self._copies.flush()
        if self._copies.is_cold:
            self._next.touch_inputs()

    def once(self) -> None:
        """Call the next copy once."""
        self._next.once()
        self._next = next(self._turns)


def surroundings_of(arms: Sequence[Candidate]) -> AbstractContextManager[object]:
    """Return the context around calls of several arms: the same for all, in which each can run."""
    return max(arms, key=lambda arm: arm.forward.level).surroundings()


def needed_gradients(arms: Sequence[Candidate]) -> tuple[Note, ...]:
    """Return a note that calls are not timed in inference mode, and the arm that needs it."""
    arm = max(arms, key=lambda each: each.forward.level)
    if not arm.forward.level:
        return ()
    name = arm.arm.factory or arm.arm.choice
    text = f"timed {arm.forward}, which a call of {name} needs"
    return (Note(kind=NoteKind.GRADIENTS, subject="gradients", text=text),)
