"""bench.runs.state: a run's state from the events of its journal."""

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.rows import analyse
from bench.files.journal import Event, read_events
from bench.files.run_folder import create_run_folder, read_environment, read_plan
from bench.records.comparison import CHOICE, Comparison, Sample
from bench.records.errors import InputError
from bench.records.plan import Choice
from bench.records.task import SurveyJob
from bench.runs.schedule import NextPass
from bench.runs.state import RunState, load
from helpers.journals import append_sample, append_survey, make_state
from helpers.records import (
    make_comparison,
    make_environment,
    make_plan,
    make_sample,
    make_survey,
)

KEPT = Path(__file__).parents[3] / "results/reference/amd-epyc-zen4-2-cores"
CONTROL, CANDIDATE = make_comparison("mha"), make_comparison("manual")
PLAN = make_plan(passes=2, comparisons=(CONTROL, CANDIDATE))
SAMPLE, SURVEY = make_sample(CANDIDATE), make_survey("a")


def event(kind: str, time_s: float = 0.0, **content: Any) -> Event:
    """Build an event of a journal; samples and surveys are complete."""
    whole = {"sample": asdict(SAMPLE), "survey": asdict(SURVEY)}.get(kind, {})
    return {**whole, "kind": kind, "time_s": time_s, **content}


def sampled(sample: Sample) -> Event:
    """Build the event of a sample."""
    return {"kind": "sample", "time_s": 0.0, **asdict(sample)}


def choice_of(*comparisons: Comparison, passes: int = 1) -> Event:
    """Build the event of a choice."""
    return event(CHOICE, comparisons=[asdict(each) for each in comparisons], passes=passes)


def test_an_event_becomes_its_record() -> None:
    """Samples, surveys and choices are returned; start events add nothing."""
    state = make_state()
    assert state.add(event("sample")) == SAMPLE
    assert state.add(event("survey", died=False)) == SURVEY
    chosen = replace(CANDIDATE, factor=CHOICE)
    assert state.add(choice_of(chosen)) == Choice(comparisons=(chosen,), passes=1)
    for kind in ("process", "start", "survey_start", "interrupt", "unheard-of"):
        assert state.add(event(kind, key="b", pass_index=1)) is None
    assert (state.samples, state.surveys) == ([SAMPLE], {"a": SURVEY})


def test_duplicate_records_are_ignored() -> None:
    """A second sample of a comparison in a pass, or survey of a case, is ignored."""
    state = make_state([event("sample"), event("survey")])
    assert state.add(event("sample", prepare_s=9.0)) is None
    assert state.add(event("survey", flop=1.0)) is None
    assert state.add(event("sample", pass_index=1)) == replace(SAMPLE, pass_index=1)
    assert state.samples == [SAMPLE, replace(SAMPLE, pass_index=1)]
    assert state.surveys == {"a": SURVEY}


def test_choices_extend_the_plan() -> None:
    """Each choice adds to the plan; first_plan stays as requested."""
    first, second = (replace(each, factor=CHOICE) for each in (CONTROL, CANDIDATE))
    state = make_state([choice_of(first, passes=2), choice_of(first, second)], PLAN)
    assert state.plan.comparisons == (CONTROL, CANDIDATE, first, second)
    assert state.plan.choice_passes == 2
    assert state.first_plan == PLAN


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ([], 0.0),
        ([event("process", 100)], 0.0),
        ([event("process", 100), event("start", 105), event("sample", 110)], 10.0),
        ([event("process", 100), event("sample", 110), event("sample", 130)], 30.0),
        ([event("process", 100), event("survey_start", 101), event("survey", 103)], 3.0),
        # Killed at once, resumed an hour later.
        ([event("process", 100), event("process", 3700), event("sample", 3705)], 5.0),
        # Killed within the second comparison.
        (
            [
                *(event("process", 100), event("start", 101), event("sample", 110)),
                *(event("start", 111), event("process", 9000), event("start", 9002)),
                event("sample", 9010),
            ],
            20.0,
        ),
        # The clock was set back.
        ([event("process", 100), event("sample", 50), event("sample", 60)], 10.0),
    ],
)
def test_spent_time_counts_finished_work(events: list[Event], seconds: float) -> None:
    """Unfinished work of a killed process and the time before a resume do not count."""
    assert make_state(events).spent_s == seconds


def test_rows_are_computed_lazily_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events compute nothing; rows are cached until the next record."""
    calls = count()

    def counted(*arguments: Any) -> Any:
        next(calls)
        return analyse(*arguments)

    monkeypatch.setattr("bench.runs.state.analyse", counted)
    state = make_state([sampled(make_sample(CONTROL)), sampled(SAMPLE)], PLAN)
    state.next_step()  # Without a precision no interval is needed.
    assert next(calls) == 0
    analysis = state.analysis
    state.add(event("start", key=CANDIDATE.key, pass_index=1))
    assert state.analysis is analysis
    state.add(sampled(make_sample(CANDIDATE, 1)))
    assert [row.passes for row in state.records] == [1, 2]


def test_a_gate_remeasures_undecided_comparisons_only() -> None:
    """A gate's further passes exclude comparisons with a decided outcome."""
    samples = [
        sampled(make_sample(each, index, arm_s=(0.010 if each.is_control else 0.008,) * 6))
        for each in PLAN.comparisons
        for index in range(2)
    ]
    known = make_state(samples, replace(PLAN, precision=0.01))
    assert set(known.widths) == {CONTROL.key, CANDIDATE.key}
    gated = make_state(samples, replace(PLAN, precision=0.01, gate=0.03))
    assert set(gated.widths) < set(known.widths)
    assert make_state(samples, PLAN).widths == {}


def kinds(step: object) -> str:
    """Return the kind of a step as a word."""
    match step:
        case None:
            return "end"
        case NextPass():
            return f"pass {step.index}"
        case Choice():
            return "choice"
    return "survey"


def test_the_order_of_steps() -> None:
    """Steps are planned passes, survey, further passes and end; failures end a run early."""
    plan = replace(PLAN, passes=1, survey=True, precision=1e-6, budget_s=600.0)
    state = make_state(plan=plan)
    assert (kinds(state.next_step()), state.left) == ("pass 0", 4)
    for each in plan.comparisons:
        state.add(sampled(make_sample(each, arm_s=(0.008, 0.009) * 3, measure_s=1.0)))
    step = state.next_step()
    assert isinstance(step, list)
    assert state.left == len(step) == 2
    for item in step:
        state.add({"kind": "survey", "time_s": 0.0, **asdict(make_survey(item.key))})
    assert (kinds(state.next_step()), state.left) == ("pass 1", 0)
    for each in plan.comparisons:
        state.add(sampled(make_sample(each, 1, status="oom", arm_s=(), baseline_s=())))
    assert kinds(state.next_step()) == "end"


@pytest.fixture(name="kept")
def _kept() -> tuple[RunState, list[Event]]:
    """Return the kept run's state before its first event, and its events."""
    events, _ = read_events(KEPT / "journal.jsonl")
    return RunState(KEPT, read_plan(KEPT), read_environment(KEPT)), events


def test_the_kept_run_would_take_the_same_steps(kept: tuple[RunState, list[Event]]) -> None:
    """Replayed events give the kept run's steps before each process and choice."""
    state, events = kept
    steps: list[str] = []
    for place, each in enumerate(events):
        if each["kind"] in ("process", CHOICE):
            step = state.next_step()
            steps.append(kinds(step))
            # The run was made before cases were surveyed in today's order.
            in_order = sorted if kinds(step) == "survey" else list
            assert in_order(keys_of(step)) == in_order(taken(events[place:])), steps
        state.add(each)
    passes = [f"pass {index}" for index in range(3)]
    assert steps == [*passes, "choice", *passes[:2], "survey", "pass 3"]
    assert kinds(state.next_step()) == "end"


def keys_of(step: NextPass | Choice | list[SurveyJob] | None) -> list[str]:
    """Return the keys of the comparisons or cases of a step, in order."""
    found = step.comparisons if isinstance(step, NextPass | Choice) else step or []
    return [each.key for each in found]


def taken(events: list[Event]) -> list[str]:
    """Return the keys that the first of these events started, in order."""
    first, *rest = events
    if first["kind"] == CHOICE:
        return [each.key for each in make_state([first]).plan.comparisons[1:]]
    until = next((n for n, e in enumerate(rest) if e["kind"] in ("process", CHOICE)), len(rest))
    return [each["key"] for each in rest[:until] if each["kind"].endswith("start")]


def test_a_live_state_equals_the_loaded_state(
    kept: tuple[RunState, list[Event]],
) -> None:
    """A state queried during a run ends equal to the state loaded from its folder."""
    state, events = kept
    for place, each in enumerate(events):
        if place % 100 == 0:
            state.next_step()
        state.add(each)
    again = load(KEPT)
    assert state.analysis == again.analysis
    assert (state.samples, state.surveys) == (again.samples, again.surveys)
    assert (state.spent_s, state.left) == (again.spent_s, again.left)
    assert state.report_data(state.aim) == again.report_data(again.aim)


@pytest.mark.parametrize(
    "append",
    [lambda path: append_sample(path, SAMPLE), lambda path: append_survey(path, SURVEY)],
    ids=["sample", "survey"],
)
def test_a_folder_is_read(tmp_path: Path, append: Callable[[Path], None]) -> None:
    """Plan, machine and journal are loaded; a half-written last line is ignored."""
    run = tmp_path / "run"
    create_run_folder(run, PLAN, make_environment())
    assert (load(run).samples, load(run).measuring_share) == ([], None)
    append(run / "journal.jsonl")
    with (run / "journal.jsonl").open("ab") as file:
        file.write(b'{"schema": 4, "kind": "samp')
    state = load(run)
    assert len(state.samples) + len(state.surveys) == 1
    assert (state.plan, state.environment, state.folder) == (PLAN, make_environment(), run)


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    """A folder without a plan is refused."""
    with pytest.raises(InputError, match=r"plan\.json cannot be read"):
        load(tmp_path)
