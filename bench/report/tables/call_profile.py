"""Where the time of one call goes, for people: tables, and what to know with them."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from bench.records.call_profile import BETWEEN, PYTHON, Profiled, Share, Timeline, Watched
from bench.report.units import counted, memory, milliseconds, percent, times

_NODE = "autograd::engine::evaluate_function: "
# The compiler's name for what it made, and a hash of it.
_GRAPH = "## Call CompiledFxGraph"
_LONGEST = 60
_COMPILED = "compiled"


def short(name: str) -> str:
    """An operator's name for a table or a plot; autograd's engine calls itself at length."""
    name = name.replace(_NODE, "engine: ").replace("torch::autograd::", "")
    if name.startswith(_GRAPH):
        return "compiled graph"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def top_operators(profiled: Profiled, top: int) -> list[Share]:
    """The operators that take most, and all others as one."""
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


def component_table(profiled: Profiled) -> Table:
    """Time of one call by component, and the total; ``operators`` counts calls of any."""
    table = _table("By component")
    for name in ("component", "time", "share", "operators"):
        table.add_column(name, justify="left" if name == "component" else "right")
    for each in profiled.components:
        table.add_row(each.name, *_cells(each, profiled.total_s))
    table.add_section()
    total = Share(name="total", seconds=profiled.total_s, calls=_calls(profiled.components))
    table.add_row(total.name, *_cells(total, profiled.total_s))
    return table


def operator_table(profiled: Profiled, top: int) -> Table:
    """Time of one call by operator: so many that take most, and the others together."""
    table = _table("By operator, without the operators inside it")
    for name in ("operator", "time", "share", "calls", "mostly in"):
        left = name in ("operator", "mostly in")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for each in top_operators(profiled, top):
        table.add_row(short(each.name), *_cells(each, profiled.total_s), _mostly(each))
    return table


def memory_table(watched: Watched) -> Table:
    """Memory of one call by component, as measured."""
    table = _table("Memory by component, measured")
    for name in ("component", "most while it ran", "kept afterwards"):
        table.add_column(name, justify="left" if name == "component" else "right")
    for each in watched.components:
        table.add_row(each.name, memory(each.most_bytes), memory(each.kept_bytes))
    table.add_section()
    most, first = max(watched.live_bytes), watched.live_bytes[0]
    table.add_row("total", memory(most), memory(watched.live_bytes[-1] - first))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.HEAVY_HEAD)


def _cells(share: Share, total_s: float) -> tuple[str, str, str]:
    calls = "" if share.calls is None else f"{round(share.calls, 1):.10g}"
    return milliseconds(share.seconds * 1e3), percent(share.seconds / total_s), calls


def _mostly(share: Share) -> str:
    """The component in which an operator spends most, and how much of its time."""
    name, seconds = max(share.within.items(), key=lambda item: item[1])
    return f"{name} {100 * seconds / share.seconds:.0f} %"


def notes(profiled: Profiled) -> list[str]:
    """What to know of the numbers: what the profiler cost, what they are of, the memory's peak."""
    within = " (so near to 1 that noise hides the cost)" if profiled.overhead < 1 else ""
    cost = (
        f"A profiled call took {times(profiled.overhead)} the time of a plain one, which took "
        f"{milliseconds(profiled.wall_s * 1e3)}{within} (medians of "
        f"{counted(profiled.calls, 'pair')}); "
        "times above are of profiled calls, the mean of the faster half."
    )
    found = [cost, _of_what(profiled)]
    components = {each.name for each in profiled.components}
    if BETWEEN in components:
        found.append(f"{BETWEEN}: residual additions, and what no other component does.")
    if _COMPILED in components:
        found.append(
            f"{_COMPILED}: one component, since the compiler fuses across the borders inside; on a "
            "CPU its loops are told to the graph that runs them."
        )
    if profiled.memory is not None:
        found.append(peak_line(profiled.memory))
    return [*found, *profiled.notes]


def _of_what(profiled: Profiled) -> str:
    if profiled.case.workload.device == "cuda":
        return (
            f"Times are of kernels, told to the operators that launched them: "
            f"{milliseconds(profiled.total_s * 1e3)} of a plain call's "
            f"{milliseconds(profiled.wall_s * 1e3)}."
        )
    return (
        "Times are of the thread that calls, which waits for those that help it; "
        f"{PYTHON} is what it does between operators, the profiler's own work included."
    )


def peak_line(timeline: Timeline) -> str:
    """The most memory of a call, and in which part of it."""
    peak_bytes, event = peak(timeline)
    begun = [name for name, start in timeline.phases.items() if start <= event]
    when = f", in {begun[-1]}" if begun else ""
    return f"Memory at its peak, predicted: {memory(peak_bytes)}{when}."


def peak(timeline: Timeline) -> tuple[int, int]:
    """The most live bytes, and the event after which they lived."""
    totals = timeline.total_bytes
    place = max(range(len(totals)), key=totals.__getitem__)
    return totals[place], timeline.events[place]


def files_line(folder: Path, files: Sequence[str]) -> str:
    """Where the files are, and what opens them."""
    opens = {
        "trace.json": "open it at ui.perfetto.dev",
        "stacks.txt": "for flamegraph.pl, inferno or speedscope.app",
        "memory_snapshot.pickle": "open it at pytorch.org/memory_viz",
    }
    named = (f"{name} ({opens[name]})" if name in opens else name for name in files)
    return f"Written to {folder}: {', '.join(named)}."
