"""A history for the summary of a CI job: Markdown with a Mermaid chart, which GitHub draws.

Mermaid's grammar of ``xychart-beta`` has texts in double quotes without an escape for them, numbers
without an exponent, and no legend in the versions that are common: the chart's colours are set,
and the lines below it name them.
"""

import re
from collections.abc import Iterator, Sequence
from statistics import median

from bench.analysis.change_points import Change
from bench.report.tables.layout import markdown_table
from bench.report.trend_series import YARDSTICK, History, Series
from bench.report.trend_table import CHANGE_COLUMNS, change_lines, commits
from bench.report.units import escaped

# Colours that colour-blind readers tell apart too, with a contrast of 3 in light and in dark.
_COLOURS = {"blue": "#2E8BD0", "orange": "#D55E00", "green": "#009E73"}
# Most runs of a chart, and the least with something to see.
_MOST_RUNS, _LEAST_RUNS = 40, 3
# Room above and below the lines, as a share of their range, and the least range in percent.
_ROOM, _LEAST_RANGE = 0.1, 2.0
# What would end a quoted text, begin Markdown in it or an entity, a directive or a fence.
_REPLACED = {'"': "'", "`": "'", ";": ",", "#": "no. "}
_PERCENTS = re.compile("%{2,}")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def trend_markdown(series: History, changes: Sequence[Change], lines: Sequence[str]) -> str:
    """Return what a history says: lines, the table of changes, and a chart of the last runs."""
    parts = [f"**{escaped(lines[0])}**", "", *(f"- {escaped(each)}" for each in lines[1:]), ""]
    found = change_lines(series, changes)
    columns = [each for each in CHANGE_COLUMNS if any(map(each.text, found))]
    if found:
        parts += [*markdown_table(columns, found), ""]
    return "\n".join([*parts, *chart(series, changes)])


def chart(series: History, changes: Sequence[Change]) -> Iterator[str]:
    """Yield the lines of a Mermaid chart of the most important series, with its legend.

    Values are ratios to the yardstick or the baseline in percent of the series' median, at the
    level of the commonest kind of machine. Yields nothing for fewer than three common runs.
    """
    chosen = _chosen(series, changes)
    runs = _common_runs(chosen)
    if len(runs) < _LEAST_RUNS:
        return
    lines = [_percent(each, changes, runs) for each in chosen]
    points = [each for each in chosen[0].points if each.run_id in runs]
    count = len(points)
    title = f"Last {count} runs, {points[0].time[:10]} to {points[-1].time[:10]}"
    low, high = _range([value for line in lines for value in line])
    palette = ", ".join(list(_COLOURS.values())[: len(chosen)])
    yield from ("```mermaid", "---", "config:", "  themeVariables:", "    xyChart:")
    yield from (f'      plotColorPalette: "{palette}"', "---", "xychart-beta")
    yield f"    title {quoted(title)}"
    yield f'    x-axis "run, the latest is {count}" 1 --> {count}'
    yield f'    y-axis "ratio, % of its median" {low:.1f} --> {high:.1f}'
    for each, line in zip(chosen, lines, strict=True):
        yield f"    line {quoted(each.name)} [{', '.join(f'{value:.2f}' for value in line)}]"
    yield from ("```", "")
    yield from _legend(chosen)
    yield f"- commits {commits(points, 1, count - 1)}"


def quoted(text: str) -> str:
    """Return a text as Mermaid's grammar takes it: in double quotes, without what would end it."""
    plain = _PERCENTS.sub("%", _BREAKS.sub(" ", text))
    for sign, other in _REPLACED.items():
        plain = plain.replace(sign, other)
    return f'"{plain.strip()}"'


def _chosen(series: History, changes: Sequence[Change]) -> list[Series]:
    """Return the most important series: largest changes first, then whole models, then others."""
    changed = [line.series.name for line in change_lines(series, changes)]
    rest = sorted(series, key=lambda name: (" model " not in name, -len(series[name].points), name))
    names = list(dict.fromkeys([*changed, *rest]))
    newest = max(each.points[-1].time for each in series.values())
    current = [series[name] for name in names if series[name].points[-1].time == newest]
    return current[: len(_COLOURS)]


def _common_runs(chosen: Sequence[Series]) -> set[str]:
    """Return the last runs that have all of these series."""
    common = set.intersection(*({point.run_id for point in each.points} for each in chosen))
    order = [point.run_id for point in chosen[0].points if point.run_id in common]
    return set(order[-_MOST_RUNS:])


def _percent(series: Series, changes: Sequence[Change], runs: set[str]) -> list[float]:
    """Return the values of these runs in percent of their median."""
    level = series.level([each for each in changes if each.series == series.name]).tolist()
    shown = [v for v, point in zip(level, series.points, strict=True) if point.run_id in runs]
    return [100 * value / median(shown) for value in shown]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = max(_ROOM * (high - low), (_LEAST_RANGE - (high - low)) / 2)
    return low - room, high + room


def _legend(chosen: Sequence[Series]) -> Iterator[str]:
    for colour, each in zip(_COLOURS, chosen, strict=False):
        name = _BREAKS.sub(" ", each.name).replace("`", "'")
        against = "the yardstick" if each.against == YARDSTICK else f"its baseline {each.against}"
        yield f"- {colour}: `{name}`, as a ratio to {escaped(against)}"
