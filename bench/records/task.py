"""Tasks of worker processes: jobs to do in order, and where to write their outcomes."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from bench.records.arm_costs import Case, MeasuredMemory, Survey
from bench.records.comparison import Comparison
from bench.records.sample import Sample

# Exit codes of a worker: an arm made the GPU unusable; the journal cannot be written.
LOST = 86
UNWRITABLE = 87
# With this number of candidates a group can be divided.
MANY = 2


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Outcome of a job whose results are other events, or files."""

    status: str = "ok"
    """One of ``bench.records.sample.STATUSES``."""
    error: str | None = None
    """One line if ``status`` is not ``ok``."""


@dataclass(frozen=True, kw_only=True)
class PassJob:
    """Measure a group of comparisons in one pass: their arms take turns.

    Each comparison has a ``Sample``; the outcome of the job is an ``Ending``.
    """

    start: ClassVar = "start"
    done: ClassVar = "group"

    comparisons: tuple[Comparison, ...]
    """Comparisons of one group; the control, if any, first."""
    pass_index: int
    """Number of the pass, from 0."""
    weight: float = 1.0
    """Factor of the group's share of the pass's time."""
    ready_s: float | None = None
    """Seconds that building, checking and compiling took in an earlier pass; None: unknown."""
    measure_s: float | None = None
    """Seconds to measure, however long getting ready takes; None: a share of the pass's time."""
    checked: tuple[str, ...] = ()
    """Keys of the comparisons whose outputs an earlier pass has checked."""

    @property
    def candidates(self) -> tuple[Comparison, ...]:
        """The comparisons other than controls."""
        return tuple(each for each in self.comparisons if not each.is_control)

    @property
    def key(self) -> str:
        """Name of the group, or of its only comparison: unique within a pass."""
        only = self.candidates or self.comparisons
        return only[0].key if len(only) == 1 else only[0].group

    @property
    def device(self) -> str:
        """Device of all arms."""
        return self.comparisons[0].workload.device

    def parts(self, measured: Container[str]) -> "tuple[PassJob, ...]":
        """Return a job for each candidate that has no sample yet, for when a process died.

        The group of each is its control and itself, so that the arm at fault is found; each has its
        share of the time. Empty if there is only one candidate.
        """
        count = len(self.candidates)
        if count < MANY:
            return ()
        controls = tuple(each for each in self.comparisons if each.is_control)
        ready_s, measure_s = (s if s is None else s / count for s in (self.ready_s, self.measure_s))
        part = replace(self, ready_s=ready_s, measure_s=measure_s)
        left = (each for each in self.candidates if each.key not in measured)
        return tuple(replace(part, comparisons=(*controls, each)) for each in left)

    def samples(self, status: str, error: str, *, died: bool = False) -> Iterator[Sample]:
        """Yield the samples of a job without times.

        If the process died, controls are not at fault, unless they were alone.
        """
        blamed = self.candidates if died else ()
        for each in blamed or self.comparisons:
            yield Sample(
                key=each.key, pass_index=self.pass_index, status=status, error=error, died=died
            )

    def failed(self, status: str, error: str) -> Ending:
        """Outcome of a job that measured nothing."""
        return Ending(status=status, error=error)


@dataclass(frozen=True, kw_only=True)
class SurveyJob:
    """Examine the arm of a comparison alone. The outcome is a ``Survey``."""

    start: ClassVar = "survey_start"
    done: ClassVar = "survey"

    comparison: Comparison
    limits: tuple[str, ...] = ()
    """Precisions (see ``arm_costs.computed_in``) in which to measure the limit of its products."""
    shapes_only: bool = False
    """Whether to derive everything from shapes, because memory did not suffice in a pass."""

    @property
    def case(self) -> Case:
        """The arm on its workload."""
        return Case(workload=self.comparison.workload, arm=self.comparison.arm)

    @property
    def key(self) -> str:
        """Name of the case, unique within a run."""
        return self.case.key

    @property
    def device(self) -> str:
        """Device of the arm."""
        return self.comparison.workload.device

    def failed(self, status: str, error: str) -> Survey:
        """Outcome of a job that measured nothing."""
        return Survey(key=self.key, measured=MeasuredMemory(status=status, error=error))


@dataclass(frozen=True, kw_only=True)
class _CaseJob:
    case: Case

    @property
    def key(self) -> str:
        """Name of the case."""
        return self.case.key

    @property
    def device(self) -> str:
        """Device of the arm."""
        return self.case.workload.device


@dataclass(frozen=True, kw_only=True)
class MemoryJob(_CaseJob):
    """Measure the memory of one case in steady state. The outcome is a ``MeasuredMemory``."""

    start: ClassVar = "memory_start"
    done: ClassVar = "memory"

    def failed(self, status: str, error: str) -> MeasuredMemory:
        """Outcome of a job that measured nothing."""
        return MeasuredMemory(status=status, error=error)


@dataclass(frozen=True, kw_only=True)
class ProfileJob(_CaseJob):
    """Profile one case and write its data files. The outcome is an ``Ending``."""

    start: ClassVar = "profile_start"
    done: ClassVar = "profile"

    calls: int
    """Number of profiled calls, each paired with an unprofiled call."""
    folder: Path
    """New folder for the data files; made when everything is measured."""
    command: str
    """Command line, for the data files."""

    def failed(self, status: str, error: str) -> Ending:
        """Outcome of a job that measured nothing."""
        return Ending(status=status, error=error)


Job = PassJob | SurveyJob | MemoryJob | ProfileJob
Outcome = Survey | MeasuredMemory | Ending
J = TypeVar("J", bound=Job)


@dataclass(frozen=True, kw_only=True)
class Task(Generic[J]):
    """Instructions for worker processes, one after another: each does the jobs that are left."""

    kind: str
    """Kind of the jobs: a key of ``TASKS``."""
    name: str
    """Name of the process's files in ``passes/``, such as ``pass-1``."""
    jobs: tuple[J, ...]
    """Jobs that are left, in order."""
    journal: Path
    """File to which each start and each outcome is appended."""
    parent: int
    """Id of the process with which a worker ends."""
    limit_s: float
    """Seconds after which a job counts as hung and its process is killed."""
    deadline_s: float = float("inf")
    """Time by which a pass should end, in seconds since the epoch."""
    end_s: float = float("inf")
    """Time at which the run ends: jobs that start later are skipped; seconds since the epoch."""
    threads: int | None = None
    """Threads of torch, the same in every process of a run; None: torch's default."""
    directory: Path | None = None
    """Working directory of the workers, from which user arms are named; None: the current one."""
    compiled: Path | None = None
    """Folder of the compilers' caches of this run; None: the compilers' own."""
    is_temporary: bool = False
    """Whether the journal's folder is deleted afterwards: messages then quote the log."""

    @property
    def stem(self) -> Path:
        """Path of the process's files without their suffixes."""
        return self.journal.parent / "passes" / self.name


TASKS: dict[str, type[Task[Any]]] = {
    "pass": Task[PassJob],
    "survey": Task[SurveyJob],
    "memory": Task[MemoryJob],
    "profile": Task[ProfileJob],
}
