"""bench.runs.schedule: the next pass as a function of the samples so far."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.comparison import Comparison
from bench.records.plan import Plan
from bench.records.sample import STATUSES, Sample
from bench.runs.schedule import REPORT_S, NextPass, next_pass
from helpers.records import make_comparison, make_plan, make_sample

RUN = tuple(make_comparison(name) for name in ("mha", "manual", "sdpa", "mha_weights"))
KEYS = [each.key for each in RUN]
STARTUP_S = 4.0
# Statuses that mean that the process died.
DEADLY = ("crashed",)
Urgency = Callable[[Sequence[Sample]], Mapping[str, float]]


def plan_of(**changes: object) -> Plan:
    """Build the plan of a run over four comparisons."""
    return make_plan(**{"comparisons": RUN, "budget_s": 600.0, **changes})


def sample(
    comparison: Comparison, index: int, status: str = "ok", measure_s: float = 2.0
) -> Sample:
    """Build a sample of six pairs, or an empty one with a failed status."""
    times = {} if status == "ok" else {"baseline_s": (), "arm_s": ()}
    found = make_sample(comparison, index, status=status, **times)
    return replace(found, prepare_s=0.5, measure_s=measure_s, died=status in DEADLY)


def none_urgent(_: Sequence[Sample]) -> Mapping[str, float]:
    """Return that no urgency is known."""
    return {}


def shrinking(samples: Sequence[Sample]) -> dict[str, float]:
    """Return urgencies of 3 to 6 that shrink with the root of the passes."""
    counts = {key: sum(each.key == key for each in samples) for key in KEYS}
    return {key: (3 + place) / counts[key] ** 0.5 for place, key in enumerate(KEYS) if counts[key]}


def passes_of(
    plan: Plan,
    urgency: Urgency = none_urgent,
    *,
    statuses: Mapping[tuple[str, int], str] | None = None,
    cuts: Iterator[int] | None = None,
    settled: Collection[str] = (),
) -> Iterator[tuple[NextPass, list[Sample]]]:
    """Yield every pass of a run and its samples until the run ends.

    Each pass takes its whole time, or is killed after the next of ``cuts`` comparisons. A
    comparison of ``settled`` is decided by its first sample.
    """
    samples: list[Sample] = []
    spent = 0.0
    while coming := next_pass(plan, samples, urgency(samples), spent, STARTUP_S, settled):
        done = coming.comparisons[: next(cuts)] if cuts else coming.comparisons
        measured = [
            sample(each, coming.index, (statuses or {}).get((each.key, coming.index), "ok"))
            for each in done
        ]
        samples += measured
        spent += coming.seconds * len(done) / len(coming.comparisons)
        yield coming, measured


def names_of(run: Iterator[tuple[NextPass, list[Sample]]]) -> list[tuple[str, int]]:
    """Return (key, pass) of every sample in order."""
    return [(each.key, each.pass_index) for _, measured in run for each in measured]


CUTS = st.lists(st.integers(0, 5), min_size=1).filter(any)
FAILURES = st.dictionaries(
    st.tuples(st.sampled_from(KEYS), st.integers(0, 3)), st.sampled_from(STATUSES)
)


def again_and_again(cuts: list[int]) -> Iterator[int]:
    """Repeat these numbers forever."""
    while True:
        yield from cuts


PRECISIONS = tuple(
    make_comparison(name, factor="precision", baseline="fp32", component="model", cache="model")
    for name in ("fp32", "bf16")
)
STAGED = (*RUN, *PRECISIONS)


def staged_plan(**changes: object) -> Plan:
    """Build the plan of a run that compares two precisions before four attentions."""
    return plan_of(**{"comparisons": STAGED, "precision_first": True, **changes})


@settings(deadline=None)
@given(
    passes=st.integers(1, 4),
    cuts=CUTS,
    failures=FAILURES,
    settled=st.sets(st.sampled_from(KEYS[1:])),
    staged=st.booleans(),
)
def test_a_run_cut_anywhere_is_the_same_run(
    passes: int,
    cuts: list[int],
    failures: dict[tuple[str, int], str],
    settled: set[str],
    *,
    staged: bool,
) -> None:
    """A run killed at any points measures each comparison once in each of its passes.

    Killed between candidates that are all settled and their control, it leaves out the control.
    """
    plan = (staged_plan if staged else plan_of)(passes=passes)
    whole = names_of(passes_of(plan, statuses=failures, settled=settled))
    cut = names_of(passes_of(plan, statuses=failures, settled=settled, cuts=again_and_again(cuts)))
    spared = {KEYS[0]} if {*KEYS[1:]} <= settled | {key for key, _ in failures} else set()
    assert sorted(e for e in cut if e[0] not in spared) == sorted(
        e for e in whole if e[0] not in spared
    )
    assert len(set(cut)) == len(cut)
    if not settled and not set(failures.values()) - {"ok", "crashed"}:
        expected = [*product(KEYS, range(staged, passes + staged))]
        expected += product([each.key for each in PRECISIONS if staged], range(passes))
        assert sorted(whole) == sorted(expected)


@settings(deadline=None)
@given(settled=st.sets(st.sampled_from(KEYS[1:])), passes=st.integers(1, 4))
def test_what_is_decided_is_not_measured_again(settled: set[str], passes: int) -> None:
    """A settled candidate has one pass, the others all; the control goes with what is open."""
    run = list(passes_of(plan_of(passes=passes), settled=settled))
    counts = Counter(each.key for _, measured in run for each in measured)
    open_ = {*KEYS[1:]} - settled
    assert counts == {
        **dict.fromkeys(open_, passes),
        **dict.fromkeys(settled, 1),
        KEYS[0]: passes if open_ else 1,
    }
    assert len(run) == (passes if open_ else 1)


def test_what_is_decided_may_be_urgent() -> None:
    """Two candidates far from the baseline may be near each other: further passes part them."""
    run = list(passes_of(plan_of(precision=0.01), shrinking, settled={KEYS[1]}))
    further = [coming for coming, _ in run if coming.index > 2]
    assert KEYS[1] in {each.key for coming in further for each in coming.comparisons}


def test_a_failed_candidate_is_not_settled() -> None:
    """A candidate without times is tried again after its process died, decided or not."""
    run = list(passes_of(plan_of(), statuses={(KEYS[1], 0): "crashed"}, settled={KEYS[1]}))
    assert [sum(each.key == KEYS[1] for each in measured) for _, measured in run] == [1, 1, 0]


@pytest.mark.parametrize("passes", [1, 3])
def test_staged_passes(passes: int) -> None:
    """The first pass compares precisions alone; the rest has as many passes, one later."""
    run = list(passes_of(staged_plan(passes=passes)))
    factors = [sorted({each.factor for each in coming.comparisons}) for coming, _ in run]
    assert factors == [
        ["precision"],
        *[["attention", "precision"]] * (passes - 1),
        ["attention"],
    ]
    assert [coming.index for coming, _ in run] == list(range(passes + 1))


def test_the_time_of_staged_passes() -> None:
    """Precisions get an eighth of the time; the later passes share the rest of theirs."""
    run = [coming for coming, _ in passes_of(staged_plan(choose=True))]
    whole_s = 600 - REPORT_S
    assert [each.seconds for each in run] == pytest.approx(
        [0.12 * whole_s, *[(0.8 - 0.1 - 0.12) / 3 * whole_s] * 3]
    )


@pytest.mark.parametrize(
    ("urgency", "changes", "goes_on"),
    [
        (none_urgent, {"choose": True}, False),
        (shrinking, {"choose": True}, True),
        (shrinking, {"precision": 0.01}, True),
        (shrinking, {"precision": 0.01, "each_s": 20.0}, False),
    ],
)
def test_further_passes_need_something_urgent(
    urgency: Urgency, changes: dict[str, float], *, goes_on: bool
) -> None:
    """Runs in which nothing is urgent, or with a fixed time for each, end after their passes."""
    run = [coming.index for coming, _ in passes_of(plan_of(**changes), urgency)]
    assert run[:3] == [0, 1, 2]
    assert (len(run) > 3) is goes_on


def test_a_comparison_that_raised_is_not_repeated() -> None:
    """A raised exception is permanent, unlike the end of a process."""
    raised = replace(sample(RUN[1], 0, "crashed"), died=False)
    samples = [raised, *(sample(each, 0) for each in (RUN[0], *RUN[2:]))]
    coming = next_pass(plan_of(), samples, {}, 10.0, STARTUP_S)
    assert coming is not None
    assert {each.key for each in coming.comparisons} == {*KEYS} - {KEYS[1]}


def test_a_control_is_measured_beside_candidates_only() -> None:
    """A control is dropped once every candidate of its baseline failed.

    A run of controls alone, such as a calibration, keeps them.
    """
    failed = dict.fromkeys(product(KEYS[1:], (0,)), "wrong")
    assert [len(measured) for _, measured in passes_of(plan_of(), statuses=failed)] == [4]
    alone = plan_of(comparisons=RUN[:1])
    assert [len(measured) for _, measured in passes_of(alone)] == [1, 1, 1]


@pytest.mark.parametrize("status", ["oom", "timeout", "wrong", "skipped"])
def test_permanent_failures_are_dropped(status: str) -> None:
    """A comparison with a permanent failure is dropped from later passes; the others stay."""
    run = list(passes_of(plan_of(), statuses={(KEYS[1], 0): status}))
    assert [len(measured) for _, measured in run] == [4, 3, 3]
    assert {each.key for _, measured in run[1:] for each in measured} == {*KEYS} - {KEYS[1]}


def test_a_crashed_process_is_tried_again() -> None:
    """A comparison whose process died is measured again in the next pass."""
    run = list(passes_of(plan_of(), statuses={(KEYS[1], 0): "crashed"}))
    assert [len(measured) for _, measured in run] == [4, 4, 4]


def test_a_run_ends_if_nothing_can_run() -> None:
    """There is no second pass if every comparison ran out of memory."""
    statuses = dict.fromkeys(product(KEYS, (0,)), "oom")
    assert len(list(passes_of(plan_of(precision=0.01), shrinking, statuses=statuses))) == 1


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({}, 1.0),
        ({"precision": 0.001}, 0.8),
        ({"choose": True}, 0.8 - 0.1),
        ({"survey": True}, 1 - 0.07),
        ({"choose": True, "survey": True}, 0.8 - 0.1 - 0.07),
    ],
)
def test_planned_passes_share_the_time(changes: dict[str, float], share: float) -> None:
    """Planned passes share what the report, further passes, choice and survey leave them."""
    plan = plan_of(**changes)
    run = [coming for coming, _ in passes_of(plan, shrinking) if coming.index < plan.passes]
    for_passes_s = share * (600 - REPORT_S)
    assert [each.seconds for each in run] == pytest.approx([for_passes_s / 3] * 3)


@settings(deadline=None)
@given(spent=st.floats(0, 2000), done=st.integers(0, 3))
def test_a_late_pass_keeps_its_planned_end(spent: float, done: int) -> None:
    """A pass after a slow one gets the time to its planned end, at least 0."""
    samples = [sample(each, 0) for each in RUN[:done]]
    coming = next_pass(plan_of(), samples, {}, spent, STARTUP_S)
    assert coming is not None
    assert coming.index == 0
    assert coming.seconds == pytest.approx(max((600 - REPORT_S) / 3 - spent, 0.0))


def test_the_seed_sets_the_order() -> None:
    """Passes have different orders, reproducible from the seed."""
    orders = [[each.key for each in coming.comparisons] for coming, _ in passes_of(plan_of(seed=1))]
    again = [[each.key for each in coming.comparisons] for coming, _ in passes_of(plan_of(seed=1))]
    other = [[each.key for each in coming.comparisons] for coming, _ in passes_of(plan_of(seed=5))]
    assert orders == again
    assert orders != other
    assert len({tuple(order) for order in orders}) > 1
    assert {frozenset(order) for order in orders} == {frozenset(KEYS)}
