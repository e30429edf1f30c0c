"""Memory jobs: one arm alone in its process."""

from bench.arms.building import build_candidate
from bench.arms.levels import pinned_precision
from bench.costs.memory import memory_of
from bench.records.arm_costs import Case, MeasuredMemory
from bench.records.task import MemoryJob, Task
from bench.usercode.failures import failure
from bench.worker.process import work


def run(task: Task[MemoryJob]) -> None:
    """Measure the memory of each case of a task."""
    work(task, lambda job: measure(job.case))


def measure(case: Case) -> MeasuredMemory:
    """Build one arm and measure its memory in steady state, after a first call."""
    try:
        with pinned_precision():
            arm = build_candidate(case.arm, case.workload)
            with arm.surroundings():
                arm.once()
                return memory_of(arm)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever an arm raises is its result)
        status, message = failure(error)
        return MeasuredMemory(status=status, error=message)
