"""``history.csv``: one line per series and run, simple enough to keep in git. No torch."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.files.atomic import write_atomically
from bench.files.csv_rows import csv_text, parse_row
from bench.records.comparison import CHOICE, OWN_FACTOR
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.records.row import Record

HISTORY_SCHEMA = 2
# Histories of schema 1 have the same columns without the last ones.
_SCHEMAS = (1, HISTORY_SCHEMA)
USUAL_NAME = "history.csv"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One series in one run: ``ratio`` is the arm's time / the yardstick's, with its interval.

    ``time`` is the start of the run, in ISO 8601. A machine that is faster at everything leaves the
    ratio as it is; ``device_name``, ``threads``, ``cpu_flags`` and ``torch`` mark changes that may
    not. ``baseline_ratio`` is the arm's time / its baseline's from the same rounds, with its
    interval; it is None for the baseline itself.
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
    threads: int | None = None
    cpu_flags: str | None = None
    baseline: str | None = None
    baseline_ratio: float | None = None
    baseline_low: float | None = None
    baseline_high: float | None = None

    def __post_init__(self) -> None:
        if self.schema not in _SCHEMAS:
            expected = " or ".join(map(str, _SCHEMAS))
            raise ValueError(f"schema is {self.schema}; expected {expected}")
        for name in ("ratio", "baseline_ratio"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; expected a positive number")

    @property
    def kind(self) -> str:
        """Kind of machine: the GPU, or the processor with its threads and newest instructions.

        Virtual machines of one name may hide instructions of their processor.
        """
        if self.device == "cuda" or self.threads is None:
            return self.device_name
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        newest = (self.cpu_flags or "").split()[-1:]
        return ", ".join((self.device_name, threads, *newest))


HISTORY_COLUMNS = tuple(each.name for each in fields(Point))
_FIRST_COLUMNS = HISTORY_COLUMNS[: HISTORY_COLUMNS.index("threads")]


def series_name(record: Record) -> str:
    """Return a row's name in a history: ``precision B/16 model b1 forward cpu bf16``.

    With the precision of both arms where that is not the usual one. Of a user's own arm:
    ``compare 8,197,768 forward cpu mine.py:make``.
    """
    level = f" {record.common_precision}" if record.common_precision else ""
    return f"{record.factor_name} {record.workload.name}{level} {record.device} {record.arm}"


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
            threads=environment.threads,
            cpu_flags=" ".join(environment.cpu_flags) or None,
            baseline=record.baseline,
            **_against_baseline(record),
        )
        for record in records
        if record.yardstick_ratio is not None and record.status == "ok" and record.factor != CHOICE
    ]


def _against_baseline(record: Record) -> dict[str, float | None]:
    """Return the arm's time / its baseline's: the inverse of its speed-up; empty for a control."""
    if record.is_control or not record.speedup:
        return {}
    low, high = record.speedup_low, record.speedup_high
    return {
        "baseline_ratio": 1 / record.speedup,
        "baseline_low": 1 / high if high else None,
        "baseline_high": 1 / low if low else None,
    }


def append(path: Path, found: Sequence[Point]) -> None:
    """Append points to a history; the file is on disk whole or not at all.

    A history of an older schema gets the new columns, empty in its lines. Raises InputError if the
    history has their run already, or is not a history.
    """
    before = read(path) if path.exists() else []
    runs = {each.run_id for each in before} & {each.run_id for each in found}
    if runs:
        raise InputError(
            f"{path} has run {min(runs)!r} already; nothing was added (one run counts once)"
        )
    text, columns = _with_all_columns(path) if before else ("", HISTORY_COLUMNS)
    path.parent.mkdir(parents=True, exist_ok=True)
    more = csv_text(columns, (asdict(each) for each in found), header=not before)
    write_atomically(path, text + more)


def _with_all_columns(path: Path) -> tuple[str, Sequence[str]]:
    """Return the text of a history with every column, and the columns in the order of the file."""
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text))
    columns = list(reader.fieldnames or ())
    new = [name for name in HISTORY_COLUMNS if name not in columns]
    if new:
        return csv_text([*columns, *new], reader), [*columns, *new]
    return text if text.endswith("\n") else f"{text}\n", columns


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
    given = set(reader.fieldnames or ())
    if missing := next((name for name in _FIRST_COLUMNS if name not in given), None):
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
