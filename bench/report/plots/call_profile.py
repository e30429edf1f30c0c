"""Figures of a profile: bars for components and operators, memory over one call."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.records.arm_costs import MEMORY_KINDS
from bench.records.call_profile import CALL_COMPONENTS, CallProfile, Share, Timeline
from bench.report.labels import case_heading
from bench.report.plots.canvas import STYLE, new_figure, save
from bench.report.tables.call_profile import peak, short, top_operators
from bench.report.units import memory, milliseconds, percent

# Okabe and Ito's colours, distinct for colour-blind readers too, and two greys.
_COMPONENT_COLOURS = dict(
    zip(
        CALL_COMPONENTS,
        (
            *("#F0E442", "#000000", "#56B4E9", "#0072B2", "#D55E00", "#009E73"),
            *("#555555", "#CC79A7", "#E69F00", "#BBBBBB"),
        ),
        strict=True,
    )
)
_KIND_COLOURS = dict(
    zip(
        MEMORY_KINDS,
        ("#0072B2", "#D55E00", "#CC79A7", "#F0E442", "#009E73", "#BBBBBB"),
        strict=True,
    )
)
_ROW_INCH = 0.24
# Room beside the longest bar for its numbers, as a multiple of the bar.
_LABEL_ROOM = 1.4
_HEAD_ROOM = 1.16


def components_figure(profiled: CallProfile, source: str) -> Figure:
    """Draw a bar for each component."""
    title = f"Time of one call by component: {case_heading(profiled.case)}"
    return _bars(profiled, profiled.components, title, source)


def operators_figure(profiled: CallProfile, top: int, source: str) -> Figure:
    """Draw a bar for each of the ``top`` operators, in the colours of the components."""
    title = f"Time of one call by operator: {case_heading(profiled.case)}"
    figure = _bars(profiled, top_operators(profiled, top), title, source, width=10)
    present = {name for share in profiled.components for name in share.within}
    marks = [
        Patch(color=colour, label=name)
        for name, colour in _COMPONENT_COLOURS.items()
        if name in present
    ]
    figure.legend(handles=marks, loc="outside right center", frameon=False, fontsize=8)
    return figure


def _bars(
    profiled: CallProfile, shares: Sequence[Share], title: str, source: str, width: float = 8
) -> Figure:
    figure = new_figure(width, 1.5 + _ROW_INCH * len(shares), title, source)
    axis = figure.subplots()
    for place, share in enumerate(shares):
        _bar(axis, place, share, profiled.total_s)
    axis.set_yticks(range(len(shares)), labels=[short(share.name) for share in shares])
    axis.set_ylim(len(shares) - 0.4, -0.6)
    longest = max(share.seconds for share in shares) / profiled.total_s
    axis.set_xlim(0, 100 * longest * _LABEL_ROOM)
    axis.set_xlabel("share of the time of one call, %")
    axis.grid(visible=False, axis="y")
    return figure


def _bar(axis: Axes, place: int, share: Share, total_s: float) -> None:
    """Draw one bar in pieces by component, with its numbers beside it."""
    left = 0.0
    for name in CALL_COMPONENTS:
        width = 100 * share.within.get(name, 0.0) / total_s
        if width:
            axis.barh(place, width, left=left, color=_COMPONENT_COLOURS[name])
            left += width
    text = f"{percent(share.seconds / total_s)}, {milliseconds(share.seconds * 1e3)}"
    axis.annotate(
        text, (left, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
    )


def memory_figure(profiled: CallProfile, source: str) -> Figure | None:
    """Draw predicted live memory over one call by kind, with its peak; None without a prediction.

    A second panel leaves out the kinds that stay constant, which dwarf the others.
    """
    timeline = profiled.memory
    if timeline is None:
        return None
    title = f"Memory over one call, predicted: {case_heading(profiled.case)}"
    moving = {kind: row for kind, row in timeline.live_bytes.items() if min(row) < max(row)}
    shown = [timeline, *([replace(timeline, live_bytes=moving)] if moving else [])]
    figure = new_figure(8, 1 + 2.7 * len(shown), title, source)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axis, part in zip(axes, shown, strict=True):
        _live(axis, part)
    _mark_phases(axes[0], timeline)
    if moving:
        axes[-1].set_title("without kinds that stay constant", fontsize=9, loc="left")
    axes[-1].set_xlabel("allocations and frees of the call, in their order")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def watched_figure(profiled: CallProfile, source: str) -> Figure | None:
    """Draw measured live tensors over the time of one call, with their peak; None if unknown."""
    watched = profiled.watched
    if watched is None or len(watched.seconds) == 1:
        return None
    title = f"Memory over one call, measured: {case_heading(profiled.case)}"
    figure = new_figure(8, 3.7, title, source)
    axis = figure.subplots()
    most_bytes = max(watched.live_bytes)
    size_bytes, unit = (2**30, "GiB") if most_bytes >= 2**30 else (2**20, "MiB")
    times_ms = [second * 1e3 for second in watched.seconds]
    live = [value / size_bytes for value in watched.live_bytes]
    axis.step(times_ms, live, where="post", color=_KIND_COLOURS["parameters"], lw=1)
    least, most = min(live), max(live)
    room = max(most - least, 1e-3 * most, 1e-6)
    axis.set_ylim(least - 0.05 * room, most + (_HEAD_ROOM - 1) * room)
    axis.set_xlim(0, max(times_ms[-1], 1e-6))
    axis.set_ylabel(f"live tensors, {unit}")
    axis.set_xlabel("time since the first allocation, ms (the profiler's own included)")
    place = live.index(most)
    is_right = times_ms[place] > times_ms[-1] / 2
    axis.plot([times_ms[place]], [most], "v", color="black", ms=5, clip_on=False)
    axis.annotate(
        f"peak {memory(most_bytes)}",
        (times_ms[place], most),
        xytext=(-6 if is_right else 6, 4),
        textcoords="offset points",
        ha="right" if is_right else "left",
        fontsize=8,
    )
    return figure


def _live(axis: Axes, timeline: Timeline) -> None:
    """Stack the kinds on top of each other, and mark the peak."""
    most_bytes, _ = peak(timeline)
    size_bytes, unit = (2**30, "GiB") if most_bytes >= 2**30 else (2**20, "MiB")
    shown = {kind: row for kind, row in timeline.live_bytes.items() if any(row)}
    axis.stackplot(
        timeline.events,
        *([value / size_bytes for value in row] for row in shown.values()),
        labels=list(shown),
        colors=[_KIND_COLOURS[kind] for kind in shown],
        step="post",
        lw=0,
    )
    axis.set_xlim(0, max(timeline.events[-1], 1))
    axis.set_ylim(0, max(most_bytes / size_bytes, 1e-6) * _HEAD_ROOM)
    axis.set_ylabel(f"live memory, {unit}")
    _mark_peak(axis, timeline, size_bytes)


def _mark_peak(axis: Axes, timeline: Timeline, size_bytes: int) -> None:
    most_bytes, event = peak(timeline)
    height = most_bytes / size_bytes
    axis.plot([event], [height], "v", color="black", ms=5, clip_on=False)
    is_right = event > timeline.events[-1] / 2
    axis.annotate(
        f"peak {memory(most_bytes)}",
        (event, height),
        xytext=(-6 if is_right else 6, 4),
        textcoords="offset points",
        ha="right" if is_right else "left",
        fontsize=8,
    )


def _mark_phases(axis: Axes, timeline: Timeline) -> None:
    """Draw a line at the start of each phase, with its name; none for a single phase."""
    if len(timeline.phases) == 1:
        return
    for name, event in timeline.phases.items():
        axis.axvline(event, color="black", lw=0.6, ls=":")
        axis.annotate(
            name,
            (event, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, 2),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )


def figures(profiled: CallProfile, top: int, source: str) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of every plot that has data."""
    drawn: Iterable[tuple[str, Figure | None]] = (
        ("components", components_figure(profiled, source)),
        ("operators", operators_figure(profiled, top, source)),
        ("memory", memory_figure(profiled, source)),
        ("memory-measured", watched_figure(profiled, source)),
    )
    yield from ((name, figure) for name, figure in drawn if figure)


def write_profile_plots(folder: Path, profiled: CallProfile, top: int, source: str) -> list[Path]:
    """Write each figure as PNG and SVG; return the paths."""
    with mpl.rc_context(STYLE):
        drawn = list(figures(profiled, top, source))
    return [path for name, figure in drawn for path in save(folder, name, figure)]
