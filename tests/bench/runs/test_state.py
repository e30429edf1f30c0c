"""bench.runs.state: a run's state from the events of its journal."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.rows import analyse
from bench.files.journal import Event, read_events
from bench.files.run_folder import create_run_folder, read_environment, read_plan
from bench.records.comparison import CHOICE, Comparison
from bench.records.errors import InputError
from bench.records.plan import Choice
from bench.records.sample import Sample
from bench.runs.schedule import NextPass
from bench.runs.state import RunState, load
from bench.suite.grid import Selection, comparisons
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


def measured(
    comparisons: Sequence[Comparison], *, noise: float = 0.0, **speedups: float
) -> list[Event]:
    """Build the samples of two passes: arms of given speed-ups, else 1; ``noise`` parts passes."""
    found = []
    for each, index in product(comparisons, range(2)):
        arm_s = 0.010 / speedups.get(each.arm_name, 1.0) * (1 + noise * index)
        found.append(sampled(make_sample(each, index, arm_s=(arm_s,) * 6)))
    return found


def test_urgency_is_the_width_by_the_precision() -> None:
    """With a precision, a comparison is urgent until its interval is that narrow."""
    events = measured(PLAN.comparisons, manual=1.25)
    state, half = (make_state(events, replace(PLAN, precision=p)) for p in (0.01, 0.02))
    assert set(state.urgency) == {CONTROL.key, CANDIDATE.key}
    widths = state.analysis.widths
    assert state.urgency == pytest.approx({key: each / 0.01 for key, each in widths.items()})
    assert half.urgency == pytest.approx({key: each / 2 for key, each in state.urgency.items()})
    assert make_state(events, PLAN).urgency == {}


def test_a_gate_remeasures_undecided_comparisons_only() -> None:
    """A gate's further passes exclude comparisons with a decided outcome."""
    events = measured(PLAN.comparisons, manual=1.25)
    known = make_state(events, replace(PLAN, precision=0.01))
    gated = make_state(events, replace(PLAN, precision=0.01, gate=0.03))
    assert set(gated.urgency) < set(known.urgency)


CHOOSING = replace(PLAN, comparisons=(CONTROL, CANDIDATE, make_comparison("sdpa")), choose=True)


def test_a_choice_is_urgent_while_a_rival_could_gain() -> None:
    """In a run that chooses, a factor's rows are urgent by what its rivals could still gain."""
    model = [
        make_comparison(name, factor="compile", baseline="eager", component="model", cache="model")
        for name in ("eager", "compile", "compile_blocks")
    ]
    plan = replace(CHOOSING, comparisons=tuple(model))
    near, far = (
        make_state(measured(model, noise=0.02, compile=1.25, compile_blocks=other), plan)
        for other in (1.24, 0.4)
    )
    candidates = {each.key for each in model if not each.is_control}
    assert set(near.urgency) == set(far.urgency) == candidates
    assert min(near.urgency.values()) > max(far.urgency.values()) == 0
    assert make_state(measured(model), replace(plan, choose=False)).urgency == {}


@pytest.mark.parametrize(
    ("speedup", "noise", "is_settled"),
    [
        (2.0, 0.02, True),
        (0.5, 0.02, True),
        # Certainly no rival of the baseline.
        (1.0, 0.0, True),
        (0.95, 0.0, True),
        # Faster, but not by far; and undecided.
        (1.05, 0.02, False),
        (1.0, 0.05, False),
    ],
)
def test_what_is_beyond_doubt_is_settled(speedup: float, noise: float, *, is_settled: bool) -> None:
    """A candidate far from its baseline, or not better, needs no third pass; a control always."""
    events = measured(CHOOSING.comparisons, noise=noise, manual=speedup, sdpa=1.02)
    settled = make_state(events, CHOOSING).settled
    assert (CANDIDATE.key in settled) is is_settled
    assert CONTROL.key not in settled
    assert make_state(events, replace(CHOOSING, choose=False)).settled == set()


def test_nothing_is_settled_without_an_interval() -> None:
    """A failed candidate is not decided; chosen combinations keep their passes."""
    failed = make_sample(CANDIDATE, status="oom", arm_s=(), baseline_s=())
    assert make_state([sampled(failed)], CHOOSING).settled == set()
    chosen = tuple(replace(each, factor=CHOICE) for each in (CONTROL, CANDIDATE))
    plan = replace(CHOOSING, comparisons=chosen, choice_passes=2)
    assert make_state(measured(chosen), plan).settled == set()


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


def test_a_finished_run_of_an_older_kind_is_complete() -> None:
    """A plan that measured all factors at once lacks no pass, and chooses no level."""
    plan = replace(CHOOSING, comparisons=comparisons(Selection(variants=("B/16",))))
    assert not plan.precision_first
    state = make_state(measured(plan.comparisons), plan)
    assert state.left == 0
    assert kinds(state.next_step()) == "end"


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
