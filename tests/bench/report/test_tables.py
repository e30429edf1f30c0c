"""bench.report.tables: what a reader of a run sees, kept as golden texts."""

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bench.record import InputError, Record
from bench.report.tables import (
    HEADINGS,
    SINGLE,
    by_factor,
    cells,
    markdown,
    provenance,
    remarks,
    share_line,
    summary,
    verdict,
    workload,
)
from golden_text import check_golden
from makers import (
    NOT_MEASURED,
    make_analysis,
    make_controls,
    make_environment,
    make_record,
)

EQUIVALENT: dict[str, Any] = {
    "verdict": "equivalent",
    "speedup": 1.001,
    "speedup_low": 0.995,
    "speedup_high": 1.007,
    "detectable_effect": 0.009,
    "p_value": 0.7,
}
SLOWER = {"verdict": "slower", "speedup": 0.4, "speedup_low": 0.38, "speedup_high": 0.43}
WIDE: dict[str, Any] = {
    "verdict": "undecided",
    "speedup": 1.1,
    "speedup_low": 0.9,
    "speedup_high": 1.34,
    "detectable_effect": 0.31,
    "disturbed": 24,
    "unsteady": "arm in 1 of 3 passes",
}
ONE_PASS: dict[str, Any] = {"verdict": "undecided", "passes": 1, "detectable_effect": 1.2}
OUT_OF_MEMORY = NOT_MEASURED | {"status": "oom", "error": "OutOfMemoryError: 3 GiB"}
PRECISION: dict[str, Any] = {
    "factor": "precision",
    "component": "model",
    "baseline": "fp32",
    "device": "cuda",
    "device_name": "NVIDIA H200",
}
NOTE = "this CPU has no avx512_bf16"
RUN = [
    make_record(arm="mha", **EQUIVALENT),
    make_record(),
    make_record(arm="sdpa", **WIDE),
    make_record(arm="mha", mode="train", latency_ms=1234.5, **ONE_PASS),
    make_record(mode="train", **OUT_OF_MEMORY),
    make_record(arm="sdpa", mode="train", **OUT_OF_MEMORY),
    make_record(arm="fp32", latency_ms=0.0567, **PRECISION | EQUIVALENT),
    make_record(arm="bf16", precision="bf16", note=NOTE, **PRECISION | SLOWER),
]
STRAY = make_controls(count=2, strayed=1, widening=1.625)
CAUSES = {"steal": 20, "memory": 4}
ANALYSIS = make_analysis(RUN, {"cpu": STRAY, "cuda": make_controls(count=1)}, CAUSES)


def printed(*given: Any, width: int = 130) -> str:
    """What is printed in a terminal, without the blanks at the ends of lines."""
    console = Console(file=StringIO(), width=width)
    with console.capture() as capture:
        console.print(*given)
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE)


def test_summary() -> None:
    """The tables in a terminal of 130 columns: warnings, controls, rows, verdicts, remarks."""
    text = printed(summary(ANALYSIS, ["3 torch threads share 2 of the cores"]))
    check_golden("summary.txt", text)


def test_markdown() -> None:
    """The tables as Markdown, for a README or a pull request."""
    check_golden("markdown.txt", markdown(ANALYSIS, ("attention", "precision")))


def test_markdown_of_a_factor() -> None:
    """Only the rows of the factors that were asked for, below what holds for the whole run."""
    text = markdown(ANALYSIS, ("precision",))
    assert "**precision**" in text
    assert "**attention**" not in text
    assert text.startswith("- Controls on cpu: 1 of 2 copies")


def test_markdown_of_a_factor_that_was_not_measured() -> None:
    """The error names those that were."""
    with pytest.raises(InputError, match="factor 'compile' was not measured; expected some of att"):
        markdown(ANALYSIS, ("attention", "compile"))


def test_markdown_of_own_arms_has_all() -> None:
    """Without a choice every factor is shown, a user's own arms too, and every remark."""
    own = make_record(factor="factory", arm="a.py:f", baseline="a.py:g", inputs="2,8", note="slow")
    text = markdown(make_analysis([own]))
    assert "**compare**, against `a.py:g`" in text
    assert "| 2,8 forward | a.py:f |" in text
    assert text.endswith("- a.py:f: slow\n")


def test_markdown_is_rectangular() -> None:
    """Each row of a Markdown table has a cell under every heading."""
    text = markdown(ANALYSIS, ("attention", "precision"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(RUN) + 2 * 2
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}


def test_by_factor() -> None:
    """Rows stand together by device and factor, in their order."""
    groups = [(group[0].device, group[0].factor, len(group)) for group in by_factor(RUN)]
    assert groups == [("cpu", "attention", 6), ("cuda", "precision", 2)]


def test_cells() -> None:
    """A row's cells carry their units."""
    expected = "B/16 attention b1 forward|manual|12.3 ms|×1.25|1.20 to 1.30|5.5 %|▲ faster|2.5e-07"
    assert "|".join(cells(make_record())) == expected


def test_cells_of_what_is_missing() -> None:
    """Where nothing was measured the cells are empty and the status stands for the verdict."""
    row = make_record(**NOT_MEASURED | {"status": "timeout"})
    assert cells(row) == (workload(row), "manual", "", "", "", "", "timeout", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "▲ faster"),
        (SLOWER, "▼ slower"),
        (EQUIVALENT, "= equivalent"),
        (WIDE, "? undecided"),
        ({"arm": "mha", **EQUIVALENT}, "= equivalent (control)"),
        ({"status": "wrong", "verdict": None}, "wrong"),
        ({"status": "skipped", "verdict": None, "arm": "mha"}, "skipped"),
    ],
)
def test_verdict(changes: dict[str, Any], said: str) -> None:
    """A verdict has a sign that does without colour; a row without one says its status."""
    assert verdict(make_record(**changes)) == said


@pytest.mark.parametrize(("passes", "said"), [((1, 1), True), ((1, 2), False), ((), False)])
def test_a_single_pass_is_said(passes: tuple[int, ...], *, said: bool) -> None:
    """Where no process was repeated the tables say what was taken for its difference."""
    records = [make_record(passes=count) for count in passes]
    assert (SINGLE in printed(summary(make_analysis(records)), width=400)) is said


def test_an_empty_run() -> None:
    """A run without rows has a summary: what its controls say."""
    text = printed(summary(make_analysis([], {})))
    assert text.strip() == ""


def test_workload_of_a_users_own_arms() -> None:
    """A user's own arms are named by their inputs, parts of vitcore by their sizes."""
    assert workload(make_record(inputs="1,197,768", variant=None)) == "1,197,768 forward"
    assert workload(make_record(image_size=384)) == "B/16 attention b1 forward 384px"


def test_remarks_are_counted_once() -> None:
    """Equal reasons and notes stand once, with the number of their rows, in the rows' order."""
    rows: list[Record] = [*RUN, make_record(arm="bf16", note=NOTE), make_record(**OUT_OF_MEMORY)]
    assert remarks(rows) == [
        "unsteady (sdpa, B/16 attention b1 forward): arm in 1 of 3 passes",
        "oom (manual): OutOfMemoryError: 3 GiB [2 rows]",
        "oom (sdpa): OutOfMemoryError: 3 GiB",
        f"bf16: {NOTE} [2 rows]",
    ]


def test_no_remarks() -> None:
    """Where all went well there is nothing to remark."""
    assert remarks([make_record()]) == []


@pytest.mark.parametrize(
    ("changes", "hardware", "commit"),
    [
        ({}, "AMD EPYC 7B13, 2 threads", "commit 0123456789"),
        ({"dirty": True}, "AMD EPYC 7B13, 2 threads", "commit 0123456789 with changes"),
        ({"commit": None, "dirty": None}, "AMD EPYC 7B13, 2 threads", "no commit"),
        ({"gpus": ("H200",)}, "AMD EPYC 7B13, 2 threads, H200", "commit 0123456789"),
    ],
)
def test_provenance(changes: dict[str, Any], hardware: str, commit: str) -> None:
    """Hardware, versions, commit and time, and below them the command that repeats the run."""
    text = provenance(make_environment(**changes), "vitbench run --quick", "2026-01-02T03:04:05")
    versions = "torch 2.9.0, Python 3.12.1"
    assert text == (f"{hardware}; {versions}; {commit}; 2026-01-02T03:04:05\nvitbench run --quick")


@pytest.mark.parametrize(
    ("share", "start"),
    [(None, "Nothing was measured."), (0.784, "78% of 3 min 20 s of measuring was inside")],
)
def test_share_line(share: float | None, start: str) -> None:
    """The measuring share is said, or that there is none."""
    assert share_line(share, 200).startswith(start)
