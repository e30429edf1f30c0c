"""One case alone in a process: ``python -m bench.worker.memory CASE`` prints its memory.

The case and the answer are JSON.
"""

import json
import sys
from dataclasses import asdict

from bench.arms.building import build_candidate
from bench.arms.levels import pinned_precision
from bench.costs.memory import memory_of
from bench.files.run_folder import record_from
from bench.records.arm_costs import Case, Measured
from bench.usercode.failures import failure


def measure(case: Case) -> Measured:
    """Build one arm and look at its memory in steady state: after a first call."""
    try:
        with pinned_precision():
            arm = build_candidate(case.arm, case.workload)
            with arm.surroundings():
                arm.once()
                return memory_of(arm)
    except Exception as error:  # noqa: BLE001 (whatever an arm raises is its result)
        status, said = failure(error)
        return Measured(status=status, error=said)


def main() -> None:
    """Measure the case that the command line names."""
    case = record_from(json.loads(sys.argv[1]), Case)
    sys.stdout.write(json.dumps(asdict(measure(case))) + "\n")


if __name__ == "__main__":
    main()
