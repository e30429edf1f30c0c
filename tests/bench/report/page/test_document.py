"""bench.report.page.document: content of the page, escaping, and no external resources."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bench.report.page import figures as captions
from bench.report.page.document import page
from bench.report.page.figures import inline_svg
from bench.report.page.table_rows import PAGE_COLUMNS, row_of
from bench.report.plots.canvas import new_figure
from helpers.decisions import control, failed
from helpers.pages import HOSTILE, html, make_report_data, rows
from helpers.records import make_environment, make_record

HEADINGS = [column.heading for column in PAGE_COLUMNS]


class Reader(HTMLParser):
    """A page's source, and the tags, attributes and text in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.source, self.text = text, ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every tag of this name."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module", name="plain")
def _plain() -> Reader:
    return Reader(html(rows()))


def test_the_decision_comes_first(plain: Reader) -> None:
    """The decision, with interval, memory and error, precedes every plot."""
    text = re.sub(r"\s+", " ", plain.text)
    first = text[text.index("What to choose by latency") : text.index("How reliable is this?")]
    for said in ("linear + compile_blocks + bf16", "×1.90", "1.86 to 1.94", "300 MiB", "1.0e-02"):
        assert said in first
    assert text.index("linear + compile_blocks") < text.index("Right of ×1 is faster")


def test_every_row_is_in_the_table(plain: Reader) -> None:
    """Every row is in the table, failed ones with the reason; empty columns are left out."""
    cells = [attributes for attributes in plain.all("td") if "data-label" not in attributes]
    headings = [name for name in HEADINGS if f">{name}</th>" in plain.source]
    assert len(cells) >= len(rows()) * len(headings)
    assert headings[:6] == HEADINGS[:6]
    # Neither energy nor a training step was measured.
    assert {"latency", "memory"} < set(headings)
    assert not {"J/image", "gradient error"} & set(headings)
    assert "oom" in plain.text


def test_figures_have_a_text_alternative(plain: Reader) -> None:
    """Every figure has a text alternative; its drawing is hidden from screen readers."""
    plots = [a for a in plain.all("div") if a.get("role") == "img"]
    assert len(plots) == len(plain.all("figure")) >= 3
    assert all(len(each["aria-label"] or "") > 60 for each in plots)
    assert all(each["aria-hidden"] == "true" for each in plain.all("svg"))


def test_verdicts_and_memory_are_text(plain: Reader) -> None:
    """Verdict and memory plots are tables with the values as text in every arm's row."""
    assert len([a for a in plain.all("details") if "open" in a]) == 7
    for said in ("×1.20 (1.18 to 1.22)", "▲ faster", "300 MiB; process 900 MiB"):
        assert said in plain.text
    scopes = [a.get("scope") for a in plain.all("th")]
    assert scopes.count("rowgroup") > 3
    assert None not in scopes


def test_element_ids_are_unique(plain: Reader) -> None:
    """Element IDs are unique, and every internal link has a target."""
    names = [a["id"] for _, a in plain.tags if "id" in a]
    assert len(names) == len(set(names))
    targets = {(a["href"] or "")[1:] for a in plain.all("a")}
    assert targets <= set(names)
    assert {"decision", "rows", "environment", "reproduce", "speedup", "memory"} <= set(names)


def test_nothing_is_fetched(plain: Reader) -> None:
    """The page has no address but XML's namespaces, and a policy that forbids requests."""
    assert set(re.findall(r"https?://[\w.]+", plain.source)) <= {"http://www.w3.org"}
    assert "default-src 'none'" in plain.source
    assert not [a for _, a in plain.tags if a.get("src")]


def test_external_text_is_escaped() -> None:
    """Hostile names, errors, hosts and commands stay text."""
    hostile = [
        control("precision"),
        replace(failed("precision", HOSTILE, "crashed"), error=HOSTILE, note=HOSTILE),
        make_record(factor="precision", baseline="fp32", arm=HOSTILE, component=HOSTILE),
    ]
    machine = make_environment(host=HOSTILE, cpu=HOSTILE, variables={HOSTILE: HOSTILE})
    read = Reader(html(hostile, machine, command=HOSTILE, run_id=HOSTILE, started=HOSTILE))
    assert len(read.all("script")) == 1
    assert read.all("img") == []
    assert not [a for _, a in read.tags if any(name.startswith("on") for name in a)]
    assert read.text.count("{{ 7 * 7 }}") > 5
    assert "49" not in read.text[: read.text.index("All rows")]


def test_a_users_own_arms_have_a_page() -> None:
    """The page of a user's own arms states that there is no decision."""
    own = {"factor": "factory", "variant": None, "batch_size": None, "inputs": "1,8"}
    text = html([make_record(**own, baseline="a.py:f", arm="a.py:g")])
    assert "Nothing to choose from" in text
    assert "a.py:g" in text


def test_unfinished_run_is_marked_first(plain: Reader) -> None:
    """The section on reliability begins with the measurements that are still missing."""
    data = replace(make_report_data(rows()), left=3)
    text = Reader(page(data, [])).text
    believed = text[text.rindex("How reliable is this?") :].split()
    assert " ".join(believed[4:]).startswith("This run is not finished: 3 planned measurements")
    assert "not finished" not in plain.text


def test_page_of_a_failed_run() -> None:
    """A run without measurements has a page with the reasons and without figures."""
    read = Reader(html([failed("precision", "bf16", "crashed")]))
    assert "crashed" in read.text
    assert read.all("figure") == []


def test_warnings_have_their_remedies(plain: Reader) -> None:
    """A warning is shown with its remedy; a page without warnings states it."""
    busy = Reader(html(rows(), make_environment(load_1min=3.5)))
    assert "stop other programs" in busy.text
    assert "No warning." in plain.text


@pytest.mark.parametrize(
    ("column", "text", "sort"),
    [
        ("speed-up", "×1.25", 1.25),
        ("95 % interval", "1.20 to 1.30", 1.2),
        ("latency", "12.3 ms", 12.34),
        ("pays off after", "never", 1e300),
        ("memory", "", None),
        ("arm", "manual", None),
    ],
)
def test_cells_show_units_and_sort_by_numbers(column: str, text: str, sort: float | None) -> None:
    """A cell shows a value with its unit and sorts by the number."""
    row = row_of(make_record(break_even_images=float("inf")))
    cell = dict(zip(HEADINGS, row.cells, strict=True))[column]
    assert (cell.text, cell.sort) == (text, sort)


def test_times_have_intervals() -> None:
    """A latency has its interval in the table; a latency without one is marked."""
    (cell,) = (
        row_of(make_record(latency_low_ms=12.0, latency_high_ms=13.0)).cells[place]
        for place, name in enumerate(HEADINGS)
        if name == "latency"
    )
    assert cell.interval == "12.0 ms to 13.0 ms"
    alone = make_record(latency_low_ms=None, latency_high_ms=None, arm="alone")
    text = re.sub(r"<[^>]*>", "", html([alone]))
    assert "12.3 ms (no interval)" in text


def test_figures_have_a_finding(plain: Reader) -> None:
    """A figure's finding is in its caption and in its alternative text."""
    said = "compile_blocks of B/16 block b1 forward pays off after 1 000 images."
    assert said in plain.text
    alts = [each["aria-label"] or "" for each in plain.all("div") if each.get("role") == "img"]
    assert sum(said in alt for alt in alts) == 1


def test_parts_follow_the_decision(plain: Reader) -> None:
    """Each part of a decision has its gain and the workload on which it was measured."""
    text = re.sub(r"\s+", " ", plain.text)
    start = text.index("How each part was chosen")
    parts = text[start : text.rindex("How reliable is this?")]
    assert "of allpatcherlinear×1.10 (1.08 to 1.12)+4.0 % (+3.0 to +5.0 %)0 %patcher b1" in parts
    assert "attention b1open (only measured at fp32)" in parts


def test_every_figure_has_a_caption(plain: Reader) -> None:
    """Every kind of figure on the page has a heading and a caption."""
    kinds = set(re.findall(r'<section id="(\w+)">', plain.source))
    assert set(captions.HEADINGS) - {"trend"} <= kinds
    assert "run by run" in captions.caption("trend")


def test_colours_follow_the_page() -> None:
    """Black in a figure becomes the page's foreground colour."""
    figure = new_figure(8, 3, "title", "source")
    figure.subplots().plot([1, 2], color="black")
    text = inline_svg(figure, "name")
    assert "#000000" not in text
    assert "var(--fg)" in text
    assert 'id="name-' in text
    assert "<metadata" not in text
