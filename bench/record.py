"""The records that everything else makes or reads. Standard library only.

A ``Comparison`` is what to measure, a ``Sample`` what one pass (one process) measured of it, a
``Record`` what all passes together say: one row of ``results.csv``. Units stand in the names.
"""

from dataclasses import dataclass, field, fields

SCHEMA = 2

DEVICES = ("cpu", "cuda")
MODES = ("forward", "train")
STATUSES = ("ok", "oom", "timeout", "crashed", "wrong", "skipped")
VERDICTS = ("faster", "slower", "equivalent", "undecided")
CACHES = ("cold", "warm")
# The precision of a user's arm whose type nobody chose: modules stay as they were made.
OWN = "own"
# A difference of less than this is of no interest to somebody who chooses an implementation.
DELTA = 0.02


class InputError(ValueError):
    """What the user gave cannot be used: says what came, what was expected, what to do."""


class RunError(RuntimeError):
    """A run could not go on; what was measured is kept, and the message says where to look."""


def one_line(error: BaseException, limit: int = 300) -> str:
    """First line of an exception's message, with its type, cut to ``limit`` characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    # What no file could hold: half of a character, as in a file name that is no text.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is done, whichever arm does it. Sizes are in pixels; images are square.

    A part of vitcore has a variant and sizes. A user's own arms have ``inputs`` instead: a shape
    such as ``1,197,768``, or ``FILE.py:make_inputs``, a function that makes them.
    """

    component: str
    mode: str
    device: str
    variant: str | None = None
    patch_size: int | None = None
    image_size: int | None = None
    batch_size: int | None = None
    inputs: str | None = None

    def __str__(self) -> str:
        """Short name for people and for pytest: ``B/16-model-b1-forward-cpu``."""
        if self.inputs is not None:
            return f"{self.component}-{self.inputs}-{self.mode}-{self.device}"
        return f"{self.variant}-{self.component}-b{self.batch_size}-{self.mode}-{self.device}"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to do the work: a level of every factor.

    ``factory`` names a user's own arm (``FILE.py:factory``, ``package.module:factory`` or
    ``vitcore:attention=sdpa``); of the other levels only ``precision`` then says anything: the
    type of the inputs.
    """

    patcher: str = "conv"
    attention: str = "sdpa"
    compile: str = "eager"
    precision: str = "fp32"
    checkpoint: str = "none"
    optimizer: str = "adamw"
    factory: str | None = None

    def level(self, factor: str) -> str:
        """The arm's level of one factor, by which a comparison calls it."""
        return str(getattr(self, factor))


# The factor of ``vitbench compare``; then what a run can vary.
OWN_FACTOR = "factory"
FACTORS = tuple(each.name for each in fields(Arm) if each.name != OWN_FACTOR)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A candidate arm against a baseline arm on one workload; equal arms make a control.

    ``allow_different`` accepts an arm that computes something else than its baseline.
    """

    factor: str
    workload: Workload
    baseline: Arm
    arm: Arm
    cache: str = "cold"
    allow_different: bool = False

    @property
    def arm_name(self) -> str:
        """The candidate's level of the factor."""
        return self.arm.level(self.factor)

    @property
    def baseline_name(self) -> str:
        """The baseline's level of the factor."""
        return self.baseline.level(self.factor)

    @property
    def is_control(self) -> bool:
        """Whether the baseline is compared with a second copy of itself."""
        return self.arm == self.baseline

    @property
    def key(self) -> str:
        """Name of the comparison, unique within a run."""
        return f"{self.factor}-{self.workload}-{self.arm_name}"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One comparison as one pass measured it.

    ``baseline_s`` and ``arm_s`` hold the seconds of each timed call, pair by pair; the baseline
    went first in the pairs of even index. They are device time on CUDA, wall time elsewhere;
    ``*_wall_s`` hold the synchronised wall time of the same calls where the two differ. Errors
    are relative norms against float64 (a user's own arms: against the baseline); ``None`` where
    this pass did not look. ``resolution_s`` is the step of the clock. ``unsettled`` names the arms
    (``baseline``, ``arm``) whose warm-up ended for want of time. ``disturbed`` holds the indices of
    the pairs that foreign load disturbed, ``causes`` how many of them by which cause. ``died``:
    the process ended while it was measured.
    """

    key: str
    pass_index: int
    status: str = "ok"
    error: str | None = None
    note: str | None = None
    baseline_s: tuple[float, ...] = ()
    arm_s: tuple[float, ...] = ()
    baseline_wall_s: tuple[float, ...] = ()
    arm_wall_s: tuple[float, ...] = ()
    arm_queued_s: float | None = None
    output_error: float | None = None
    gradient_error: float | None = None
    peak_memory_bytes: int | None = None
    resolution_s: float = 0.0
    unsettled: tuple[str, ...] = ()
    disturbed: tuple[int, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)
    prepare_s: float = 0.0
    measure_s: float = 0.0
    died: bool = False

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; expected one of {', '.join(STATUSES)}")
        if len(self.baseline_s) != len(self.arm_s):
            raise ValueError(
                f"{self.key}: {len(self.baseline_s)} baseline and {len(self.arm_s)} arm times "
                "make no pairs"
            )

    @property
    def timed_s(self) -> float:
        """Seconds spent inside timed calls."""
        wall = self.baseline_wall_s + self.arm_wall_s
        return sum(wall or self.baseline_s + self.arm_s)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of ``results.csv``: one arm of one comparison over all passes.

    ``None`` is a missing value and stays empty in the file. ``latency_ms`` is the time of one
    call (device time on CUDA), ``wall_ms`` the synchronised wall time of the same call;
    intervals are 95 %. ``images_per_s`` is the throughput of calls queued one behind the other
    (on a CPU nothing queues: batch size / latency). ``speedup`` is baseline time / arm time.
    ``output_error`` and ``gradient_error`` are relative norms against float64, or for a user's own
    arms against the baseline. ``passes`` and ``rounds`` count the processes and, over all of them,
    the pairs; ``cache`` says whether the last-level cache was flushed before each pair (``cold``).
    ``detectable_effect`` is the smallest relative difference that the measurement would have found
    four times in five; ``p_value`` is that of no difference, adjusted for the number of comparisons
    (Benjamini-Hochberg). ``disturbed`` counts the pairs that foreign load disturbed; ``unsteady``
    names what had not settled, and in how many passes. ``error`` says in one line why a status is
    not ``ok``, ``note`` what a reader should know of the hardware. ``inputs`` are those of a user's
    own arms, which have no variant and sizes.
    """

    schema: int
    run_id: str
    commit: str | None
    device: str
    device_name: str
    factor: str
    component: str
    variant: str | None
    patch_size: int | None
    image_size: int | None
    batch_size: int | None
    mode: str
    precision: str
    cache: str
    baseline: str
    arm: str
    status: str
    passes: int
    rounds: int
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    wall_ms: float | None = None
    images_per_s: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    verdict: str | None = None
    detectable_effect: float | None = None
    p_value: float | None = None
    output_error: float | None = None
    gradient_error: float | None = None
    disturbed: int | None = None
    unsteady: str | None = None
    inputs: str | None = None
    error: str | None = None
    note: str | None = None

    @property
    def is_control(self) -> bool:
        """Whether the row is the baseline against its own copy."""
        return self.arm == self.baseline


COLUMNS = tuple(each.name for each in fields(Record))
