"""Tables of where the time of one call goes, and notes on them."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from bench.records.call_profile import (
    BACKWARD_NODE,
    BETWEEN,
    COMPILED_GRAPH,
    PYTHON,
    CallProfile,
    MemoryTrace,
    Share,
    Timeline,
)
from bench.report.tables.layout import new_table
from bench.report.units import counted, memory, milliseconds, percent, times

_LONGEST = 60
_COMPILED = "compiled"


def short(name: str) -> str:
    """An operator's name for a table or a plot, shortened."""
    name = name.replace(f"{BACKWARD_NODE}: ", "engine: ").replace("torch::autograd::", "")
    if name.startswith(COMPILED_GRAPH):
        return "compiled graph"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def top_operators(profiled: CallProfile, top: int) -> list[Share]:
    """Return the ``top`` operators that take longest, and all others as one."""
    shown, others = list(profiled.operators[:top]), profiled.operators[top:]
    if others:
        within: dict[str, float] = {}
        for other in others:
            for name, seconds in other.within.items():
                within[name] = within.get(name, 0.0) + seconds
        name, seconds = f"({counted(len(others), 'other')})", sum(within.values())
        shown.append(Share(name=name, seconds=seconds, calls=_calls(others), within=within))
    return shown


def _calls(shares: Sequence[Share]) -> float | None:
    counts = [share.calls for share in shares if share.calls is not None]
    return sum(counts) if counts else None


def component_table(profiled: CallProfile) -> Table:
    """Rich table of one call's time by component; ``operators`` counts calls of operators."""
    table = new_table("By component")
    for name in ("component", "time", "share", "operators"):
        table.add_column(name, justify="left" if name == "component" else "right")
    for each in profiled.components:
        table.add_row(each.name, *_cells(each, profiled.total_s))
    table.add_section()
    total = Share(name="total", seconds=profiled.total_s, calls=_calls(profiled.components))
    table.add_row(total.name, *_cells(total, profiled.total_s))
    return table


def operator_table(profiled: CallProfile, top: int) -> Table:
    """Rich table of one call's time by operator: the ``top`` longest, and the others as one."""
    table = new_table("By operator, without the operators inside it")
    for name in ("operator", "time", "share", "calls", "mostly in"):
        left = name in ("operator", "mostly in")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for each in top_operators(profiled, top):
        table.add_row(short(each.name), *_cells(each, profiled.total_s), _mostly(each))
    return table


def memory_table(watched: MemoryTrace) -> Table:
    """Rich table of one call's measured memory by component."""
    table = new_table("Memory by component, measured")
    for name in ("component", "peak while it ran", "kept afterwards"):
        table.add_column(name, justify="left" if name == "component" else "right")
    for each in watched.components:
        table.add_row(each.name, memory(each.most_bytes), memory(each.kept_bytes))
    table.add_section()
    most, first = max(watched.live_bytes), watched.live_bytes[0]
    table.add_row("total", memory(most), memory(watched.live_bytes[-1] - first))
    return table


def _cells(share: Share, total_s: float) -> tuple[str, str, str]:
    calls = "" if share.calls is None else f"{round(share.calls, 1):.10g}"
    return milliseconds(share.seconds * 1e3), percent(share.seconds / total_s), calls


def _mostly(share: Share) -> str:
    """The component in which an operator spends most of its time, with that share."""
    name, seconds = max(share.within.items(), key=lambda item: item[1])
    return f"{name} {100 * seconds / share.seconds:.0f} %"


def notes(profiled: CallProfile) -> list[str]:
    """Return notes on the numbers: cost of the profiler, origin of times, peak of memory."""
    within = " (noise hides the cost)" if profiled.overhead < 1 else ""
    cost = (
        f"A profiled call took {times(profiled.overhead)} the time of an unprofiled one, which "
        f"took {milliseconds(profiled.wall_s * 1e3)}{within} (medians of "
        f"{counted(profiled.calls, 'pair')}); "
        "times above are means of the faster half of profiled calls."
    )
    found = [cost, _of_what(profiled)]
    components = {each.name for each in profiled.components}
    if BETWEEN in components:
        found.append(f"{BETWEEN}: residual additions, and work of no other component.")
    if _COMPILED in components:
        found.append(
            f"{_COMPILED}: one component, since the compiler fuses across components; on a CPU "
            "its loops count to the graph that runs them."
        )
    if profiled.memory is not None:
        found.append(peak_line(profiled.memory))
    return [*found, *profiled.notes]


def _of_what(profiled: CallProfile) -> str:
    if profiled.case.workload.device == "cuda":
        return (
            f"Times of kernels count to the operators that launched them: "
            f"{milliseconds(profiled.total_s * 1e3)} of an unprofiled call's "
            f"{milliseconds(profiled.wall_s * 1e3)}."
        )
    return (
        "Times are of the calling thread, which waits for its helper threads; "
        f"{PYTHON} is its time between operators, the profiler's own work included."
    )


def peak_line(timeline: Timeline) -> str:
    """Return a sentence on the peak memory of a call, and the phase in which it occurs."""
    peak_bytes, event = peak(timeline)
    begun = [name for name, start in timeline.phases.items() if start <= event]
    when = f", in {begun[-1]}" if begun else ""
    return f"Memory at its peak, predicted: {memory(peak_bytes)}{when}."


def peak(timeline: Timeline) -> tuple[int, int]:
    """Return the peak of live bytes, and the event after which it occurs."""
    totals = timeline.total_bytes
    place = max(range(len(totals)), key=totals.__getitem__)
    return totals[place], timeline.events[place]


def files_line(folder: Path, files: Sequence[str]) -> str:
    """Return a sentence on the files written, and the tools that open them."""
    opens = {
        "trace.json": "open it at ui.perfetto.dev",
        "stacks.txt": "for flamegraph.pl, inferno or speedscope.app",
        "memory_snapshot.pickle": "open it at pytorch.org/memory_viz",
    }
    named = (f"{name} ({opens[name]})" if name in opens else name for name in files)
    return f"Written to {folder}: {', '.join(named)}."
