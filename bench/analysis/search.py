"""The largest whole number whose cost is within a limit, with few looks at the cost."""

from collections.abc import Callable
from functools import cache

# The bracket grows by this factor until it holds the limit.
_GROWTH = 4
# So often is a straight line followed before each halving: costs may have corners.
_LINES = 3


def largest(cost: Callable[[int], float], limit: float, most: int) -> int:
    """The largest number from 1 to ``most`` whose cost is at most ``limit``; 0 where none is.

    ``cost`` must not fall. Where it is nearly straight it is looked at about ten times: between
    what fits and what does not, a straight line says where to look next (regula falsi).
    """
    look = cache(cost)
    low, high = 0, 1
    while look(high) <= limit:
        if high == most:
            return most
        low, high = high, min(_GROWTH * high, most)
    step = 0
    while high - low > 1 and low:
        step += 1
        guess = (low + high) // 2
        if step % (_LINES + 1):
            guess = low + int((limit - look(low)) / (look(high) - look(low)) * (high - low))
        guess = min(max(guess, low + 1), high - 1)
        low, high = (guess, high) if look(guess) <= limit else (low, guess)
    return low


def largest_near(fits: Callable[[int], bool], guess: int, most: int) -> int:
    """The largest number from 1 to ``most`` that fits; 0 where none does.

    Looked for around a guess that is nearly right, since each look is dear: first in steps of a
    hundredth of it that double, then by halving. Whatever is smaller than what fits must fit.
    """
    low, high = 0, most + 1
    at, step = min(max(guess, 1), most), max(guess // 100, 1)
    while high - low > 1:
        if fits(at):
            low = at
        else:
            high = at
        if low and high <= most:
            at = (low + high) // 2
        else:
            at = min(low + step, most) if low else max(high - step, 1)
            step *= 2
    return low
