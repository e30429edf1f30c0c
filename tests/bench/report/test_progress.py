"""bench.report.progress: a line for each measured comparison, or a bar in a terminal."""

import re
from dataclasses import asdict
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bench.record import Sample
from bench.report.progress import RunProgress
from makers import make_comparison, make_plan, make_sample

CONTROL, CANDIDATE = make_comparison("mha"), make_comparison("manual")
PLAN = make_plan(passes=2, comparisons=(CONTROL, CANDIDATE))
SKIPPED = {"status": "skipped", "error": "no time", "arm_s": (), "baseline_s": ()}
SAMPLES = [
    make_sample(CANDIDATE, 0),
    make_sample(CONTROL, 0, **SKIPPED),
    make_sample(CANDIDATE, 1, arm_s=(0.0081,) * 6),
    make_sample(CONTROL, 1, **SKIPPED | {"status": "crashed"}),
]


def followed(samples: list[Sample], *, terminal: bool, width: int = 200) -> str:
    """What is written while these samples are measured."""
    console = Console(
        file=StringIO(), width=width, force_terminal=terminal, _environ={"TERM": "xterm"}
    )
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(PLAN)
        for sample in samples:
            start: dict[str, Any] = {"key": sample.key, "pass_index": sample.pass_index}
            progress.event({"kind": "start", **start})
            progress.event({"kind": "sample", **asdict(sample)})
        progress.end()
    return capture.get()


def test_lines() -> None:
    """Elsewhere than in a terminal each sample is one line; bounds appear with the second pass."""
    lines = followed(SAMPLES, terminal=False).splitlines()
    expected = [
        f"pass 1/2  1/4  {CANDIDATE.key}  ×1.25",
        f"pass 1/2  2/4  {CONTROL.key}  skipped",
        f"pass 2/2  3/4  {CANDIDATE.key}  ×1.24 1.15 to 1.34",
        f"pass 2/2  4/4  {CONTROL.key}  crashed",
    ]
    assert [re.sub(r"  \d+ s left$", "", line) for line in lines] == expected


def test_narrow_lines() -> None:
    """A line stays one line where the log is narrow, and has no control codes."""
    text = followed(SAMPLES, terminal=False, width=40)
    assert len(text.splitlines()) == len(SAMPLES)
    assert "\x1b" not in text


def test_time_left() -> None:
    """Every line says how much time is left; after the last it is none."""
    lines = followed(SAMPLES, terminal=False).splitlines()
    assert all(re.search(r"  (\d+ min )?\d+ s left$", line) for line in lines)
    assert lines[-1].endswith("  0 s left")


@pytest.mark.parametrize("samples", [[], SAMPLES], ids=["nothing", "all"])
def test_bar(samples: list[Sample]) -> None:
    """In a terminal a bar counts, shows what runs, and is taken away."""
    text = followed(samples, terminal=True)
    assert f"{len(samples)}/4" in text
    assert (CONTROL.key in text) is bool(samples)
    assert text.endswith("\x1b[2K")
