"""Costs of one arm alone, as records. Standard library only.

A ``Case`` is one arm on one workload. ``PredictedMemory`` follows from its shapes, on any machine;
``MeasuredMemory`` comes from a process of its own; a ``MemoryReport`` holds both. A ``Survey``
holds everything measured of one case.
"""

from dataclasses import dataclass, field

from bench.records.comparison import FACTORS, Arm, Workload
from bench.records.notes import Note
from bench.records.sample import STATUSES

# Kinds of memory, in the order of tables and plots. Temporaries include gradients of activations
# and the scratch of operators.
MEMORY_KINDS = ("parameters", "gradients", "optimizer", "inputs", "activations", "temporaries")


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
        """Name for messages: the workload, and the levels of the arm that are not the default."""
        return self.arm.factory or f"{self.workload}-{self.arm.choice}"


@dataclass(frozen=True, kw_only=True)
class PredictedMemory:
    """Predicted live bytes at the peak of a call in steady state, by kind (see MEMORY_KINDS).

    ``by_component`` holds the same for each component (see ``call_profile.CALL_COMPONENTS``).
    """

    total_bytes: int
    by_kind: dict[str, int]
    by_component: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MeasuredMemory:
    """Memory measured in a process of its own; ``None`` if the device does not report a value.

    ``allocated_bytes`` is the peak of live tensors, ``reserved_bytes`` the peak held by torch's
    allocator, ``process_bytes`` the peak of the process: by the driver on CUDA, resident in main
    memory on a CPU. ``error`` is one line if ``status`` is not ``ok``.
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
        """Bytes of the process outside torch's allocator: context, libraries, Python."""
        held = self.allocated_bytes if self.reserved_bytes is None else self.reserved_bytes
        if self.process_bytes is None or held is None:
            return None
        return self.process_bytes - held


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """Memory of a case, predicted and measured; ``note`` is the reason if it was not measured.

    ``largest_batch`` is the largest that fitted when tried, if it was asked for.
    """

    case: Case
    predicted: PredictedMemory
    measured: MeasuredMemory | None = None
    note: str | None = None
    largest_batch: int | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def error(self) -> float | None:
        """Predicted / measured tensor bytes - 1; None if they were not measured."""
        if self.measured is None or not self.measured.allocated_bytes:
            return None
        return self.predicted.total_bytes / self.measured.allocated_bytes - 1


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Speed of the matrix products of a case alone, each by the fastest library here for it.

    ``time_ratio`` is their time / the time of the case's call, from alternating pairs, with the
    95 % interval of the noise in that process; earlier versions measured none. ``library`` names
    the libraries, the one that does most of the work first.
    """

    library: str
    time_ratio: float
    gflop_per_s: float
    time_ratio_low: float | None = None
    time_ratio_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """Breaks of an arm's compiled graph, and recompilations.

    ``recompiles`` counts those for batches of 1, 2, 8 and 1 images in turn.
    """

    breaks: int
    recompiles: int


@dataclass(frozen=True, kw_only=True)
class ComputedCosts:
    """Costs of a case that are the same in every run; None if a value was not computed.

    ``counted_flop`` is of one call, by PyTorch's counter.
    """

    predicted: PredictedMemory | None = None
    counted_flop: int | None = None
    graphs: Graphs | None = None
    top1_agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The costs of one arm on one workload; ``key`` is the case's.

    ``flop`` and ``moved_bytes`` are of one call, by arithmetic; ``error`` is one line if arithmetic
    and PyTorch's own count disagree. The keys of ``limits`` are number formats (see
    ``computed_in``); ``copy_bytes_per_s`` counts bytes read and bytes written.
    """

    key: str
    measured: MeasuredMemory
    predicted: PredictedMemory | None = None
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
    """Return the number format of a precision's products: fp32, tf32, bf16, fp16 or fp64."""
    return _COMPUTED_IN.get(precision, precision)
