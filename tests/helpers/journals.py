"""Writes and reads of journals: samples, surveys, choices and the state of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.files.journal import append_event, read_events
from bench.records.arm_costs import Survey
from bench.records.plan import Choice, Plan
from bench.records.sample import Sample
from bench.runs.state import RunState
from helpers.records import make_environment, make_plan


def append_sample(journal: Path, sample: Sample) -> None:
    """Append a comparison's sample to a journal, like a worker or its parent."""
    append_event(journal, "sample", **asdict(sample))


def append_survey(journal: Path, survey: Survey, *, died: bool = False) -> None:
    """Append a case's survey to a journal, like a worker or its parent."""
    append_event(journal, "survey", **asdict(survey), died=died)


def make_state(events: Iterable[Mapping[str, Any]] = (), plan: Plan | None = None) -> RunState:
    """Build the state of a run on the default machine from events of its journal."""
    state = RunState(Path("run"), plan or make_plan(), make_environment())
    for event in events:
        state.add({"time_s": 0.0, **event})
    return state


def samples_from(events: Iterable[Mapping[str, Any]]) -> list[Sample]:
    """Return the samples of some events."""
    return make_state(events).samples


def surveys_from(events: Iterable[Mapping[str, Any]]) -> dict[str, Survey]:
    """Return the surveys of some events by key of the case."""
    return make_state(events).surveys


def choices_from(events: Iterable[Mapping[str, Any]]) -> list[Choice]:
    """Return every choice of a run."""
    return make_state(events).choices


def read_samples(run: Path) -> list[Sample]:
    """Return every sample in the journal of a run's folder."""
    return samples_from(read_events(run / "journal.jsonl")[0])
