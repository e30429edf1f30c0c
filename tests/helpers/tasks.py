"""Tasks of workers and their jobs with defaults; keywords change single values. Attempts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bench.records.comparison import Comparison
from bench.records.task import PassJob, SurveyJob, Task
from helpers.records import make_comparison

T = TypeVar("T")


def make_pass_job(*comparisons: Comparison, **changes: Any) -> PassJob:
    """Build the job of a group in the first pass; by default a group of one comparison."""
    return PassJob(comparisons=comparisons or (make_comparison(),), **{"pass_index": 0} | changes)


def make_pass_task(journal: Path, *jobs: PassJob, **changes: Any) -> Task[PassJob]:
    """Build the task of the first pass over one comparison; it writes to ``journal``."""
    task = Task(
        kind="pass",
        name="pass-1",
        jobs=jobs or (make_pass_job(),),
        journal=journal,
        parent=1,
        limit_s=120.0,
        deadline_s=1.7e9,
        end_s=2e9,
        threads=2,
    )
    return replace(task, **changes)


def make_survey_job(comparison: Comparison | None = None, *limits: str) -> SurveyJob:
    """Build the survey job of a comparison's arm with the limits to measure."""
    return SurveyJob(comparison=comparison or make_comparison(), limits=limits)


def make_survey_task(journal: Path, *jobs: SurveyJob, **changes: Any) -> Task[SurveyJob]:
    """Build the task of a survey with a distant end."""
    task = Task(
        kind="survey",
        name="survey",
        jobs=jobs or (make_survey_job(),),
        journal=journal,
        parent=1,
        limit_s=120.0,
        end_s=2e9,
        threads=2,
    )
    return replace(task, **changes)


class Attempts:
    """Computes values and notes their names; ``fails`` makes each attempt fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.names: list[str] = []

    def __call__(self, what: str, compute: Callable[[], T]) -> T | None:
        """Compute a value."""
        self.names.append(what)
        return None if self.fails else compute()
