"""Which rows belong together, and what they are called."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from bench.records.comparison import OWN_FACTOR
from bench.records.row import Record

K = TypeVar("K")
_USUAL_PIXELS = 224


def factor_name(record: Record) -> str:
    """What a row's comparison varies, as people say it."""
    return "compare" if record.factor == OWN_FACTOR else record.factor


def workload(record: Record) -> str:
    """Short name of a row's workload: ``B/16 model b1 train``, with an unusual image size."""
    if record.inputs is not None:
        return f"{record.inputs} {record.mode}"
    name = f"{record.variant} {record.component} b{record.batch_size} {record.mode}"
    return name if record.image_size == _USUAL_PIXELS else f"{name} {record.image_size}px"


def grouped(records: Iterable[Record], key: Callable[[Record], K]) -> dict[K, list[Record]]:
    """The rows by key, wherever they stand; keys and rows in the order of the rows."""
    found: dict[K, list[Record]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found


def by_factor(records: Iterable[Record]) -> list[list[Record]]:
    """The rows of each device and factor."""
    return list(grouped(records, lambda record: (record.device, record.factor)).values())


def distinct(records: Iterable[Record]) -> Iterator[Record]:
    """Of rows that are one case, as the usual arm is under several factors, the first."""
    seen = set()
    for record in records:
        key = (workload(record), None if record.is_usual else (record.factor, record.arm))
        if key not in seen:
            seen.add(key)
            yield record
