"""What one arm takes of memory by itself, as records. Standard library only.

A ``Case`` is one arm on one workload. ``Predicted`` is what its shapes say, on any machine;
``Measured`` is what a process that does nothing else found. A ``Footprint`` is both.
"""

from dataclasses import dataclass, field

from bench.record import FACTORS, STATUSES, Arm, Workload

# What memory is for, in the order in which tables and plots show it. Gradients of activations and
# whatever an operator needs for a moment are temporaries.
KINDS = ("parameters", "gradients", "optimizer", "inputs", "activations", "temporaries")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One arm on one workload."""

    workload: Workload
    arm: Arm

    @property
    def key(self) -> str:
        """Name of the case, unique among the cases of a run."""
        return f"{self.workload}-{'-'.join(self.arm.level(factor) for factor in FACTORS)}"


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Bytes that live at the peak of a call in steady state, and what for (see KINDS)."""

    total_bytes: int
    by_kind: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a process of its own found; ``None`` is what the device does not tell.

    ``allocated_bytes`` is the peak of live tensor bytes, ``reserved_bytes`` what torch's own
    allocator held of the device then, ``process_bytes`` the peak of what the process had of it: by
    the driver on CUDA, resident in main memory on a CPU. ``error`` is one line where ``status`` is
    not ``ok``.
    """

    status: str = "ok"
    error: str | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    process_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; expected one of {', '.join(STATUSES)}")

    @property
    def unexplained_bytes(self) -> int | None:
        """What the process has beyond torch's allocator: context, libraries, Python."""
        held = self.allocated_bytes if self.reserved_bytes is None else self.reserved_bytes
        if self.process_bytes is None or held is None:
            return None
        return self.process_bytes - held


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """A case's memory, predicted and measured; ``note`` says why it was not measured."""

    case: Case
    predicted: Predicted
    measured: Measured | None = None
    note: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def error(self) -> float | None:
        """Predicted / measured tensor bytes - 1; None where they were not measured."""
        if self.measured is None or not self.measured.allocated_bytes:
            return None
        return self.predicted.total_bytes / self.measured.allocated_bytes - 1
