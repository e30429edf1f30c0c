"""A real run with its choice in every format; a chosen combination is measured on resume."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.files.journal import append_event, read_events
from bench.files.results_csv import read_csv
from bench.records.comparison import CHOICE, DEFAULT_ARM, Arm, Comparison
from helpers.journals import choices_from
from helpers.processes import called, vitbench
from helpers.records import make_workload
from helpers.runs import FinishedRun

pytestmark = [pytest.mark.slow, pytest.mark.long]


CHOSEN = Comparison(
    factor=CHOICE,
    workload=make_workload(component="block", variant="B/32", patch_size=32, image_size=32),
    baseline=DEFAULT_ARM,
    arm=Arm(attention="sdpa", precision="bf16"),
)


def test_the_choice_is_printed_first(finished: FinishedRun) -> None:
    """The terminal's first line says by what is chosen."""
    assert finished.done.stdout.startswith("What to choose by memory")


def test_a_chosen_combination_is_measured_on_resume(finished: FinishedRun, tmp_path: Path) -> None:
    """A run that ended after its choice, before measuring it, resumes from the journal."""
    run = finished.copied(tmp_path)
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps({**plan, "budget_s": 200.0, "survey": False}))
    control = replace(CHOSEN, arm=DEFAULT_ARM)
    pair = [asdict(each) for each in (control, CHOSEN)]
    append_event(run / "journal.jsonl", CHOICE, comparisons=pair, passes=2)
    before = (run / "journal.jsonl").read_bytes()
    done = vitbench("run", "--resume", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (run / "journal.jsonl").read_bytes().startswith(before)
    rows = {row.arm: row for row in read_csv(run / "results.csv") if row.factor == CHOICE}
    assert {arm: (row.status, row.passes) for arm, row in rows.items()} == {
        "plain": ("ok", 2),
        "sdpa+bf16": ("ok", 2),
    }
    assert len(choices_from(read_events(run / "journal.jsonl")[0])) == 1
    assert (run / "plots" / f"speedup-cpu-{CHOICE}.svg").exists()


def test_the_job_summary_has_the_choice(finished: FinishedRun) -> None:
    """The job summary has the choice and the tables as Markdown."""
    assert finished.summary.startswith("**What to choose by memory")
    assert "**precision**, against `fp32`" in finished.summary


def test_the_page_is_made_again_for_another_objective(
    finished: FinishedRun, tmp_path: Path
) -> None:
    """``report`` writes the page anew and leaves no partial file."""
    run = finished.copied(tmp_path)
    (run / "report.html").unlink()
    done = called("report", "run", "--objective", "latency", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "What to choose by latency" in (run / "report.html").read_text()
    assert not list(run.glob("*.part"))


def test_the_run_is_exported(finished: FinishedRun, tmp_path: Path) -> None:
    """The export goes to standard output or to a new file; an existing file is refused."""
    run = finished.copied(tmp_path)
    done = called("export", "run", "--format", "csv", cwd=tmp_path)
    assert done.stdout == (run / "results.csv").read_text()
    for code in (0, 2):
        done = called("export", "run", "--format", "junit", "--out", "junit.xml", cwd=tmp_path)
        assert done.returncode == code
    assert "exists; give --out a new name" in done.stderr
    assert (tmp_path / "junit.xml").stat().st_size > 500


def test_the_run_is_added_to_a_history_once(finished: FinishedRun, tmp_path: Path) -> None:
    """The history has every arm but the choice; a second add is refused; one run has no trend."""
    run = finished.copied(tmp_path)
    for code in (0, 2):
        done = called("history", "add", "run", "--file", "history.csv", cwd=tmp_path)
        assert done.returncode == code, done.stderr
    assert f"has run '{finished.folder.name}' already" in done.stderr
    arms = [row for row in read_csv(run / "results.csv") if row.factor != CHOICE]
    assert all(row.yardstick_ratio and row.yardstick_ms for row in arms)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + len(arms)
    done = called("trend", "--file", "history.csv", cwd=tmp_path)
    assert "over 1 run (too few: a change can be found from 11 on): no lasting" in done.stdout
    assert (tmp_path / "trend.png").stat().st_size > 1000
