"""``history.csv``: a line for each series of each run kept, plain enough for git. No torch."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.files.atomic import write_atomically
from bench.files.csv_rows import csv_text, missing_column, record_of
from bench.records.comparison import CHOICE, OWN_FACTOR
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.records.row import Record

HISTORY_SCHEMA = 1
USUAL_NAME = "history.csv"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One series in one run: ``ratio`` is the arm's time / the yardstick's, with its interval.

    ``time`` is when the run began, in ISO 8601. A change of machine cancels in the ratio as far as
    it is faster at everything; ``device_name`` and ``torch`` say where it may not.
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


COLUMNS = tuple(each.name for each in fields(Point))


def series_name(record: Record) -> str:
    """Return a row's name in a history: ``precision B/16 model b1 forward cpu bf16``.

    Of a user's own arm: ``compare 8,197,768 forward cpu mine.py:make``.
    """
    return f"{record.factor_name} {record.workload.name} {record.device} {record.arm}"


def points(
    records: Iterable[Record], environment: Environment, started: str, commit: str | None = None
) -> list[Point]:
    """What a run adds to a history: its arms that were measured with the yardstick.

    What the run itself chose is left out: the next run may choose another. ``commit`` is that of
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
    """Add points at the end of a history; on disk whole or not at all.

    Raises InputError where their run stands in it already, or where it is no history.
    """
    before = read(path) if path.exists() else []
    runs = {each.run_id for each in before} & {each.run_id for each in found}
    if runs:
        raise InputError(
            f"{path} has run {min(runs)!r} already; nothing was added (one run counts once)"
        )
    columns = _columns(path) if before else COLUMNS
    text = path.read_text(encoding="utf-8") if before else ""
    if text and not text.endswith("\n"):
        text += "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    more = csv_text(columns, (asdict(each) for each in found), header=not before)
    write_atomically(path, text + more)


def _columns(path: Path) -> Sequence[str]:
    """In the order in which the file has them."""
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def read(path: Path) -> list[Point]:
    """Every point of a history. Raises InputError where it is none; says which line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no history: it is no text in UTF-8; restore it") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); begin a history with: "
            "vitbench history add results/RUN"
        ) from error
    reader = csv.DictReader(io.StringIO(text))
    if missing := missing_column(Point, reader.fieldnames):
        raise InputError(f"{path} is no history: it lacks the column {missing!r}; restore it")
    return list(_points(path, reader))


def _points(path: Path, rows: Iterable[dict[str, Any]]) -> Iterator[Point]:
    for number, row in enumerate(rows, start=2):
        try:
            point = record_of(row, Point)
        except ValueError as error:
            raise InputError(
                f"{path} line {number} is no point of a history ({error}); restore it, or remove "
                "the line"
            ) from error
        yield point
