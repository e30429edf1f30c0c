"""bench.report.tables.gate: the Markdown of a pull request."""

from dataclasses import replace

from bench.analysis.gate import Check, new_target
from bench.report.tables.gate import gate_markdown, gate_notes
from helpers.reports import check_golden

ATTENTION, MINE = "vitcore:attention=sdpa,variant=B/16", "mine.py:f"
OK = Check(
    target=ATTENTION,
    metric="latency",
    outcome="ok",
    threshold=0.03,
    before=7.3,
    after=7.29,
    change=-0.0014,
    low=-0.012,
    high=0.009,
)
WORSE = Check(
    target=MINE,
    metric="memory",
    outcome="worse",
    threshold=0.01,
    before=100 * 2**20,
    after=150 * 2**20,
    change=0.5,
)
OPEN = Check(
    target=MINE,
    metric="latency",
    outcome="undecided",
    threshold=0.03,
    before=0.5,
    after=0.52,
    change=0.04,
    low=0.01,
    high=0.07,
    need_s=80.0,
)
LOST = Check(target=MINE, metric="latency", outcome="unknown", reason="crashed: killed by SIGSEGV")


def test_markdown_equals_the_golden_text() -> None:
    """Verdict, one row per target, findings and remedies equal the golden text."""
    error = Check(target=ATTENTION, metric="numeric error", outcome="ok", after=2e-7)
    flops = Check(
        target=ATTENTION,
        metric="flops",
        outcome="ok",
        threshold=0.001,
        before=1e9,
        after=1e9,
        change=0,
    )
    parameters = Check(
        target=ATTENTION,
        metric="parameters",
        outcome="ok",
        threshold=0.0,
        before=5,
        after=5,
        change=0,
    )
    started = Check(
        target=MINE,
        metric="compile time",
        outcome="ok",
        threshold=0.5,
        before=20,
        after=22,
        change=0.1,
    )
    lost = replace(LOST, target="mine.py:g")
    far = Check(target=MINE, metric="numeric error", outcome="worse", threshold=1e-6, after=2e-6)
    fresh = new_target("mine.py:h")
    told = [OK, error, flops, parameters, OPEN, WORSE, started, far, lost, fresh]
    check_golden("gate.md", gate_markdown(told, "origin/main") + "\n")


def test_first_line_is_the_verdict() -> None:
    """The first line has the verdict in words."""
    said = {
        "No target is worse than at `main`.": [OK],
        f"Worse than at `main`: {MINE} (memory).": [OK, WORSE, OPEN],
        f"Undecided against `main`: {MINE} (latency).": [OK, OPEN],
        f"Could not be measured against `main`: {MINE} (latency).": [OK, LOST, OPEN],
        f"Nothing at `main` to compare with: {MINE} (latency).": [new_target(MINE)],
    }
    for sentence, found in said.items():
        assert sentence in gate_markdown(found, "main").splitlines()[0]


def test_undecided_targets_have_a_remedy() -> None:
    """Undecided targets have a note with the missing time, or that no time suffices."""
    assert gate_notes([OPEN])[1:] == [
        "About 1 min 20 s more of --budget would decide 1 undecided target."
    ]
    endless = Check(target=MINE, metric="latency", outcome="undecided", threshold=0.03)
    *_, note = gate_notes([endless])
    assert "too close to the threshold to decide within a day" in note
    *_, note = gate_notes([replace(endless, is_wide=True)])
    assert note.startswith("1 target: not enough data to estimate the time to a decision")
    assert gate_notes([OK]) == []


def test_ungated_metrics_are_named() -> None:
    """Without a survey the last line has the metrics that were not gated."""
    *_, last = gate_markdown([OK], "main", survey=False).splitlines()
    assert last.startswith("- Not gated")
    assert last.endswith("(--no-survey): memory, flops, parameters.")
    assert "Not gated" not in gate_markdown([OK], "main")
