"""Measures the memory of cases, each in a process that does nothing else."""

import json
import subprocess
from dataclasses import asdict

from bench.footprint import Case, Measured
from bench.runner.deaths import death, oom_kills
from bench.runner.processes import module_command
from bench.store import record_from


def measure_alone(case: Case, limit_s: float) -> Measured:
    """What a case took in a process of its own; whatever ends that process becomes the status."""
    kills_before = oom_kills()
    try:
        done = subprocess.run(
            module_command("bench.alone", json.dumps(asdict(case))),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return Measured(status="timeout", error=f"no result within {limit_s:g} s")
    if done.returncode:
        found = death(done.returncode, out_of_memory=oom_kills() > kills_before)
        last = done.stderr.strip().splitlines()[-1:]
        return Measured(status=found.status, error="; ".join([found.cause, *last]))
    return record_from(json.loads(done.stdout.splitlines()[-1]), Measured)
