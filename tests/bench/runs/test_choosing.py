"""A real run that chooses a combination, measures it and reports it in every format."""

import re
from pathlib import Path

import pytest

from bench.files.journal import read_events
from bench.files.results_csv import read_csv
from bench.records.comparison import CHOICE
from helpers.journals import choices_from
from helpers.processes import vitbench
from helpers.runs import FinishedRun

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_the_choice_is_measured(finished: FinishedRun) -> None:
    """The choice is measured last, once, beside the default arm's control, and reported."""
    events, _ = read_events(finished.folder / "journal.jsonl")
    (choice,) = choices_from(events)
    assert [each.arm_name for each in choice.comparisons] == ["plain", "bf16"]
    rows = {r.arm: r for r in read_csv(finished.folder / "results.csv") if r.factor == CHOICE}
    assert set(rows) == {"plain", "bf16"}
    assert all(row.rounds and row.allocated_bytes for row in rows.values())
    assert rows["bf16"].memory_ratio is not None
    assert rows["bf16"].memory_ratio < 0.75
    assert finished.done.stdout.startswith("What to choose by memory")
    assert re.search(r"^B/32 b1 forward 32px: .*bf16", finished.done.stdout, re.MULTILINE)


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
    done = vitbench("report", "run", "--objective", "latency", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "What to choose by latency" in (run / "report.html").read_text()
    assert not list(run.glob("*.part"))


def test_the_run_is_exported(finished: FinishedRun, tmp_path: Path) -> None:
    """The export goes to standard output or to a new file; an existing file is refused."""
    run = finished.copied(tmp_path)
    done = vitbench("export", "run", "--format", "csv", cwd=tmp_path)
    assert done.stdout == (run / "results.csv").read_text()
    for code in (0, 2):
        done = vitbench("export", "run", "--format", "junit", "--out", "junit.xml", cwd=tmp_path)
        assert done.returncode == code
    assert "exists; give --out a new name" in done.stderr
    assert (tmp_path / "junit.xml").stat().st_size > 500


def test_the_run_is_added_to_a_history_once(finished: FinishedRun, tmp_path: Path) -> None:
    """The history has every arm but the choice; a second add is refused; one run has no trend."""
    run = finished.copied(tmp_path)
    for code in (0, 2):
        done = vitbench("history", "add", "run", "--file", "history.csv", cwd=tmp_path)
        assert done.returncode == code, done.stderr
    assert f"has run '{finished.folder.name}' already" in done.stderr
    arms = [row for row in read_csv(run / "results.csv") if row.factor != CHOICE]
    assert all(row.yardstick_ratio and row.yardstick_ms for row in arms)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + len(arms)
    done = vitbench("trend", "--file", "history.csv", cwd=tmp_path)
    assert "over 1 run (too few: a change can be found from 11 on): no lasting" in done.stdout
    assert (tmp_path / "trend.png").stat().st_size > 1000


def test_an_interrupted_choice_is_finished(finished: FinishedRun, tmp_path: Path) -> None:
    """A run that ended after its choice, before measuring it, resumes from the journal."""
    lines = (finished.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"kind": "choice"' in line)
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in ("plan.json", "environment.json"):
        (cut / name).write_bytes((finished.folder / name).read_bytes())
    (cut / "passes").mkdir()
    (cut / "journal.jsonl").write_bytes(b"".join(lines[: place + 1]))
    done = vitbench("run", "--resume", "cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(choices_from(read_events(cut / "journal.jsonl")[0])) == 1
    assert {r.arm for r in read_csv(cut / "results.csv") if r.factor == CHOICE} == {"plain", "bf16"}
