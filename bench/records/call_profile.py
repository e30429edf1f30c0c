"""Where the time of one call goes, as records. Standard library only.

A profiler tells what ran as ``Span``s; ``bench.analysis.attribution`` says what component each
belongs to, and sums them up as ``Share``s. A ``Timeline`` is the memory of the same call.
"""

from dataclasses import dataclass, field

from bench.records.arm_costs import Case

# What no other component does: residual additions, casts of the model's output, and whatever Python
# does around the components.
BETWEEN = "between"
# The components of a call, in the order of a model. A compiled part is one component: the compiler
# fuses across the borders inside.
COMPONENTS = (
    *("patcher", "embedding", "norm", "attention", "MLP", "head"),
    *("compiled", "loss", "optimizer", BETWEEN),
)
# Schema of profile.json.
PROFILE_SCHEMA = 1
# How the name of a component's range begins, in a trace too.
RANGE = "vitbench::"
# The operator to which the time between operators is told.
PYTHON = "(Python)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One operator that ran, or a range that somebody opened, on one thread.

    ``self_s`` is its time without that of the spans inside it: on a CPU that of the thread, on CUDA
    that of the kernels it launched. ``parent`` is the place of the span around it, which comes
    earlier. ``component`` is that of a range; an operator has none of its own. ``sequence`` is the
    number that ties an operator to the node that autograd made for it; in a node that autograd runs
    (``node``) it is the node's own, and ``forward_thread`` is where its operator ran.
    """

    name: str
    self_s: float
    parent: int | None = None
    component: str | None = None
    thread: int = 0
    sequence: int | None = None
    node: bool = False
    forward_thread: int | None = None


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One way down from a component to an operator, in one call on average.

    ``path`` is the component, the operators around, and the operator itself; ``calls`` is None for
    PYTHON, which nobody calls.
    """

    path: tuple[str, ...]
    seconds: float
    calls: float | None


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one component or operator takes of a call: seconds, and how often operators ran.

    ``within`` are the seconds by component; ``calls`` is None where no operator ran.
    """

    name: str
    seconds: float
    calls: float | None
    within: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Live bytes of each kind (see ``bench.records.arm_costs.KINDS``) after each event of one call.

    ``events`` count allocations and frees from the call's first, 0 being the moment before it;
    ``phases`` are the events at which a part of the call begins.
    """

    events: tuple[int, ...]
    live_bytes: dict[str, tuple[int, ...]]
    phases: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, values in self.live_bytes.items():
            if len(values) != len(self.events):
                raise ValueError(
                    f"{len(values)} values of {kind!r} for {len(self.events)} events; "
                    "expected one for each"
                )

    @property
    def total_bytes(self) -> tuple[int, ...]:
        """Live bytes of all kinds after each event."""
        rows = list(self.live_bytes.values())
        return tuple(sum(row[place] for row in rows) for place in range(len(self.events)))


@dataclass(frozen=True, kw_only=True)
class Held:
    """Memory while a component ran, over all its turns in one call, as measured.

    ``most_bytes`` lived at most meanwhile, everybody's; ``kept_bytes`` are what its turns left
    behind, such as activations for backward.
    """

    name: str
    most_bytes: int
    kept_bytes: int


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Live tensor bytes over one call as measured: after each allocation and free, by seconds.

    ``components`` are those in which something was allocated or freed, the one with most first.
    """

    seconds: tuple[float, ...]
    live_bytes: tuple[int, ...]
    components: tuple[Held, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """Where the time of one call of a case goes.

    ``wall_s`` and ``profiled_s`` are the median times of a call without and with the profiler,
    ``overhead`` the median of their ratios pair by pair, over ``calls`` pairs. ``components`` and
    ``operators`` each divide the same time, the longest first: the mean of the faster half of the
    profiled calls, since what disturbs a call does not disturb its parts alike.
    ``memory`` is predicted; None, with a note, where it cannot be. ``watched`` is measured.
    """

    case: Case
    calls: int
    wall_s: float
    profiled_s: float
    overhead: float
    components: tuple[Share, ...]
    operators: tuple[Share, ...]
    memory: Timeline | None = None
    watched: Watched | None = None
    notes: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        """What the components add up to: on a CPU about a call's wall time, on CUDA kernels'."""
        return sum(each.seconds for each in self.components)
