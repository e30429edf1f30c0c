"""bench.runs.readers: runs and histories as typed pandas.DataFrame with NA for missing values."""

import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.files.history_csv import HISTORY_COLUMNS, append, points
from bench.files.results_csv import write_csv
from bench.records.errors import InputError
from bench.records.row import COLUMNS
from helpers.records import make_environment, make_record

KEPT = Path(__file__).parents[3] / "results/reference/amd-epyc-zen4-2-cores"
STARTED = "2026-01-02T03:04:05+01:00"


@pytest.fixture(name="history")
def _history(tmp_path: Path) -> Path:
    """Write a history of two runs, the second without an interval."""
    path, row = tmp_path / "history.csv", make_record(yardstick_ratio=0.4, yardstick_low=0.39)
    environment = make_environment()
    append(path, points([row], environment, STARTED))
    later = replace(row, run_id="later", yardstick_low=None)
    append(path, points([later], environment, "2026-02-01T00:00:00+00:00"))
    return path


def test_a_run_is_read_with_and_without_its_csv(tmp_path: Path) -> None:
    """The journal gives the same rows as results.csv."""
    (tmp_path / "run").mkdir()
    for name in ("plan.json", "environment.json", "journal.jsonl"):
        shutil.copy(KEPT / name, tmp_path / "run")
    kept, again = bench.read_run(KEPT), bench.read_run(str(tmp_path / "run"))
    assert tuple(kept.columns) == COLUMNS
    assert len(kept) > 50
    pd.testing.assert_frame_equal(kept, again, rtol=1e-9)


def test_columns_are_typed_and_missing_values_are_na(tmp_path: Path) -> None:
    """Missing values are NA in every type, never 0 or empty text; infinity stays infinite."""
    row = make_record(break_even_images=math.inf, allocated_bytes=None, note=None, status="ok")
    write_csv(tmp_path / "results.csv", [row, make_record(allocated_bytes=12)])
    frame = bench.read_run(tmp_path)
    types = {name: str(frame[name].dtype) for name in ("rounds", "speedup", "allocated_bytes")}
    assert types == {"rounds": "Int64", "speedup": "Float64", "allocated_bytes": "Int64"}
    assert str(frame["note"].dtype).startswith("str")
    missing = [name for name, cell in asdict(row).items() if cell is None]
    assert "note" in missing
    assert frame[missing].iloc[0].isna().all()
    assert frame["break_even_images"].iloc[0] == math.inf
    assert frame["allocated_bytes"].iloc[1] == 12


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """The error has what was expected."""
    with pytest.raises(InputError, match="expected the folder of a run"):
        bench.read_run(tmp_path)


def test_a_history_has_times(history: Path) -> None:
    """Times are in UTC regardless of the runs' time zones."""
    frame = bench.read_history(history)
    assert tuple(frame.columns) == HISTORY_COLUMNS
    assert list(frame["time"]) == [
        pd.Timestamp("2026-01-02T02:04:05", tz="UTC"),
        pd.Timestamp("2026-02-01", tz="UTC"),
    ]
    assert frame["low"].isna().tolist() == [False, True]
    assert frame["ratio"].mean() == pytest.approx(0.4)


def test_an_invalid_time_is_refused(history: Path) -> None:
    """A history with an invalid time is refused in one line."""
    history.write_text(history.read_text("utf-8").replace(STARTED, "yesterday"), "utf-8")
    with pytest.raises(
        InputError, match=r"history\.csv has a time that is not in ISO 8601"
    ) as raised:
        bench.read_history(history)
    assert "\n" not in str(raised.value)
