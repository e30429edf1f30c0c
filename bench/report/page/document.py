"""``report.html``: a run as one file that needs no network, for people with and without a mouse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from shlex import quote
from typing import Any

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.analysis.row_costs import kernel_changes
from bench.records.environment import Environment, warnings
from bench.records.row import Record
from bench.report.page import figures as captions
from bench.report.page.columns import COLUMNS, Row, row_of
from bench.report.page.figures import finding
from bench.report.page.forest import Forest, latencies, memories, speedups
from bench.report.plots.canvas import figure_kind
from bench.report.report_data import Told
from bench.report.tables import decision
from bench.report.tables import decision_notes as decision_words
from bench.report.tables.run_quality import trust
from bench.report.tables.verdicts import remarks
from bench.report.units import counted, memory

# The style sheet counts on the columns up to the verdict, and on the two last, which are wide.
_FIRST, _LAST = 6, 2


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure as the page shows it; ``finding`` says what it shows, ``alt`` how to read it."""

    heading: str
    alt: str
    finding: str
    svg: Markup


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page; those without figures have a place of their own."""

    name: str
    heading: str
    caption: str = ""
    figures: tuple[Drawn, ...] = ()
    forests: tuple[Forest, ...] = ()

    @property
    def is_drawn(self) -> bool:
        """Whether it shows a plot."""
        return bool(self.figures or self.forests)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the page says, as text and in order."""

    run_id: str
    started: str
    device: str
    versions: str
    decision_title: str
    decision_headings: tuple[str, ...]
    decisions: list[tuple[str, ...]]
    decision_notes: list[str]
    part_headings: tuple[str, ...]
    parts: list[tuple[str, ...]]
    trust: list[str]
    sections: list[Section]
    filters: list[tuple[str, list[str]]]
    columns: tuple[str, ...]
    rows: list[Row]
    warnings: list[str]
    remarks: list[str]
    facts: list[tuple[str, str]]
    commands: str


def page(told: Told, drawings: Sequence[tuple[str, str]]) -> str:
    """The page's HTML, with the SVG of some figures by their names.

    Whatever comes from outside is escaped.
    """
    return _templates().get_template("report.html").render(page=_page(told, drawings))


@cache
def _templates() -> Templates:
    return Templates(
        loader=PackageLoader("bench.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _page(told: Told, drawings: Sequence[tuple[str, str]]) -> Page:
    records, machine = told.analysis.records, told.environment
    rows = [decision.cells(each) for each in told.decisions]
    columns, shown = _table(records)
    used = decision.used_headings(rows)
    return Page(
        run_id=told.run_id,
        started=told.started,
        device=", ".join([machine.cpu, f"{machine.threads} threads", *machine.gpus]),
        versions=f"torch {machine.torch}, Python {machine.python}, {_commit(machine)}",
        decision_title=decision.title(told.aim) if rows else "Verdicts",
        decision_headings=tuple(decision.HEADINGS[n] for n in used),
        decisions=[tuple(row[n] for n in used) for row in rows],
        decision_notes=decision_words.decision_notes(told.decisions, told.aim),
        part_headings=decision.PART_HEADINGS,
        parts=list(decision.part_cells(told.decisions)),
        trust=[*_unfinished(told.left), *trust(told.analysis)],
        sections=list(_sections(told, drawings)),
        filters=list(_filters(shown)),
        columns=columns,
        rows=shown,
        warnings=warnings(machine),
        remarks=[*remarks(records), *kernel_changes(records)],
        facts=list(_facts(machine)),
        commands=_commands(told),
    )


def _table(records: Sequence[Record]) -> tuple[tuple[str, ...], list[Row]]:
    """The columns under which some row says something, the first and last ones; and the rows."""
    rows = [row_of(record) for record in records]
    names = tuple(COLUMNS)
    kept = (*range(_FIRST), *range(len(names) - _LAST, len(names)))
    places = [n for n in range(len(names)) if n in kept or any(row.cells[n].text for row in rows)]
    shown = [replace(row, cells=tuple(row.cells[n] for n in places)) for row in rows]
    return tuple(names[n] for n in places), shown


def _unfinished(left: int) -> list[str]:
    if not left:
        return []
    return [f"This run is not finished: {counted(left, 'planned measurement')} missing."]


def _sections(told: Told, drawings: Sequence[tuple[str, str]]) -> Iterator[Section]:
    records = told.analysis.records
    forests = {
        "speedup": tuple(speedups(records, told.delta)),
        "latency": tuple(latencies(records)),
        "memory": tuple(memories(records)),
    }
    yield Section(name="decision", heading="What to choose")
    for kind, heading in captions.HEADINGS.items():
        own = (each for each in drawings if figure_kind(each[0]) == kind)
        section = Section(
            name=kind,
            heading=heading,
            caption=captions.caption(kind),
            figures=tuple(_drawn(*each, records) for each in own),
            forests=forests.get(kind, ()),
        )
        if section.is_drawn:
            yield section
    yield Section(name="rows", heading="All rows")
    yield Section(name="warnings", heading="Warnings")
    yield Section(name="environment", heading="Environment")
    yield Section(name="reproduce", heading="Reproduce")


def _drawn(name: str, svg: str, records: Sequence[Record]) -> Drawn:
    said, heading = finding(name, records), captions.heading(name)
    return Drawn(
        heading=heading,
        alt=f"{heading}. {captions.caption(name)} {said}".rstrip(),
        finding=said,
        svg=Markup(svg),  # noqa: S704 (matplotlib escapes what it writes)
    )


def _filters(rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """The columns that one chooses a value of, with the values that there are."""
    for name in ("factor", "verdict"):
        place = list(COLUMNS).index(name)
        values = dict.fromkeys(row.cells[place].text for row in rows)
        yield name, [value for value in values if value]


def _commit(machine: Environment) -> str:
    if machine.commit is None:
        return "no commit"
    return f"commit {machine.commit[:10]}{' with changes' if machine.dirty else ''}"


def _facts(machine: Environment) -> Iterator[tuple[str, str]]:
    """What is known of the machine, under the names that people use."""
    size, cache_size = memory(machine.memory_bytes), memory(machine.last_level_cache_bytes)
    told: list[tuple[str, Any]] = [
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
        ("commit", _commit(machine)),
        ("governor", machine.governor),
        ("load before the run", _load(machine.load_1min)),
        ("variables", ", ".join(f"{k}={v}" for k, v in machine.variables.items())),
        ("packages", ", ".join(f"{k} {v}" for k, v in machine.packages.items() if v)),
    ]
    return ((name, str(value)) for name, value in told if value not in (None, ""))


def _load(running: float | None) -> str:
    return "" if running is None else f"{running:.2f} processes on average of a minute"


def _commands(told: Told) -> str:
    commit = told.own_commit or told.environment.commit
    checkout = [f"git checkout {commit}"] if commit else []
    folder = told.folder or f"results/{told.run_id}"
    return "\n".join([*checkout, told.command, f"vitbench report {quote(folder)}"])
