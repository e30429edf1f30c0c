"""``history.csv``: one line per series and run, simple enough to keep in git. No torch."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.files.atomic import write_atomically
from bench.files.csv_rows import csv_text, missing_column, parse_row
from bench.records.comparison import CHOICE, OWN_FACTOR
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.records.row import Record

HISTORY_SCHEMA = 1
USUAL_NAME = "history.csv"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One series in one run: ``ratio`` is the arm's time / the yardstick's, with its interval.

    ``time`` is the start of the run, in ISO 8601. A machine that is faster at everything leaves the
    ratio as it is; ``device_name`` and ``torch`` mark changes that may not.
    """

    schema: int
    time: str
    commit: str | None
    run_id: str
    device: str
    device_name: str
    torch: str
    series: str
    ratio: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.schema != HISTORY_SCHEMA:
            raise ValueError(f"schema is {self.schema}; expected {HISTORY_SCHEMA}")
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio is {self.ratio}; expected a positive number")


HISTORY_COLUMNS = tuple(each.name for each in fields(Point))


def series_name(record: Record) -> str:
    """Return a row's name in a history: ``precision B/16 model b1 forward cpu bf16``.

    Of a user's own arm: ``compare 8,197,768 forward cpu mine.py:make``.
    """
    return f"{record.factor_name} {record.workload.name} {record.device} {record.arm}"


def points(
    records: Iterable[Record], environment: Environment, started: str, commit: str | None = None
) -> list[Point]:
    """Return the points of a run: its arms that were measured together with the yardstick.

    Chosen combinations are left out, since the next run may choose others. ``commit`` is that of
    a user's own arms.
    """
    return [
        Point(
            schema=HISTORY_SCHEMA,
            time=started,
            commit=commit if record.factor == OWN_FACTOR else record.commit,
            run_id=record.run_id,
            device=record.device,
            device_name=record.device_name,
            torch=environment.torch,
            series=series_name(record),
            ratio=record.yardstick_ratio,
            low=record.yardstick_low,
            high=record.yardstick_high,
        )
        for record in records
        if record.yardstick_ratio is not None and record.status == "ok" and record.factor != CHOICE
    ]


def append(path: Path, found: Sequence[Point]) -> None:
    """Append points to a history; the file is on disk whole or not at all.

    Raises InputError if the history has their run already, or is not a history.
    """
    before = read(path) if path.exists() else []
    runs = {each.run_id for each in before} & {each.run_id for each in found}
    if runs:
        raise InputError(
            f"{path} has run {min(runs)!r} already; nothing was added (one run counts once)"
        )
    columns = _columns(path) if before else HISTORY_COLUMNS
    text = path.read_text(encoding="utf-8") if before else ""
    if text and not text.endswith("\n"):
        text += "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    more = csv_text(columns, (asdict(each) for each in found), header=not before)
    write_atomically(path, text + more)


def _columns(path: Path) -> Sequence[str]:
    """Return the columns in the order of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def read(path: Path) -> list[Point]:
    """Return every point of a history. Raises InputError, with the line, if it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a history: it is not UTF-8 text; restore it") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); start a history with: "
            "vitbench history add results/RUN"
        ) from error
    reader = csv.DictReader(io.StringIO(text))
    if missing := missing_column(Point, reader.fieldnames):
        raise InputError(f"{path} is not a history: it lacks the column {missing!r}; restore it")
    return list(_points(path, reader))


def _points(path: Path, rows: Iterable[dict[str, Any]]) -> Iterator[Point]:
    for number, row in enumerate(rows, start=2):
        try:
            point = parse_row(row, Point)
        except ValueError as error:
            raise InputError(
                f"{path} line {number} is not a point of a history ({error}); restore it, or "
                "remove the line"
            ) from error
        yield point
