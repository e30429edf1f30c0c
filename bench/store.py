"""Files of a run: names, plans, environment, and ``results.csv`` both ways. No torch.

A run is one folder::

    results/<run>/plan.json         what was asked for, and every comparison
                  environment.json  the machine
                  journal.jsonl     see bench.journal
                  passes/           pytest-benchmark's raw JSON and the output of each pass
                  results.csv       one row for each arm of each comparison
                  plots/            PNG and SVG
"""

import csv
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

from bench.record import (
    COLUMNS,
    SCHEMA,
    Arm,
    Comparison,
    Environment,
    InputError,
    Record,
    Workload,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PassPlan:
    """What one pass process is told: which comparisons in which order, until when, and where to.

    ``deadline_s``, when the pass should end, and ``end_s``, when the run must, are in seconds
    since the epoch. Only a pass with ``check`` compares the arms with float64.
    """

    pass_index: int
    deadline_s: float
    end_s: float
    check: bool
    journal: Path
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run was asked for.

    ``run_id`` is the folder's name, ``command`` the command line that repeats it, ``started`` the
    time in ISO 8601.
    """

    run_id: str
    started: str
    command: str
    passes: int
    seed: int
    budget_s: float
    comparisons: tuple[Comparison, ...]


def new_run_id(now: datetime) -> str:
    """Name of a run's folder where the user gives none: the time it began."""
    return now.strftime("%Y%m%d-%H%M%S")


def check_run_folder(folder: Path) -> None:
    """Raise InputError, before anything is done, where a run's folder exists or cannot be made."""
    try:
        exists = folder.exists()
        parent = next(path for path in folder.absolute().parents if path.exists())
    except OSError as error:
        raise InputError(
            f"output folder {folder} cannot be made ({error.strerror}); give --out another"
        ) from error
    if exists:
        raise InputError(
            f"output folder {folder} exists; give --out a new name (nothing was overwritten)"
        )
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise InputError(
            f"output folder {folder} cannot be made in {parent}; give --out a folder that you "
            "may write"
        )


def create_run_folder(folder: Path) -> None:
    """Make a run's folder. Raises InputError where it exists or cannot be made."""
    check_run_folder(folder)
    try:
        (folder / "passes").mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"output folder {folder} cannot be made ({error.strerror}); give --out another"
        ) from error


def _comparison(plain: dict[str, Any]) -> Comparison:
    parts = {
        "workload": Workload(**plain["workload"]),
        "baseline": Arm(**plain["baseline"]),
        "arm": Arm(**plain["arm"]),
    }
    return Comparison(**{**plain, **parts})


def write_json(path: Path, record: Plan | PassPlan | Environment) -> None:
    """Write one record as a JSON file."""
    text = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); expected the folder of a run, such as "
            "results/<run>"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); restore it or run again") from error
    if not isinstance(plain, dict):
        raise InputError(f"{path} is no JSON object; restore it or run again")
    _check_schema(path, plain.pop("schema", None))
    return plain


def _check_schema(path: Path, schema: object, expected: object = SCHEMA) -> None:
    """Raise InputError where a file is of another schema; a CSV has it as text."""
    if schema != expected:
        raise InputError(
            f"{path} has schema {schema}; this vitbench reads schema {SCHEMA}: "
            "use the version that wrote it"
        )


def read_plan(run: Path) -> Plan:
    """Read a run's plan."""
    path = run / "plan.json"
    return _built(path, _plan_of(Plan), _read_json(path))


def read_pass_plan(path: Path) -> PassPlan:
    """Read what a pass process is told."""
    plan = _built(path, _plan_of(PassPlan), _read_json(path))
    return replace(plan, journal=Path(plan.journal))


def read_environment(run: Path) -> Environment:
    """Read the machine that a run was made on."""
    path = run / "environment.json"
    return _built(path, environment_from, _read_json(path))


def environment_from(plain: dict[str, Any]) -> Environment:
    """Build the record from what JSON gives. Raises TypeError where a field lacks."""
    return Environment(**{name: as_field(value) for name, value in plain.items()})


def as_field(value: Any) -> Any:
    """A field's value from what JSON gives, which knows no tuples."""
    return tuple(value) if isinstance(value, list) else value


def _plan_of(make: Callable[..., T]) -> Callable[[dict[str, Any]], T]:
    def build(plain: dict[str, Any]) -> T:
        comparisons = tuple(_comparison(each) for each in plain.pop("comparisons"))
        return make(**plain, comparisons=comparisons)

    return build


def _built(path: Path, make: Callable[[dict[str, Any]], T], plain: dict[str, Any]) -> T:
    """A record from its file. Raises InputError where a field lacks or is one too many."""
    try:
        return make(plain)
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path} was changed by hand ({error}); restore it or run again"
        ) from error


def write_csv(path: Path, records: Iterable[Record]) -> None:
    """Write ``results.csv`` whole or not at all; a missing value is an empty cell."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)
    part.replace(path)


def read_csv(path: Path) -> list[Record]:
    """Read ``results.csv``. Raises InputError for a file that lacks a column."""
    if not path.exists():
        raise InputError(f"{path} does not exist; make it with: vitbench report {path.parent}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if lacking:
            raise InputError(
                f"{path} lacks the column {lacking[0]!r}; make it again with: "
                f"vitbench report {path.parent}"
            )
        rows = list(reader)
    for row in rows:
        _check_schema(path, row["schema"], str(SCHEMA))
    try:
        return [_record(row) for row in rows]
    except ValueError as error:
        raise InputError(
            f"{path} was changed by hand ({error}); make it again with: "
            f"vitbench report {path.parent}"
        ) from error


def _record(row: dict[str, str]) -> Record:
    return Record(**{field.name: _cell(row[field.name], field.type) for field in fields(Record)})


def _cell(text: str, kind: Any) -> Any:
    """A cell as its column's type; empty is None where the column may lack a value."""
    options = get_args(kind) or (kind,)
    if text == "" and type(None) in options:
        return None
    return options[0](text)
