"""Profile of one call, as records: time by component and operator, and memory.

A profiler yields ``Span``s; ``bench.analysis.attribution`` assigns each to a component and sums
them up as ``Share``s. A ``Timeline`` is the predicted memory of the same call, a ``MemoryTrace``
the measured memory. Standard library only.
"""

from dataclasses import dataclass, field

from bench.records.arm_costs import Case

# The work between the other components: residual additions, casts of the model's output, and the
# Python code around them.
BETWEEN = "between"
# The components of a call, in the order of a model. A compiled part is one component: the compiler
# fuses operators across its inner boundaries.
CALL_COMPONENTS = (
    *("patcher", "embedding", "norm", "attention", "MLP", "head"),
    *("compiled", "loss", "optimizer", BETWEEN),
)
# Schema of profile.json.
PROFILE_SCHEMA = 1
# Prefix of the names of component ranges, in traces too.
RANGE = "vitbench::"
# Start of the profiler's name for a backward node; the node's name follows.
BACKWARD_NODE = "autograd::engine::evaluate_function"
# Start of the compiler's name for a graph; a hash follows.
COMPILED_GRAPH = "## Call CompiledFxGraph"
# Name for the time between operators, as if it were an operator.
PYTHON = "(Python)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One run of an operator, or one range, on one thread.

    ``self_s`` is its time without the spans inside it: thread time on a CPU, on CUDA the time of
    the kernels that it launched. ``parent`` is the index of the surrounding span, which comes
    earlier. ``component`` is set for ranges only. ``sequence`` is autograd's number that links an
    operator to its backward node; for such a node (``node``) it is the node's own, and
    ``forward_thread`` is the thread of its operator.
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
    """One call path from a component down to an operator, as a mean per call of the arm.

    ``path`` is the component, the surrounding operators, and the operator; ``calls`` is None for
    PYTHON, which is not an operator.
    """

    path: tuple[str, ...]
    seconds: float
    calls: float | None


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of one component or operator in a call: seconds and number of operator calls.

    ``within`` holds the seconds by component; ``calls`` is None if no operator ran.
    """

    name: str
    seconds: float
    calls: float | None
    within: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Live bytes of each kind (see ``arm_costs.MEMORY_KINDS``) after each event of one call.

    ``events`` number allocations and frees from the call's first, 0 being the moment before it;
    ``phases`` are the events at which forward, backward and optimizer begin.
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
class ComponentMemory:
    """Measured memory of a component, over all its runs in one call.

    ``most_bytes`` is the peak of all live bytes while it ran; ``kept_bytes`` is the growth over its
    runs, such as activations for backward.
    """

    name: str
    most_bytes: int
    kept_bytes: int


@dataclass(frozen=True, kw_only=True)
class MemoryTrace:
    """Measured live tensor bytes over one call, after each allocation and free, with their times.

    ``components`` are those with allocations or frees, the largest peak first.
    """

    seconds: tuple[float, ...]
    live_bytes: tuple[int, ...]
    components: tuple[ComponentMemory, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CallProfile:
    """Profile of one call of a case: the time of its components and operators, and its memory.

    ``wall_s`` and ``profiled_s`` are the median times of a call without and with the profiler,
    ``overhead`` the median of their ratios over ``calls`` pairs. ``components`` and ``operators``
    each divide the same time, the longest first: the mean of the faster half of the profiled
    calls, because a disturbance does not affect all parts alike. ``memory`` is predicted; None,
    with a note, if it cannot be. ``watched`` is measured.
    """

    case: Case
    calls: int
    wall_s: float
    profiled_s: float
    overhead: float
    components: tuple[Share, ...]
    operators: tuple[Share, ...]
    memory: Timeline | None = None
    watched: MemoryTrace | None = None
    notes: tuple[str, ...] = ()

    @property
    def total_s(self) -> float:
        """Sum of the components: about a call's wall time on a CPU, its kernels' time on CUDA."""
        return sum(each.seconds for each in self.components)
