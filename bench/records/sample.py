"""The measurement of a comparison in one pass, which is one process. Standard library only."""

from dataclasses import dataclass, field

from bench.records.errors import Remedy
from bench.records.notes import Note

STATUSES = ("ok", "oom", "timeout", "crashed", "wrong", "skipped")
# A median over this share of pairs that are all off in one direction may follow them: of six pairs,
# two that had the same arm first.
UNEVEN_SHARE = 1 / 3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The measurement of one comparison in one pass.

    ``baseline_s`` and ``arm_s`` hold the seconds of each timed call, pair by pair; the baseline
    went first in the pairs of even index. They are device time on CUDA, wall time elsewhere;
    ``*_wall_s`` hold the synchronised wall time of the same calls if the two differ. Errors are
    relative norms against float64 (a user's own arms: against the baseline), ``largest_error`` is
    the largest absolute error of an output element; ``None`` if this pass did not check.
    ``first_call_s`` is the time of the first call of an arm that compiles, ``first_call_cache`` the
    state of its compiler's cache on disk, ``cold`` or ``warm``, ``compiler_start_s`` the time of
    loading the compiler before. ``yardstick_s`` is the time of a call of the yardstick afterwards
    (see ``bench.timing.yardstick``), ``resolution_s`` that of the clock's step. ``unsettled`` names
    the arms (``baseline``, ``arm``) whose warm-up ran out of time. ``disturbed`` holds the indices
    of the pairs disturbed by foreign load, ``causes`` their number by cause, ``uneven`` the indices
    of those under load that does not slow all arms alike, so that it does not cancel in a ratio.
    ``calm_wait_s`` is the time that was waited for a calm machine before. ``died``: the process
    ended during the measurement.
    """

    key: str
    pass_index: int
    status: str = "ok"
    error: str | None = None
    remedy: Remedy | None = None
    """An alternative to the advice at the end of ``error``."""
    group: str | None = None
    """Name of the comparisons that were measured in the same rounds; None: pairs of their own."""
    late: tuple[int, ...] | None = None
    """Indices of the rounds in which the baseline was called after the arm; None: the odd ones."""
    whole_s: float | None = None
    """Seconds of one call of the whole model with the baseline; None: measured alone."""
    share: float | None = None
    """Share of that time in the baseline's part, all instances of it."""
    note: str | None = None
    """That the user accepted a difference of outputs."""
    notes: tuple[Note, ...] = ()
    """What else belongs to the row."""
    baseline_s: tuple[float, ...] = ()
    arm_s: tuple[float, ...] = ()
    baseline_wall_s: tuple[float, ...] = ()
    arm_wall_s: tuple[float, ...] = ()
    arm_queued_s: float | None = None
    output_error: float | None = None
    gradient_error: float | None = None
    largest_error: float | None = None
    first_call_s: float | None = None
    first_call_cache: str | None = None
    compiler_start_s: float | None = None
    yardstick_s: float | None = None
    peak_memory_bytes: int | None = None
    resolution_s: float = 0.0
    unsettled: tuple[str, ...] = ()
    disturbed: tuple[int, ...] = ()
    uneven: tuple[int, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)
    calm_wait_s: float = 0.0
    prepare_s: float = 0.0
    measure_s: float = 0.0
    called_s: float | None = None
    """This comparison's part of the seconds inside the timed calls of its group."""
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
    def is_uneven(self) -> bool:
        """Whether uneven load affected too many pairs for their median to be robust."""
        return bool(self.uneven) and len(self.uneven) >= UNEVEN_SHARE * len(self.arm_s)

    @property
    def timed_s(self) -> float:
        """Seconds spent inside timed calls; arms that take turns share those of the baseline."""
        if self.called_s is not None:
            return self.called_s
        wall = self.baseline_wall_s + self.arm_wall_s
        return sum(wall or self.baseline_s + self.arm_s)
