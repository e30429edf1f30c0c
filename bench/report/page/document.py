"""``report.html``: a run as one file without network, for phone, desk, screen reader, paper."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from shlex import quote
from typing import Any, TypeVar

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.analysis.row_costs import kernel_changes
from bench.records.environment import Environment, warnings
from bench.records.row import Record
from bench.report.columns import Column, used
from bench.report.labels import undecided_last
from bench.report.page import figures as captions
from bench.report.page.figures import finding
from bench.report.page.forest import Forest, latencies, memories, speedups
from bench.report.page.table_rows import PAGE_COLUMNS, Row, page_columns, row_of
from bench.report.page.waterfall import Answer, answers
from bench.report.plots.canvas import FigureName
from bench.report.provenance import hardware, revision
from bench.report.report_data import ReportData
from bench.report.tables import decision
from bench.report.tables.certificate import cells, idle_lines
from bench.report.tables.decision_notes import decision_notes
from bench.report.tables.decision_parts import PART_COLUMNS
from bench.report.tables.run_quality import trust, trust_lines
from bench.report.tables.verdicts import remarks
from bench.report.units import counted, memory

T = TypeVar("T")
# Columns with a filter above the table.
_FILTERED = ("factor", "verdict")


@dataclass(frozen=True, kw_only=True)
class InlineFigure:
    """A figure in the page: ``finding`` says what it shows, ``alt`` how to read it."""

    heading: str
    alt: str
    finding: str
    svg: Markup


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page; the template places those without figures."""

    name: str
    heading: str
    caption: str = ""
    figures: tuple[InlineFigure, ...] = ()
    forests: tuple[Forest, ...] = ()

    @property
    def is_drawn(self) -> bool:
        """Whether the section has a plot."""
        return bool(self.figures or self.forests)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Contents of the page, as text and in order."""

    run_id: str
    started: str
    device: str
    decision_title: str
    decision_headings: tuple[str, ...]
    decisions: list[tuple[str, ...]]
    decision_notes: list[str]
    part_headings: tuple[str, ...]
    parts: list[tuple[str, ...]]
    answers: list[Answer]
    idle: list[str]
    trust: list[str]
    quality: list[str]
    sections: list[Section]
    filters: list[tuple[str, list[str]]]
    columns: tuple[str, ...]
    rows: list[Row]
    warnings: list[str]
    remarks: list[str]
    facts: list[tuple[str, str]]
    commands: str


def page(data: ReportData, drawings: Sequence[tuple[FigureName, str]]) -> str:
    """Return the page's HTML; ``drawings`` are names of figures and their SVG.

    All text that comes from outside is escaped.
    """
    return _templates().get_template("report.html").render(page=_page(data, drawings))


@cache
def _templates() -> Templates:
    return Templates(
        loader=PackageLoader("bench.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _page(data: ReportData, drawings: Sequence[tuple[FigureName, str]]) -> Page:
    records, machine = data.analysis.records, data.environment
    decisions = used(decision.DECISION_COLUMNS.values(), data.decisions)
    columns = page_columns(records)
    rows = [row_of(record, columns) for record in undecided_last(records)]
    return Page(
        run_id=data.run_id,
        started=data.started,
        device=hardware(machine),
        decision_title=decision.short_title(data.aim) if data.decisions else "Verdicts",
        decision_headings=_headings(decisions),
        decisions=_cells(decisions, data.decisions),
        decision_notes=decision_notes(data.decisions, data.aim),
        part_headings=_headings(PART_COLUMNS),
        parts=_cells(PART_COLUMNS, cells(data.decisions)),
        answers=answers(data.decisions, data.spent_s),
        idle=idle_lines(data.decisions),
        trust=trust_lines(data),
        quality=[*_unfinished(data.left), *trust(data.analysis)],
        sections=list(_sections(data, drawings)),
        filters=list(_filters(records)),
        columns=_headings(columns),
        rows=rows,
        warnings=list(map(str, warnings(machine))),
        remarks=[*remarks(records, data.analysis.notes), *kernel_changes(records)],
        facts=[("started", data.started), *_facts(machine)],
        commands=_commands(data),
    )


def _headings(columns: Sequence[Column[T]]) -> tuple[str, ...]:
    return tuple(column.heading for column in columns)


def _cells(columns: Sequence[Column[T]], items: Iterable[T]) -> list[tuple[str, ...]]:
    return [tuple(column.cell(item) for column in columns) for item in items]


def _unfinished(left: int) -> list[str]:
    if not left:
        return []
    return [f"This run is not finished: {counted(left, 'planned measurement')} missing."]


def _sections(data: ReportData, drawings: Sequence[tuple[FigureName, str]]) -> Iterator[Section]:
    records = data.analysis.records
    forests = {
        "speedup": tuple(speedups(records, data.delta)),
        "latency": tuple(latencies(records)),
        "memory": tuple(memories(records)),
    }
    yield Section(name="decision", heading="What to choose")
    if data.decisions:
        yield Section(name="situations", heading="All situations")
    yield Section(name="quality", heading="How reliable is this?")
    for kind, heading in captions.HEADINGS.items():
        own = (each for each in drawings if each[0].kind == kind)
        section = Section(
            name=kind,
            heading=heading,
            caption=captions.caption(kind),
            figures=tuple(_inline(*each, records) for each in own),
            forests=forests.get(kind, ()),
        )
        if section.is_drawn:
            yield section
    yield Section(name="rows", heading="All rows")
    yield Section(name="warnings", heading="Warnings")
    yield Section(name="environment", heading="Environment")
    yield Section(name="reproduce", heading="Reproduce")


def _inline(name: FigureName, svg: str, records: Sequence[Record]) -> InlineFigure:
    shows, heading = finding(name, records), captions.heading(name)
    return InlineFigure(
        heading=heading,
        alt=f"{heading}. {captions.caption(name.kind)} {shows}".rstrip(),
        finding=shows,
        svg=Markup(svg),  # noqa: S704 (matplotlib escapes what it writes)
    )


def _filters(records: Sequence[Record]) -> Iterator[tuple[str, list[str]]]:
    """Columns to choose a value of, with the values that occur."""
    for column in PAGE_COLUMNS:
        if column.heading in _FILTERED:
            values = dict.fromkeys(map(column.text, records))
            yield column.heading, [value for value in values if value]


def _facts(machine: Environment) -> Iterator[tuple[str, str]]:
    """The machine's properties by name; unknown ones are left out."""
    size, cache_size = memory(machine.memory_bytes), memory(machine.last_level_cache_bytes)
    facts: list[tuple[str, Any]] = [
        ("host", machine.host),
        ("operating system", machine.os),
        ("CPU", machine.cpu),
        ("cores", f"{machine.cores} usable, {machine.threads} threads of torch"),
        ("last-level cache", cache_size),
        ("memory", size),
        ("GPU", ", ".join(machine.gpus)),
        ("GPU driver", machine.gpu_driver),
        ("CUDA", machine.cuda),
        ("torch", machine.torch),
        ("Python", machine.python),
        ("C++ compiler", machine.cxx),
        ("commit", revision(machine.commit, has_changes=bool(machine.dirty))),
        ("governor", machine.governor),
        ("load before the run", _load(machine.load_1min)),
        ("variables", ", ".join(f"{k}={v}" for k, v in machine.variables.items())),
        ("packages", ", ".join(f"{k} {v}" for k, v in machine.packages.items() if v)),
    ]
    return ((name, str(value)) for name, value in facts if value not in (None, ""))


def _load(running: float | None) -> str:
    return "" if running is None else f"{running:.2f} processes, average of one minute"


def _commands(data: ReportData) -> str:
    commit = data.own_commit or data.environment.commit
    checkout = [f"git checkout {commit}"] if commit else []
    folder = data.folder or f"results/{data.run_id}"
    return "\n".join([*checkout, data.command, f"vitbench report {quote(folder)}"])
