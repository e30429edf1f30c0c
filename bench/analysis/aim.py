"""What a choice is made by, and for which device, model, mode and batch size."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bench.records.comparison import OBJECTIVES, Workload
from bench.records.row import Record

# SGD is another algorithm than AdamW, not a faster implementation.
OTHER_ALGORITHMS = ("sgd",)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """Objective of the choice; ``max_error`` bounds output and gradient errors."""

    objective: str = OBJECTIVES[0]
    max_error: float | None = None

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise ValueError(f"objective is {self.objective!r}; expected one of {known}")

    def admits(self, record: Record) -> bool:
        """Return whether a row's arm may be chosen."""
        if record.status != "ok" or record.arm in OTHER_ALGORITHMS:
            return False
        if self.max_error is None:
            return True
        # An unmeasured error is not within a bound; forward has no gradient error.
        errors = (record.output_error, record.gradient_error)
        return record.output_error is not None and all(
            error is None or error <= self.max_error for error in errors
        )


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Device, model, mode and batch size of one decision."""

    device: str
    variant: str
    patch_size: int | None
    image_size: int | None
    mode: str
    batch_size: int


def situations(records: Iterable[Record]) -> list[Situation]:
    """Return the situations of rows by device, variant (in the rows' order), mode, batch size."""
    found = dict.fromkeys(situation(record) for record in records)
    variants = list(dict.fromkeys(each.variant for each in found))
    return sorted(found, key=lambda s: (s.device, variants.index(s.variant), s.mode, s.batch_size))


def situation(record: Record) -> Situation:
    """Return the situation of a row of vitcore."""
    return situation_of(record.workload)


def situation_of(workload: Workload) -> Situation:
    """Return the situation of a workload of vitcore."""
    return Situation(
        device=workload.device,
        variant=workload.variant or "",
        patch_size=workload.patch_size,
        image_size=workload.image_size,
        mode=workload.mode,
        batch_size=workload.batch_size or 1,
    )


def nearest(records: Sequence[Record], place: Situation) -> list[Record]:
    """Return a factor's rows at the situation's batch size, or at the nearest measured."""
    anywhere = [r for r in records if replace(situation(r), batch_size=place.batch_size) == place]
    if not anywhere:
        return []
    sizes = {record.batch_size or 1 for record in anywhere}
    nearest = min(sizes, key=lambda size: abs(math.log(size / place.batch_size)))
    return [record for record in anywhere if (record.batch_size or 1) == nearest]
