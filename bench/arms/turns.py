"""Which of two arms is made first: where something lies in memory is part of its speed.

Of identical stacks of 50 layers the one made second ran 0.4 % faster, in every process. So the
arms take turns from pass to pass, and what is left becomes a part of what passes differ by.
"""

import zlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Pair = tuple[T, T]


def is_arm_first(key: str, pass_index: int) -> bool:
    """Whether the arm of a comparison is made first: in every other pass, and for half the keys."""
    return (zlib.crc32(key.encode()) + pass_index) % 2 == 1


def in_turn(baseline: Callable[[], T], arm: Callable[[], T], *, arm_first: bool) -> Pair[T]:
    """What both make, the baseline's at the front; ``arm_first`` says who begins."""
    if arm_first:
        made = arm()
        return baseline(), made
    return baseline(), arm()
