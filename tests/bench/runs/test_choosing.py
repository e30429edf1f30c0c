"""A real run that chooses, measures what it chose, and tells it in every form."""

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


def test_what_was_chosen_is_measured(finished: FinishedRun) -> None:
    """After everything else, once, beside the default arm's own control; and so it is told."""
    events, _ = read_events(finished.folder / "journal.jsonl")
    (choice,) = choices_from(events)
    assert [each.arm_name for each in choice.comparisons] == ["plain", "bf16"]
    rows = {r.arm: r for r in read_csv(finished.folder / "results.csv") if r.factor == CHOICE}
    assert set(rows) == {"plain", "bf16"}
    assert all(row.rounds and row.allocated_bytes for row in rows.values())
    assert rows["bf16"].memory_ratio is not None
    assert rows["bf16"].memory_ratio < 0.75
    first, *_, last = finished.done.stdout.splitlines()
    assert first.startswith("What to choose by memory")
    assert re.match(r"Choose for B/32 b1 forward 32px: .*bf16", last)


def test_a_jobs_page_has_it(finished: FinishedRun) -> None:
    """What to choose, and the tables, as Markdown."""
    assert finished.summary.startswith("**What to choose by memory")
    assert "**precision**, against `fp32`" in finished.summary


def test_the_page_is_made_again(finished: FinishedRun, tmp_path: Path) -> None:
    """With another objective too; nothing half-written is left."""
    run = finished.copied(tmp_path)
    (run / "report.html").unlink()
    done = vitbench("report", "run", "--objective", "latency", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "What to choose by latency" in (run / "report.html").read_text()
    assert not list(run.glob("*.part"))


def test_it_is_exported(finished: FinishedRun, tmp_path: Path) -> None:
    """To standard output, or to a file that is not there yet."""
    run = finished.copied(tmp_path)
    done = vitbench("export", "run", "--format", "csv", cwd=tmp_path)
    assert done.stdout == (run / "results.csv").read_text()
    for code in (0, 2):
        done = vitbench("export", "run", "--format", "junit", "--out", "junit.xml", cwd=tmp_path)
        assert done.returncode == code
    assert "exists; give --out a new name" in done.stderr
    assert (tmp_path / "junit.xml").stat().st_size > 500


def test_it_is_kept_in_a_history_once(finished: FinishedRun, tmp_path: Path) -> None:
    """Every arm but the choice, beside the yardstick; one run has no trend yet."""
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
    """What was chosen stands in the journal: a run that ended before it was measured goes on."""
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
