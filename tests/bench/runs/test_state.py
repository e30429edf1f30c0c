"""bench.runs.state: events become records once, and every question is answered from them."""

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
    """An event of a journal; a sample or a survey is a whole one."""
    whole = {"sample": asdict(SAMPLE), "survey": asdict(SURVEY)}.get(kind, {})
    return {**whole, "kind": kind, "time_s": time_s, **content}


def sampled(sample: Sample) -> Event:
    """The event of a sample."""
    return {"kind": "sample", "time_s": 0.0, **asdict(sample)}


def choice_of(*comparisons: Comparison, passes: int = 1) -> Event:
    """The event of a choice."""
    return event(CHOICE, comparisons=[asdict(each) for each in comparisons], passes=passes)


def test_an_event_becomes_its_record() -> None:
    """What was measured or chosen is returned; what only began adds nothing."""
    state = make_state()
    assert state.add(event("sample")) == SAMPLE
    assert state.add(event("survey", died=False)) == SURVEY
    chosen = replace(CANDIDATE, factor=CHOICE)
    assert state.add(choice_of(chosen)) == Choice(comparisons=(chosen,), passes=1)
    for kind in ("process", "start", "survey_start", "interrupt", "unheard-of"):
        assert state.add(event(kind, key="b", pass_index=1)) is None
    assert (state.samples, state.surveys) == ([SAMPLE], {"a": SURVEY})


def test_the_first_counts() -> None:
    """Of two samples of a comparison in a pass, and of two surveys of a case; none is returned."""
    state = make_state([event("sample"), event("survey")])
    assert state.add(event("sample", prepare_s=9.0)) is None
    assert state.add(event("survey", flop=1.0)) is None
    assert state.add(event("sample", pass_index=1)) == replace(SAMPLE, pass_index=1)
    assert state.samples == [SAMPLE, replace(SAMPLE, pass_index=1)]
    assert state.surveys == {"a": SURVEY}


def test_what_was_chosen_is_in_the_plan() -> None:
    """Beside what was asked for, which the state still has alone; a later choice adds to it."""
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
def test_spent_time_is_what_led_to_samples(events: list[Event], seconds: float) -> None:
    """What a killed process had begun, and the time until the run was resumed, do not count."""
    assert make_state(events).spent_s == seconds


def test_rows_are_computed_when_asked_for_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events alone compute nothing; between two records the rows are the same object."""
    calls = count()

    def counted(*arguments: Any) -> Any:
        next(calls)
        return analyse(*arguments)

    monkeypatch.setattr("bench.runs.state.analyse", counted)
    state = make_state([sampled(make_sample(CONTROL)), sampled(SAMPLE)], PLAN)
    state.next_step()  # Without a precision nobody needs an interval.
    assert next(calls) == 0
    analysis = state.analysis
    state.add(event("start", key=CANDIDATE.key, pass_index=1))
    assert state.analysis is analysis
    state.add(sampled(make_sample(CANDIDATE, 1)))
    assert [row.passes for row in state.records] == [1, 2]


def test_a_gate_leaves_what_is_decided() -> None:
    """Further passes may go to every comparison, with a gate only to those that are open."""
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
    """What a step is, in one word."""
    match step:
        case None:
            return "end"
        case NextPass():
            return f"pass {step.index}"
        case Choice():
            return "choice"
    return "survey"


def test_the_order_of_steps() -> None:
    """Planned passes, the survey, further passes, the end; what failed ends a run early."""
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
    """The state of the kept run before its first event, and its events."""
    events, _ = read_events(KEPT / "journal.jsonl")
    return RunState(KEPT, read_plan(KEPT), read_environment(KEPT)), events


def test_the_kept_run_would_take_the_same_steps(kept: tuple[RunState, list[Event]]) -> None:
    """Before each process, and each choice, the next step is the one that the run took."""
    state, events = kept
    steps: list[str] = []
    for place, each in enumerate(events):
        if each["kind"] in ("process", CHOICE):
            step = state.next_step()
            steps.append(kinds(step))
            assert keys_of(step) == taken(events[place:]), steps
        state.add(each)
    passes = [f"pass {index}" for index in range(3)]
    assert steps == [*passes, "choice", *passes[:2], "survey", "pass 3"]
    assert kinds(state.next_step()) == "end"


def keys_of(step: NextPass | Choice | list[SurveyJob] | None) -> list[str]:
    """The keys of what a step measures, in order."""
    found = step.comparisons if isinstance(step, NextPass | Choice) else step or []
    return [each.key for each in found]


def taken(events: list[Event]) -> list[str]:
    """The keys of what the first of these events began, in order."""
    first, *rest = events
    if first["kind"] == CHOICE:
        return [each.key for each in make_state([first]).plan.comparisons[1:]]
    until = next((n for n, e in enumerate(rest) if e["kind"] in ("process", CHOICE)), len(rest))
    return [each["key"] for each in rest[:until] if each["kind"].endswith("start")]


def test_a_state_that_followed_a_run_is_the_one_that_is_read(
    kept: tuple[RunState, list[Event]],
) -> None:
    """However often it was asked meanwhile, it ends like a state that reads the folder."""
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
    """Plan, machine and journal; half a line at its end is left out."""
    run = tmp_path / "run"
    create_run_folder(run, PLAN, make_environment())
    assert (load(run).samples, load(run).measuring_share) == ([], None)
    append(run / "journal.jsonl")
    with (run / "journal.jsonl").open("ab") as file:
        file.write(b'{"schema": 4, "kind": "samp')
    state = load(run)
    assert len(state.samples) + len(state.surveys) == 1
    assert (state.plan, state.environment, state.folder) == (PLAN, make_environment(), run)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    """A folder without a plan is not a run's."""
    with pytest.raises(InputError, match=r"plan\.json cannot be read"):
        load(tmp_path)
