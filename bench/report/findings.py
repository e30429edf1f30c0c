"""What a figure shows, in sentences: for whoever does not see it, or is in a hurry."""

from collections.abc import Callable, Iterator, Sequence

from bench.report.captions import kind
from bench.report.groups import by_factor, factor_name, workload
from bench.report.units import bounds, counted, images, percent, scientific, times
from bench.row import Record

_MOST = 6


def finding(name: str, records: Sequence[Record]) -> str:
    """What the figure of this name shows of a run's rows; nothing of what they do not hold."""
    find = _FINDINGS.get(kind(name))
    device = name.partition("-")[2]
    shown = [record for record in records if device in ("", record.device)]
    return " ".join(find(shown)) if find else ""


def _errors(records: Sequence[Record]) -> Iterator[str]:
    """The fastest arm of each factor, and what it costs in accuracy."""
    for rows in by_factor(records):
        shown = [r for r in rows if r.speedup is not None and r.output_error and not r.is_control]
        if shown:
            best = max(shown, key=lambda record: record.speedup or 0.0)
            interval = bounds(best.speedup_low, best.speedup_high) or "no interval"
            yield (
                f"{factor_name(best).capitalize()}: at most {times(best.speedup)} ({interval}), by "
                f"{best.arm} of {workload(best)}, with an error of {scientific(best.output_error)}."
            )


def _limits(records: Sequence[Record]) -> Iterator[str]:
    """Which arms come nearest to what the machine can do, and which stay farthest below."""
    shown = sorted((r for r in records if r.limit_share), key=lambda r: r.limit_share or 0.0)
    if not shown:
        return
    yield f"{counted(len(shown), 'arm')}."
    for what, record in (("Nearest to", shown[-1]), ("Farthest below", shown[0])):
        share = percent(record.limit_share, most=10)
        yield f"{what} its limit: {record.arm} of {workload(record)}, {share}."


def _compiling(records: Sequence[Record]) -> Iterator[str]:
    """After how many images each way of compiling has paid off."""
    shown = [record for record in records if record.break_even_images is not None]
    for record in shown[:_MOST]:
        after = images(record.break_even_images)
        said = "never pays off" if after == "never" else f"pays off after {after} images"
        yield f"{record.arm} of {workload(record)} {said}."
    if shown[_MOST:]:
        yield f"{counted(len(shown) - _MOST, 'more case')} in the table of all rows."


_FINDINGS: dict[str, Callable[[Sequence[Record]], Iterator[str]]] = {
    "error": _errors,
    "roofline": _limits,
    "compile": _compiling,
}
