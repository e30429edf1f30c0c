"""bench.runs.state: the steps of a whole run that chooses, from any part of its journal."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from zlib import crc32

import pytest

from bench.files.journal import Event
from bench.records.comparison import CHOICE, Comparison
from bench.records.plan import Choice, Plan
from bench.records.task import SurveyJob
from bench.runs.levels import at_precision
from bench.runs.schedule import NextPass
from bench.runs.state import RunState
from bench.suite.grid import Selection, comparisons
from helpers.journals import make_state
from helpers.records import make_plan, make_sample, make_survey

Step = NextPass | Choice | list[SurveyJob] | None
FACTORS = ("patcher", "attention", "precision")
GRID = comparisons(Selection(variants=("B/16",), batch_sizes=(1,), factors=FACTORS))
PLAN = make_plan(
    comparisons=GRID, passes=2, budget_s=600.0, choose=True, precision_first=True, survey=True
)
# True speed-ups; the others are 1.
SPEEDUPS = {
    "bf16": 1.9,
    "amp_bf16": 1.4,
    "amp_fp16": 0.3,
    "sdpa": 1.2,
    "manual": 0.7,
    "unfold": 0.5,
}
# Shares of a part in the model's time.
SHARES = {"patcher": 0.01, "attention": 0.3}
PASS_S = 20.0


def event_of(comparison: Comparison, index: int) -> Event:
    """Build a sample of a comparison with its true speed-up and half a percent of noise."""
    speedup = SPEEDUPS.get(comparison.arm_name, 1.0)
    for level in comparison.arm_name.split("+") if comparison.factor == CHOICE else ():
        speedup *= SPEEDUPS.get(level, 1.0) if level == "bf16" else 1.0
    noise = (crc32(f"{comparison.key}{index}".encode()) % 1000 / 1000 - 0.5) / 100
    pair_s = (0.010, 0.010 / speedup * (1 + noise))
    share = SHARES.get(comparison.workload.component)
    sample = make_sample(
        comparison,
        index,
        baseline_s=(pair_s[0],) * 6,
        arm_s=(pair_s[1],) * 6,
        output_error=1e-6,
        group=comparison.group,
        whole_s=0.1 if share else None,
        share=share,
        prepare_s=0.5,
        measure_s=1.0,
    )
    return {"kind": "sample", **asdict(sample)}


def events_of(step: Step) -> Iterator[Event]:
    """Yield the events of a step, without their times."""
    if isinstance(step, Choice):
        yield {"kind": CHOICE, **asdict(step)}
        return
    if isinstance(step, NextPass):
        yield {"kind": "process", "pass_index": step.index}
        ordered = sorted(step.comparisons, key=lambda each: (each.group, not each.is_control))
        for group, found in groupby(ordered, lambda each: each.group):
            yield {"kind": "start", "key": group, "pass_index": step.index}
            yield from (event_of(each, step.index) for each in found)
            yield {"kind": "group", "key": group, "status": "ok", "died": False}
        return
    yield {"kind": "process", "survey": True}
    for job in step or ():
        yield {"kind": "survey_start", "key": job.key}
        yield {"kind": "survey", **asdict(make_survey(job.key))}


def kind_of(step: Step) -> str:
    """Return the kind of a step, with the factors of a pass or of a choice."""
    match step:
        case None:
            return "end"
        case NextPass():
            return f"pass {step.index}: {factors_of(step)}"
        case Choice():
            return f"choice: {factors_of(step)}"
    return "survey"


def factors_of(step: NextPass | Choice) -> str:
    """Return the factors of a step and the precisions at which they are compared."""
    places = {f"{each.factor}@{each.baseline.precision}" for each in step.comparisons}
    return " ".join(sorted(places))


def keys_of(step: Step) -> list[str]:
    """Return the keys of the comparisons or cases of a step, in order."""
    found = step.comparisons if isinstance(step, NextPass | Choice) else step or []
    return [each.key for each in found]


class Whole:
    """A run to its end: its events, and each step with the number of events before it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.steps: list[tuple[int, Step]] = []
        state, time_s = make_state(plan=plan), 0.0
        while step := state.next_step():
            self.steps.append((len(self.events), step))
            new = list(events_of(step))
            for each in new:
                time_s += PASS_S / len(new)
                self.events.append({**each, "time_s": time_s})
                state.add(self.events[-1])
            assert len(self.steps) < 60
        self.state = state

    def until(self, count: int) -> RunState:
        """Return the state after the first events."""
        return make_state(self.events[:count], self.plan)


@pytest.fixture(scope="module", name="whole")
def _whole() -> Whole:
    """Return a whole run that chooses."""
    return Whole(PLAN)


def test_the_steps_of_a_run_that_chooses(whole: Whole) -> None:
    """Precisions, the level, everything at both, the combinations, the survey, further passes."""
    kinds = [kind_of(step) for _, step in whole.steps]
    both = "attention@bf16 attention@fp32 patcher@bf16 patcher@fp32"
    assert kinds[:3] == [
        "pass 0: precision@fp32",
        "choice: attention@bf16 patcher@bf16",
        f"pass 1: {both}",
    ]
    assert kinds[3] in (f"pass 2: {both}", "pass 2: attention@bf16 attention@fp32")
    assert kinds[4] == "choice: choice@fp32"
    assert {each for each in kinds[5:] if "choice" in each} == {
        "pass 0: choice@fp32",
        "pass 1: choice@fp32",
    }
    assert kinds.count("survey") == 1
    assert whole.state.left == 0


def test_the_level_repeats_every_part(whole: Whole) -> None:
    """The first choice is the winner's level of every patcher and attention, controls included."""
    (_, level), *_ = [each for each in whole.steps if isinstance(each[1], Choice)]
    parts = [each for each in GRID if each.factor != "precision"]
    assert keys_of(level) == [at_precision(each, "bf16").key for each in parts]


def test_what_is_decided_beyond_doubt_has_fewer_passes(whole: Whole) -> None:
    """Precisions far from each other have one pass, with their control; close arms have all."""
    passes = {(row.factor, row.arm, row.precision): row.passes for row in whole.state.records}
    assert passes["precision", "amp_fp16", "amp_fp16"] == 1
    assert passes["precision", "fp32", "fp32"] == 1
    assert passes["attention", "mha_weights", "fp32"] >= 2
    assert passes["attention", "mha", "fp32"] >= 2


def test_the_next_step_is_the_same_after_every_restart(whole: Whole) -> None:
    """The journal up to any step gives that step: a killed run goes on as if it had not been."""
    for count, step in whole.steps:
        again = whole.until(count).next_step()
        assert (kind_of(again), keys_of(again)) == (kind_of(step), keys_of(step))
        if isinstance(step, NextPass) and isinstance(again, NextPass):
            assert again.weights == step.weights
    assert whole.until(len(whole.events)).next_step() is None


def planned_passes(whole: Whole) -> Iterator[tuple[NextPass, int, int]]:
    """Yield each planned pass of the request with the numbers of events before and after it."""
    ends = [count for count, _ in whole.steps[1:]]
    for (start, step), end in zip(whole.steps, ends, strict=False):
        if isinstance(step, Choice) and step.comparisons[0].factor == CHOICE:
            return
        if isinstance(step, NextPass):
            yield step, start, end


def test_a_journal_cut_within_a_pass_gives_the_rest_of_it(whole: Whole) -> None:
    """At every prefix, the candidates of the pass that are still open are next, none twice."""
    for step, start, end in planned_passes(whole):
        candidates = [each for each in step.comparisons if not each.is_control]
        for count in range(start + 1, end):
            state = whole.until(count)
            known = {(each.key, each.pass_index) for each in state.samples}
            missing = {each.key for each in candidates if (each.key, step.index) not in known}
            again = state.next_step()
            if open_ := missing - state.settled:
                assert isinstance(again, NextPass)
                assert again.index == step.index
                assert open_ <= set(keys_of(again))
                assert not known & {(key, step.index) for key in keys_of(again)}


def test_nothing_measured_is_planned_again(whole: Whole) -> None:
    """No prefix of the journal leads to a pass over what it already holds."""
    for count in range(0, len(whole.events), 9):
        state = whole.until(count)
        step = state.next_step()
        if isinstance(step, NextPass):
            known = {(each.key, each.pass_index) for each in state.samples}
            assert not known & {(key, step.index) for key in keys_of(step)}
        elif isinstance(step, list):
            assert not set(keys_of(step)) & set(state.surveys)


def test_the_work_left_shrinks_between_choices(whole: Whole) -> None:
    """Only a choice adds to the work that is left; it ends at 0."""
    state = whole.until(0)
    before = state.left
    for count, each in enumerate(whole.events):
        state.add(each)
        if each["kind"] == CHOICE:
            assert state.left > before
        elif count % 4 == 0:
            assert state.left <= before
        else:
            continue
        before = state.left
    assert state.left == 0


def test_the_planned_passes_are_counted(whole: Whole) -> None:
    """The work of the planned passes has each comparison as often as it has passes."""
    precisions = [each for each in GRID if each.factor == "precision"]
    assert whole.until(0).passes_left == PLAN.passes * len(GRID)
    (first, _), (second, _), *_ = [each for each in whole.steps if isinstance(each[1], NextPass)]
    assert whole.until(second - 1).passes_left == PLAN.passes * (len(GRID) - len(precisions))
    assert first == 0
