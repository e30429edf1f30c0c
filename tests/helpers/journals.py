"""Outcomes appended to a journal; the state of a run from its journal alone; single records."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.files.journal import append_event, read_events
from bench.records.arm_costs import Survey
from bench.records.comparison import Sample
from bench.records.plan import Choice, Plan
from bench.runs.state import RunState
from helpers.records import make_environment, make_plan


def append_sample(journal: Path, sample: Sample) -> None:
    """Append the outcome of a comparison in a pass, as a worker or its parent does."""
    append_event(journal, "sample", **asdict(sample))


def append_survey(journal: Path, survey: Survey, *, died: bool = False) -> None:
    """Append the outcome of one arm in a survey, as a worker or its parent does."""
    append_event(journal, "survey", **asdict(survey), died=died)


def make_state(events: Iterable[Mapping[str, Any]] = (), plan: Plan | None = None) -> RunState:
    """Build the state of a run on the usual machine after some events of its journal."""
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
    """Return what a run chose, each time that it did."""
    return make_state(events).choices


def read_samples(run: Path) -> list[Sample]:
    """Return every sample in the journal of a run's folder."""
    return samples_from(read_events(run / "journal.jsonl")[0])
