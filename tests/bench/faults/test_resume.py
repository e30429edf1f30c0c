"""``run --resume``: refusals, and a run that is already complete."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import append_event
from bench.files.results_csv import read_csv
from bench.records.comparison import SCHEMA
from helpers.journals import read_samples
from helpers.processes import Ended, vitbench

pytestmark = [pytest.mark.slow, pytest.mark.long]


def refused(cwd: Path) -> str:
    """Return the one line on standard error of a resume that exits with code 2."""
    before = {path: path.read_bytes() for path in (cwd / "run").rglob("*.json*")}
    done = vitbench("run", "--resume", "run", cwd=cwd)
    assert done.returncode == 2
    assert {path: path.read_bytes() for path in before} == before
    (line,) = done.stderr.splitlines()
    return line


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file by hand."""
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def test_another_machine_or_version_is_refused(interrupted: Ended, tmp_path: Path) -> None:
    """The error lists every difference in machine, versions and commit."""
    cwd = interrupted.copied(tmp_path)
    path = cwd / "run" / "environment.json"
    before = json.loads(path.read_text())
    was = {"cpu": "8086", "torch": "2.0.0", "commit": "0" * 40, "code": "f" * 64}
    edit(path, lambda plain: plain.update(was))
    line = refused(cwd)
    assert line.startswith("vitbench: run cannot be resumed here: CPU was 8086, is ")
    assert line.endswith("; start a new run instead")
    assert f"; torch was 2.0.0, is {before['torch']}; " in line
    assert f"code of vitbench was ffffffffff, is {before['code'][:10]}; " in line
    # Outside a git repository the commit is unknown.
    assert ("commit was 0000000000, is " in line) == (before["commit"] is not None)


def without_passes(folder: Path) -> None:
    """Remove a field of the plan."""
    edit(folder / "plan.json", lambda plain: plain.pop("passes"))


def with_more(folder: Path) -> None:
    """Add an unknown field to the plan."""
    edit(folder / "plan.json", lambda plain: plain.update(speed=2))


def with_half_a_plan(folder: Path) -> None:
    """Truncate the plan."""
    path = folder / "plan.json"
    path.write_text(path.read_text()[:200])


def with_later_plan(folder: Path) -> None:
    """Give the plan a later schema version."""
    edit(folder / "plan.json", lambda plain: plain.update(schema=SCHEMA + 1))


def with_faster_sample(folder: Path) -> None:
    """Change a time in the journal."""
    path = folder / "journal.jsonl"
    path.write_text(path.read_text().replace('"arm_s": [0.', '"arm_s": [0.0'))


def with_later_line(folder: Path) -> None:
    """Append a line with a later schema version to the journal."""
    append_event(folder / "journal.jsonl", "sample", schema=SCHEMA + 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            without_passes,
            "run/plan.json was changed by hand (Object missing required field",
        ),
        (with_more, "run/plan.json was changed by hand (unknown field 'speed')"),
        (with_half_a_plan, "run/plan.json is not JSON ("),
        (with_later_plan, f"run/plan.json has schema {SCHEMA + 1}; this vitbench reads schema"),
        (with_faster_sample, " was changed by hand (its checksum does not match); restore it, or"),
        (with_later_line, f"run/journal.jsonl has schema {SCHEMA + 1}; this vitbench reads"),
    ],
)
def test_a_changed_folder_is_refused(
    change: Callable[[Path], None], says: str, interrupted: Ended, tmp_path: Path
) -> None:
    """The error has the file and line that was changed or is of a later version."""
    cwd = interrupted.copied(tmp_path)
    change(cwd / "run")
    assert says in refused(cwd)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """The error has the folder and what was expected."""
    (tmp_path / "run").mkdir()
    assert "run/plan.json cannot be read (No such file or directory); expected" in refused(tmp_path)


def test_a_finished_run_measures_nothing_new(resumed: Ended, tmp_path: Path) -> None:
    """A second resume changes neither the journal nor the CSV."""
    cwd, first = resumed.copied(tmp_path), resumed.done
    files = [cwd / "run" / name for name in ("journal.jsonl", "results.csv")]
    before = [path.read_bytes() for path in files]
    again = vitbench("run", "--resume", "run", cwd=cwd)
    assert again.returncode == 0
    assert again.stdout == first.stdout
    assert [path.read_bytes() for path in files] == before


def test_an_edited_csv_is_made_again_and_kept(resumed: Ended, tmp_path: Path) -> None:
    """``report`` rewrites the rows, keeps the edited file beside them, and prints a note."""
    cwd = resumed.copied(tmp_path)
    path = cwd / "run" / "results.csv"
    rows, edited = read_csv(path), path.read_text().replace(",ok,", ",wrong,")
    path.write_text(edited)
    done = vitbench("report", "run", cwd=cwd)
    assert done.returncode == 0
    assert (
        "results.csv was changed by hand; that version is kept as results.old-1.csv" in done.stderr
    )
    assert (cwd / "run" / "results.old-1.csv").read_text() == edited
    assert read_csv(path) == rows


def test_a_half_written_line_is_reported_and_measured_again(resumed: Ended, tmp_path: Path) -> None:
    """A last line cut by a power loss is measured again; the rest is unchanged."""
    cwd = resumed.copied(tmp_path)
    journal = cwd / "run" / "journal.jsonl"
    before = read_samples(cwd / "run")
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(lines) if b'"kind": "sample"' in line)
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:-100])
    done = vitbench("run", "--resume", "run", cwd=cwd)
    assert done.returncode == 0
    assert "1 half-written line of the journal will be measured again" in done.stderr
    *others, again = read_samples(cwd / "run")
    assert others == before[:3]
    assert (again.key, again.pass_index) == (before[3].key, 1)
    assert again != before[3]
