"""``bench.read_run`` and ``bench.read_history``: results as pandas.DataFrame. No torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from bench.files.history_csv import Point, read
from bench.files.results_csv import read_csv
from bench.records.errors import InputError, one_line
from bench.records.row import Record
from bench.report.frames import frame_of
from bench.runs.state import load

if TYPE_CHECKING:
    import pandas as pd


def read_run(folder: str | Path) -> "pd.DataFrame":
    """Return the rows of a run: one for each arm of each comparison, controls included.

    ``folder`` is that of ``vitbench run``, or of ``vitbench compare --out``. Columns are those of
    results.csv, with their units in their names; a missing value is ``pandas.NA``. Without
    results.csv the rows are computed from the journal, so that an unfinished run can be read, too.
    Raises InputError for a folder without a run, or one that was changed by hand.
    """
    folder = Path(folder)
    table = folder / "results.csv"
    return frame_of(read_csv(table) if table.exists() else load(folder).records, Record)


def read_history(path: str | Path) -> "pd.DataFrame":
    """Return the points of a history, such as results/history.csv: one for each series and run.

    ``ratio``, ``low`` and ``high`` are the arm's time / the yardstick's with its 95 % interval,
    ``baseline_ratio``, ``baseline_low`` and ``baseline_high`` that / its baseline's;
    ``time`` is the start of the run, in UTC. A missing value is ``pandas.NA``. Raises InputError
    for a file that is not a history.
    """
    import pandas as pd

    frame = frame_of(read(Path(path)), Point)
    try:
        frame["time"] = pd.to_datetime(frame["time"], format="ISO8601", utc=True)
    except ValueError as error:
        raise InputError(
            f"{path} has a time that is not in ISO 8601 ({one_line(error)}); restore it, or remove "
            "the line"
        ) from error
    return frame
