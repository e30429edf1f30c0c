"""How far logarithmic axes reach, and where their ticks stand; whoever draws them."""

import math
from collections.abc import Sequence
from itertools import pairwise

from bench.row import Record

# Neighbouring labels of a logarithmic axis need this share of it.
LABEL_ROOM = 0.09
# An interval may stretch the axis to this multiple of its value; beyond, it is cut.
WIDEST = 1.5
DECADES = tuple(
    tuple(m * 10.0**e for e in range(-4, 7) for m in steps)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8))
)
RATIOS = (*DECADES[:3], *(tuple(n / d for n in range(d // 3, 3 * d)) for d in (10, 20, 50)))
# Of sizes in bytes: 1 KiB to 1 PiB, every power of two or of 4, 8, 16 …
BINARY = tuple(tuple(2.0**e for e in range(10, 51, step)) for step in range(1, 9))


def ticks(
    ladders: Sequence[Sequence[float]], low: float, high: float, room: float = LABEL_ROOM
) -> list[float]:
    """Ticks of the finest ladder whose labels have room side by side from ``low`` to ``high``."""
    apart = room * math.log(high / low)
    inside = [[step for step in ladder if low <= step <= high] for ladder in ladders]
    fitting = (each for each in inside if all(math.log(b / a) >= apart for a, b in pairwise(each)))
    return max(fitting, key=len, default=[])


def ratio_range(records: Sequence[Record]) -> tuple[float, float]:
    """Ends of an axis of speed-ups: it holds every value and, within reason, every interval."""
    values = [record.speedup or 1.0 for record in records]
    lows = [max(r.speedup_low or 1.0, (r.speedup or 1.0) / WIDEST) for r in records]
    highs = [min(r.speedup_high or 1.0, (r.speedup or 1.0) * WIDEST) for r in records]
    return min(0.95, *values, *lows) * 0.96, max(1.05, *values, *highs) * 1.04
