"""The report page of a small run, and of one with hostile names."""

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.aim import Aim
from bench.analysis.decision import decide
from bench.records.comparison import CHOICE, DELTA
from bench.records.environment import Environment
from bench.records.row import Record
from bench.report.page.document import page
from bench.report.page.figures import FIGURES, inlined
from bench.report.plots.run_figures import draw
from bench.report.report_data import ReportData
from helpers.decisions import arm, control, failed, repeats, run
from helpers.records import make_analysis, make_environment

HOSTILE = (
    "<script>alert('x')</script>'\"><img src=x onerror=alert(1)> $\\frac{1}{0}$ &amp; {{ 7 * 7 }}"
)


def rows() -> list[Record]:
    """Return a small run with content for every section of the page."""
    sizes = {"allocated_bytes": 300 * 2**20, "process_bytes": 900 * 2**20, "flop": 2e9}
    speeds = {"gflop_per_s": 100.0, "limit_gflop_per_s": 200.0, "limit_share": 0.5}
    costs = {**sizes, **speeds, "moved_bytes": 5e7, "copy_gb_per_s": 20.0}
    compiled = {"compile_cold_s": 20.0, "compile_warm_s": 3.0, "break_even_images": 1e3}
    return run(
        control("compile", **costs),
        arm("compile", "compile_blocks", 1.2, **costs, **compiled),
        failed("precision", "amp_fp16", "oom"),
        control(CHOICE, **costs),
        arm(CHOICE, "linear+compile_blocks+bf16", 1.9, output_error=1e-2, **costs),
    )


def html(records: Sequence[Record], environment: Environment | None = None, **texts: str) -> str:
    """Return the page of some rows as HTML."""
    return page(
        make_report_data(records, environment, **texts),
        inlined(draw(records, "source", DELTA, FIGURES)),
    )


def make_report_data(
    records: Sequence[Record], environment: Environment | None = None, **texts: str
) -> ReportData:
    """Build the report data of some rows."""
    usual = {"run_id": "20260102-030405", "command": "vitbench run", "started": "2026-01-02"}
    return ReportData(
        **{**usual, **texts},  # type: ignore[arg-type]
        environment=environment or make_environment(),
        analysis=make_analysis(records),
        decisions=decide(records, Aim(), repeats),
        aim=Aim(),
        spent_s=575.0,
        timed_share=0.62,
    )


def written(folder: Path, text: str) -> Path:
    """Write the page to a file."""
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path
