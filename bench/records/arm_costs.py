"""What one arm costs by itself, as records. Standard library only.

A ``Case`` is one arm on one workload. Of its memory, ``Predicted`` is what its shapes say, on any
machine, ``Measured`` what a process that does nothing else found; a ``Footprint`` is both. A
``Survey`` holds everything measured of one case.
"""

from dataclasses import dataclass, field

from bench.records.comparison import FACTORS, STATUSES, Arm, Workload
from bench.records.notes import Note

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
        levels = [self.arm.level(factor) for factor in FACTORS]
        return "-".join([str(self.workload), *levels, *filter(None, [self.arm.factory])])

    @property
    def name(self) -> str:
        """What people call it: the workload, and what of the arm is not plain."""
        return self.arm.factory or f"{self.workload}-{self.arm.choice}"


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Bytes that live at the peak of a call in steady state, and what for (see KINDS).

    ``by_component`` says the same of each component (``bench.records.call_profile.COMPONENTS``).
    """

    total_bytes: int
    by_kind: dict[str, int]
    by_component: dict[str, dict[str, int]] = field(default_factory=dict)


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
    """A case's memory, predicted and measured; ``note`` says why it was not measured.

    ``largest_batch`` is the largest that was found to fit by trying, where one was asked for.
    """

    case: Case
    predicted: Predicted
    measured: Measured | None = None
    note: str | None = None
    largest_batch: int | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def error(self) -> float | None:
        """Predicted / measured tensor bytes - 1; None where they were not measured."""
        if self.measured is None or not self.measured.allocated_bytes:
            return None
        return self.predicted.total_bytes / self.measured.allocated_bytes - 1


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How fast the matrix products of a case alone can be done here, by the fastest library.

    ``time_ratio`` is their time / that of the case's call, from alternating pairs.
    """

    library: str
    time_ratio: float
    gflop_per_s: float


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """What the compiler made of an arm: breaks of its graph, and how often it had to do it again.

    ``recompiles`` count for batches of 1, 2, 8 and 1 images, one after the other.
    """

    breaks: int
    recompiles: int


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The costs of one arm on one workload; ``key`` is the case's.

    ``flop`` and ``moved_bytes`` are of one call, by arithmetic; ``error`` says in one line that the
    arithmetic and PyTorch's own count disagree. ``limits`` are by what precision computes in (see
    ``computed_in``), ``copy_bytes_per_s`` counts what is read and what is written.
    """

    key: str
    measured: Measured
    predicted: Predicted | None = None
    flop: float | None = None
    moved_bytes: float | None = None
    error: str | None = None
    kernels: tuple[str, ...] = ()
    graphs: Graphs | None = None
    limits: dict[str, Limit] = field(default_factory=dict)
    copy_bytes_per_s: float | None = None
    top1_agreement: float | None = None
    joules_per_image: float | None = None
    parameters: int | None = None
    notes: tuple[Note | str, ...] = ()
    """Values that could not be measured; text in the journals of earlier versions."""
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """Status of the arm when it ran alone."""
        return self.measured.status


_COMPUTED_IN = {"amp_bf16": "bf16", "amp_fp16": "fp16"}


def computed_in(precision: str) -> str:
    """What the matrix products of a precision are computed in: fp32, tf32, bf16, fp16 or fp64."""
    return _COMPUTED_IN.get(precision, precision)
