"""What a history says in a few lines: its changes, its kinds of machine, its noise."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from bench.analysis.change_points import FALSE_CHANGE_SHARE, LEAST_SEGMENT, Change
from bench.analysis.run_noise import NOISES, Power, power, published_noise
from bench.report.trend_series import History
from bench.report.units import counted, digits, percent

# The change whose chance of being found is said of every history.
_EXAMPLE = 0.05


def trend_line(series: History, changes: Sequence[Change], share: float, needed: int = 0) -> str:
    """Return a sentence on the series, their changes, and how many of these may be false.

    ``needed`` is the number of runs before which no change can be found.
    """
    runs = len({point.run_id for each in series.values() for point in each.points})
    found = counted(len(changes), "lasting change") if changes else "no lasting change"
    expected = f"; at most {digits(share * len(changes), 2)} of them false" if changes else ""
    too_few = (
        f" (too few: a change can be found from {needed} on)"
        if runs < needed and not changes
        else ""
    )
    return f"{len(series)} series over {counted(runs, 'run')}{too_few}: {found}{expected}."


def noise_lines(
    series: History, share: float = FALSE_CHANGE_SHARE, least: int = LEAST_SEGMENT
) -> Iterator[str]:
    """Yield the kinds of machine, and what can be found amid this history's own noise."""
    runs = {
        point.run_id: kind
        for each in series.values()
        for point, kind in zip(each.points, each.kinds, strict=True)
    }
    if len(set(runs.values())) > 1:
        counts = [
            f"{kind} ({counted(count, 'run')})"
            for kind, count in Counter(runs.values()).most_common()
        ]
        yield f"Kinds of machine, each with a level of its own: {'; '.join(counts)}."
    noises = [noise for each in series.values() if (noise := each.noise) is not None]
    if not noises:
        yield "Noise from run to run: unknown (a series needs 6 runs on one kind of machine)."
        return
    typical = median(noises)
    size = percent(typical, most=math.inf)
    yield f"Noise from run to run: {size} in the median series; {_applies(typical)}."
    longest = max(series.values(), key=lambda each: len(each.points))
    yield _can_find(power(typical, longest.kinds, len(series), _EXAMPLE, share, least))


def _applies(noise: float) -> str:
    """Which line of the table of ``vitbench trend --simulate`` holds here."""
    line = published_noise(noise)
    if line is None:
        return f"more than the {percent(NOISES[-1])} of the last line of vitbench trend --simulate"
    return f"the lines of {percent(line)} of vitbench trend --simulate apply"


def _can_find(found: Power) -> str:
    size, share = percent(found.change), percent(found.found)
    if found.smallest is None:
        return "No change half-way through as many runs is found in 95 % of such histories."
    smallest = percent(found.smallest, most=math.inf)
    return (
        f"Half-way through as many runs, a lasting change of {smallest} is found in 95 % of such "
        f"histories, one of {size} in {share}."
    )
