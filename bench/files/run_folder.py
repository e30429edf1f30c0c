"""The folder of a run: its name, plan, environment and tasks. No torch.

A run is one folder::

    results/<run>/plan.json         the options, and every comparison
                  environment.json  the machine
                  journal.jsonl     see bench.files.journal
                  passes/           the task and the output of each process
                  results.csv       one row for each arm of each comparison
                  plots/            PNG and SVG
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.files.atomic import sync_folder, write_atomically
from bench.records.comparison import SCHEMA
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.records.plan import Plan
from bench.records.task import TASKS, Task

T = TypeVar("T")

# Earlier schemas of the files in results/reference: all fields that they lack have defaults. The
# calibration has 2.
_KEPT_SCHEMAS = (2, 4)
_READABLE = (SCHEMA, *_KEPT_SCHEMAS)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def new_run_id(now: datetime) -> str:
    """Return the default name of a run's folder: the time when it started."""
    return now.strftime("%Y%m%d-%H%M%S")


def check_run_folder(folder: Path) -> None:
    """Raise InputError if a run's folder exists or cannot be made; make nothing."""
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


def create_run_folder(folder: Path, plan: Plan, environment: Environment) -> None:
    """Make a run's folder with its plan and environment, whole or not at all.

    Raises InputError if it exists or cannot be made.
    """
    check_run_folder(folder)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        (part / "passes").mkdir(parents=True)
        write_json(part / "plan.json", plan)
        write_json(part / "environment.json", environment)
        part.rename(folder)
        sync_folder(folder.absolute().parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InputError(
            f"output folder {folder} cannot be made ({error.strerror}); give --out another"
        ) from error


def write_json(path: Path, record: Plan | Task[Any] | Environment) -> None:
    """Write one record as a JSON file; it is on disk when this returns."""
    text = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1, default=str)
    write_atomically(path, text + "\n")


def read_json(
    path: Path,
    folder: str = "a run, such as results/<run>",
    schemas: Sequence[int] = _READABLE,
) -> dict[str, Any]:
    """Read a JSON object without its schema, which must be one of ``schemas``.

    ``folder`` describes the expected folder. Raises InputError for a file that is missing, not a
    JSON object, or of another schema.
    """
    try:
        plain: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); expected the folder of {folder}"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); restore it or run again") from error
    if not isinstance(plain, dict):
        raise InputError(f"{path} is not a JSON object; restore it or run again")
    check_schema(path, plain.pop("schema", None), schemas)
    return plain


def check_schema(path: Path, schema: object, schemas: Sequence[int] = _READABLE) -> None:
    """Raise InputError for a file whose schema is none of ``schemas``, the current one first."""
    if schema not in schemas:
        raise InputError(
            f"{path} has schema {schema}; this vitbench reads schema {schemas[0]}: "
            "use the version that wrote it"
        )


def read_plan(run: Path) -> Plan:
    """Read a run's plan."""
    return _read(run / "plan.json", Plan)


def read_task(path: Path) -> Task[Any]:
    """Read the task of a worker process. Raises InputError for a file without one."""
    plain = read_json(path)
    kind = plain.get("kind")
    if kind not in TASKS:
        raise _changed(path, f"kind is {kind!r}; expected one of {', '.join(TASKS)}")
    return _record(path, plain, TASKS[kind])


def read_environment(run: Path) -> Environment:
    """Read the machine that a run was made on."""
    return _read(run / "environment.json", Environment)


def record_from(plain: dict[str, Any], kind: type[T]) -> T:
    """Build a record from parsed JSON: lists become tuples, and types are checked.

    Raises ValueError, with the place, for a field that is missing or of another type.
    """
    return msgspec.convert(plain, kind, dec_hook=_other)


def _other(kind: type[Any], value: Any) -> Any:
    """Return a field of a type that JSON lacks: a path."""
    return kind(value)


def _read(path: Path, kind: type[T]) -> T:
    return _record(path, read_json(path), kind)


def _record(path: Path, plain: dict[str, Any], kind: type[T]) -> T:
    try:
        record = record_from(plain, kind)
    except ValueError as error:
        raise _changed(path, error) from error
    for name in _more(plain, msgspec.to_builtins(record, enc_hook=str)):
        raise _changed(path, f"unknown field {name!r}")
    return record


def _changed(path: Path, how: object) -> InputError:
    return InputError(f"{path} was changed by hand ({how}); restore it or run again")


def _more(plain: Any, kept: Any) -> Iterator[str]:
    """Yield the names in the JSON that the record lacks."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(plain, dict):
        yield from sorted(plain.keys() - kept.keys())
        inner = [(value, kept[name]) for name, value in plain.items() if name in kept]
    elif isinstance(plain, list):
        inner = zip(plain, kept, strict=True)
    for part, made in inner:
        yield from _more(part, made)
