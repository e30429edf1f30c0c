"""A real run that chooses, measures what it chose, and tells it in every form."""

import subprocess
from pathlib import Path

import pytest

from bench.files.journal import read_events
from bench.files.results_csv import read_csv
from bench.records.comparison import CHOICE
from helpers.journals import choices_from
from helpers.processes import SMALL, command, environment, vitbench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("choosing")


@pytest.fixture(scope="module", name="finished")
def _finished(folder: Path) -> subprocess.CompletedProcess[str]:
    """By memory, of which a half is surely less: bf16 is chosen whatever the machine does."""
    what = (
        "--choose",
        "--factors",
        "precision",
        "--objective",
        "memory",
        "--passes",
        "1",
        "--budget",
        "150s",
    )
    done = subprocess.run(
        command("run", *SMALL, *what, "--out", "run"),
        cwd=folder,
        env={**environment(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_what_was_chosen_is_measured(
    folder: Path, finished: subprocess.CompletedProcess[str]
) -> None:
    """After everything else, once, beside the default arm's own control; and so it is told."""
    events, _ = read_events(folder / "run" / "journal.jsonl")
    (choice,) = choices_from(events)
    assert [each.arm_name for each in choice.comparisons] == ["plain", "bf16"]
    rows = {r.arm: r for r in read_csv(folder / "run" / "results.csv") if r.factor == CHOICE}
    assert set(rows) == {"plain", "bf16"}
    assert all(row.rounds and row.allocated_bytes for row in rows.values())
    assert rows["bf16"].memory_ratio is not None
    assert rows["bf16"].memory_ratio < 0.75
    first, *_ = finished.stdout.splitlines()
    assert first.startswith("What to choose by memory")
    assert (
        finished.stdout.rstrip()
        .splitlines()[-1]
        .startswith("Choose for B/32 b1 forward 32px: bf16")
    )


def test_a_jobs_page_has_it(folder: Path, finished: subprocess.CompletedProcess[str]) -> None:
    """What to choose, and the tables, as Markdown."""
    assert finished.returncode == 0
    text = (folder / "summary.md").read_text()
    assert text.startswith("**What to choose by memory")
    assert "**precision**, against `fp32`" in text


def test_the_page_is_made_again(folder: Path, finished: subprocess.CompletedProcess[str]) -> None:
    """With another objective too; nothing half-written is left."""
    assert finished.returncode == 0
    run = folder / "run"
    (run / "report.html").unlink()
    done = vitbench("report", "run", "--objective", "latency", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "What to choose by latency" in (run / "report.html").read_text()
    assert not list(run.glob("*.part"))


def test_it_is_exported(folder: Path, finished: subprocess.CompletedProcess[str]) -> None:
    """To standard output, or to a file that is not there yet."""
    assert finished.returncode == 0
    done = vitbench("export", "run", "--format", "csv", cwd=folder)
    assert done.stdout == (folder / "run" / "results.csv").read_text()
    for code in (0, 2):
        done = vitbench("export", "run", "--format", "junit", "--out", "junit.xml", cwd=folder)
        assert done.returncode == code
    assert "exists; give --out a new name" in done.stderr
    assert Path(folder / "junit.xml").stat().st_size > 500


def test_it_is_kept_in_a_history_once(
    folder: Path, finished: subprocess.CompletedProcess[str]
) -> None:
    """Every arm but the choice, beside the yardstick; one run has no trend yet."""
    assert finished.returncode == 0
    for code in (0, 2):
        done = vitbench("history", "add", "run", "--file", "history.csv", cwd=folder)
        assert done.returncode == code, done.stderr
    assert "has run 'run' already" in done.stderr
    arms = [row for row in read_csv(folder / "run" / "results.csv") if row.factor == "precision"]
    assert all(row.yardstick_ratio and row.yardstick_ms for row in arms)
    assert len((folder / "history.csv").read_text().splitlines()) == 1 + len(arms)
    done = vitbench("trend", "--file", "history.csv", cwd=folder)
    assert (
        "over 1 run (too few: a change can be found from 10 on): no lasting change." in done.stdout
    )
    assert (folder / "trend.png").stat().st_size > 1000


def test_an_interrupted_choice_is_finished(
    folder: Path, finished: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    """What was chosen stands in the journal: a run that ended before it was measured goes on."""
    assert finished.returncode == 0
    lines = (folder / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"kind": "choice"' in line)
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in ("plan.json", "environment.json"):
        (cut / name).write_bytes((folder / "run" / name).read_bytes())
    (cut / "passes").mkdir()
    (cut / "journal.jsonl").write_bytes(b"".join(lines[: place + 1]))
    done = vitbench("run", "--resume", "cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(choices_from(read_events(cut / "journal.jsonl")[0])) == 1
    assert {r.arm for r in read_csv(cut / "results.csv") if r.factor == CHOICE} == {"plain", "bf16"}
