"""One pass: fresh processes that measure every comparison once; and a first look at the machine."""

import json
import os
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from bench.files.journal import JournalReader, append_event, append_sample, append_survey
from bench.files.run_folder import record_from, write_json
from bench.records.arm_costs import Case, Measured, Survey
from bench.records.comparison import CHOICE, Sample
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.records.plan import Plan
from bench.records.task import PassPlan, SurveyItem, SurveyPlan
from bench.runs.processes import Death, Kinds, Watch, death, module_command, oom_kills, work_off
from bench.runs.survey import seconds


def measure_alone(case: Case, limit_s: float) -> Measured:
    """What a case took in a process of its own; whatever ends that process becomes the status."""
    kills_before = oom_kills()
    try:
        done = subprocess.run(
            module_command("bench.worker.memory", json.dumps(asdict(case))),
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


_PACKAGE = Path(__file__).parents[1]


def probe() -> Environment:
    """Look at the machine in a process of its own. Raises InputError where torch will not load."""
    command = module_command("bench.machine.environment")
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


def run_survey(
    plan: Plan,
    chosen: Sequence[SurveyItem],
    place: "Place",
    reader: JournalReader,
    watch: Watch,
) -> None:
    """Look at each case alone. Raises like ``work_off``."""
    told = SurveyPlan(
        items=tuple(chosen),
        end_s=time.time() + seconds(plan, len(chosen), place.spent_s),
        threads=place.threads,
        parent=os.getpid(),
        journal=place.journal,
        directory=plan.directory,
        compiled=place.compiled,
    )
    work_off(SurveyTask(told), reader, watch, plan.case_timeout_s)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run's processes write, on how many threads they compute, what the run has spent."""

    journal: Path
    compiled: Path
    threads: int
    spent_s: float = 0.0


@dataclass(frozen=True)
class SurveyTask:
    """A survey as ``work_off`` sees it."""

    plan: SurveyPlan
    kinds = Kinds("survey_start", "survey")

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
        return [each.key for each in self.plan.items]

    def name(self, attempt: int) -> str:
        """What the files of a process are called."""
        return "survey" + (f"-again-{attempt}" if attempt else "")

    def without(self, done: Collection[str]) -> Self:
        """The same without what is done."""
        rest = tuple(each for each in self.plan.items if each.key not in done)
        return replace(self, plan=replace(self.plan, items=rest))

    def command(self, stem: Path) -> list[str]:
        """The command line of the process, which is told its plan by a file."""
        plan_file = stem.with_suffix(".plan.json")
        write_json(plan_file, self.plan)
        return module_command(
            "bench.worker", str(self.plan.parent), "bench.worker.survey", str(plan_file)
        )

    def begun(self) -> None:
        """Write that a process starts."""
        append_event(self.journal, "process", survey=True)

    def lost(self, key: str, ended: Death) -> None:
        """Write what became of the case under way."""
        append_survey(self.journal, lost_survey(key, ended), died=True)


def lost_survey(key: str, ended: Death) -> Survey:
    """What is known of a case whose process ended while it was looked at."""
    return Survey(key=key, measured=Measured(status=ended.status, error=ended.cause))
