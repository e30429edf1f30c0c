"""Tables of the memory of cases: predicted beside measured, by kind."""

from collections.abc import Sequence

from rich.table import Table

from bench.records.arm_costs import MEMORY_KINDS, MemoryReport
from bench.records.call_profile import CALL_COMPONENTS
from bench.report.labels import case_name
from bench.report.tables.layout import new_table
from bench.report.units import memory, signed_percent

# Inputs come first, then the components in the order of a call.
_ORDER = ("input", *CALL_COMPONENTS)


def memory_table(found: Sequence[MemoryReport]) -> Table:
    """Rich table with a row for each case; a kind that a case lacks is empty."""
    kinds = [kind for kind in MEMORY_KINDS if any(kind in each.predicted.by_kind for each in found)]
    device = found[0].case.workload.device
    title = f"Memory of one call at its peak, on {device}"
    table = new_table(title)
    table.add_column("case", overflow="fold")
    measured = ("measured", "error", "process") if any(each.measured for each in found) else ()
    for name in (*kinds, "predicted", *measured):
        table.add_column(name, justify="right")
    for each in found:
        parts = [memory(each.predicted.by_kind.get(kind)) for kind in kinds]
        total = memory(each.predicted.total_bytes)
        cells = _measured(each) if measured else ()
        table.add_row(case_name(each.case), *parts, total, *cells)
    return table


def component_table(report: MemoryReport) -> Table:
    """Rich table with a row for each component of one case: its memory at the peak, by kind."""
    parts = report.predicted.by_component
    kinds = [kind for kind in MEMORY_KINDS if any(kind in part for part in parts.values())]
    title = f"{case_name(report.case)}: predicted memory at its peak, by component"
    table = new_table(title)
    table.add_column("component")
    for name in (*kinds, "all"):
        table.add_column(name, justify="right")
    for name in sorted(parts, key=_ORDER.index):
        cells = [memory(parts[name].get(kind)) for kind in kinds]
        table.add_row(name, *cells, memory(sum(parts[name].values())))
    return table


def _measured(report: MemoryReport) -> tuple[str, str, str]:
    found = report.measured
    if found is None:
        return "", "", ""
    if found.status != "ok":
        return found.status, "", ""
    allocated, process = memory(found.allocated_bytes), memory(found.process_bytes)
    return allocated, signed_percent(report.error), process


def notes(found: Sequence[MemoryReport]) -> list[str]:
    """Return reasons for missing measurements, and the largest batches, predicted and found."""
    texts = [(each.case, each.note or _error(each)) for each in found]
    texts += [(each.case, _largest(each)) for each in found]
    lines = [f"{case_name(case)}: {text}" for case, text in texts if text]
    if any("gradients" in each.predicted.by_kind for each in found):
        lines.append("Each kind is shown at the peak of their sum, where gradients may be small.")
    return lines


def _error(report: MemoryReport) -> str | None:
    return report.measured.error if report.measured else None


def _largest(report: MemoryReport) -> str | None:
    if report.largest_batch is None:
        return None
    predicted = report.case.workload.batch_size
    return f"largest batch that fits: {report.largest_batch} by trying, {predicted} by shapes"
