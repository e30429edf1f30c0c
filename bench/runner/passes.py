"""One pass: fresh processes that measure every comparison once; and a first look at the machine."""

import json
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bench.journal import JournalReader, append_event, append_sample
from bench.machine import Environment
from bench.plans import PassPlan
from bench.record import CHOICE, InputError, Sample
from bench.runner.deaths import Death
from bench.runner.processes import Kinds, Watch, module_command, work_off
from bench.store import record_from, write_json

_PACKAGE = Path(__file__).parents[1]


def probe() -> Environment:
    """Look at the machine in a process of its own. Raises InputError where torch will not load."""
    command = module_command("bench.measure.environment")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(f"torch cannot be loaded here ({lines[-1]}); reinstall vitbench")
    return record_from(json.loads(done.stdout), Environment)


def run_pass(plan: PassPlan, reader: JournalReader, watch: Watch, limit_s: float) -> None:
    """Measure every comparison of a pass. Raises like ``work_off``."""
    work_off(PassTask(plan), reader, watch, limit_s)


@dataclass(frozen=True)
class PassTask:
    """A pass as ``work_off`` sees it."""

    plan: PassPlan
    kinds = Kinds("start", "sample")

    @property
    def journal(self) -> Path:
        """Where they write."""
        return self.plan.journal

    @property
    def directory(self) -> Path | None:
        """Where they run."""
        return self.plan.directory

    @property
    def keys(self) -> Collection[str]:
        """What is left to do."""
        return [comparison.key for comparison in self.plan.comparisons]

    def name(self, attempt: int) -> str:
        """What the files of a process are called."""
        is_choice = all(each.factor == CHOICE for each in self.plan.comparisons)
        kind = "choice" if is_choice else "pass"
        return f"{kind}-{self.plan.pass_index + 1}" + (f"-again-{attempt}" if attempt else "")

    def without(self, done: Collection[str]) -> Self:
        """The same without what is done."""
        left = tuple(each for each in self.plan.comparisons if each.key not in done)
        return replace(self, plan=replace(self.plan, comparisons=left))

    def command(self, stem: Path) -> list[str]:
        """Pytest in a process that ends with this one; what arms print goes to the log at once."""
        plan_file = stem.with_suffix(".plan.json")
        write_json(plan_file, self.plan)
        return [
            *module_command("bench.worker", str(self.plan.parent), "pytest", "-s"),
            *(str(_PACKAGE), "-c", str(_PACKAGE / "pytest.ini"), "-p", "pytest_benchmark.plugin"),
            *("--pass-plan", str(plan_file), "--benchmark-storage", f"file://{stem.parent}"),
            *("--benchmark-json", str(stem.with_suffix(".json"))),
        ]

    def begun(self) -> None:
        """Write that a process starts."""
        append_event(self.journal, "process", pass_index=self.plan.pass_index)

    def lost(self, key: str, ended: Death) -> None:
        """Write what became of the comparison under way."""
        sample = Sample(
            key=key,
            pass_index=self.plan.pass_index,
            status=ended.status,
            error=ended.cause,
            died=True,
        )
        append_sample(self.journal, sample)
