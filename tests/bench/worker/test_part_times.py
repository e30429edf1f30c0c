"""bench.worker.part_times: from calls of a model to the pairs of a comparison."""

from dataclasses import replace

import pytest

from bench.arms.mixed_model import CallTimes, Span
from bench.records.comparison import MODEL
from bench.worker.part_times import NumberedPair, levelled, pairs_of, places_of, whole_s
from helpers.records import make_comparison

CONTROL = make_comparison("mha", cache=MODEL)
BLOCK_CONTROL = replace(CONTROL, workload=replace(CONTROL.workload, component="block"))
DEPTH = 12


def call(**parts_s: list[float]) -> CallTimes:
    """Return the times of a call whose attentions belong to arms."""
    return CallTimes(
        spans=[Span("attention", name, s) for name, each in parts_s.items() for s in each],
        rest_s=1.0,
        total_s=9.0,
    )


def blocks(*arms_s: tuple[str, float], patcher_s: float = 0.5) -> CallTimes:
    """Return the times of a call of whole blocks: an attention, and an MLP of twice its time."""
    spans = [Span("patcher", "baseline", patcher_s)]
    for name, seconds in arms_s:
        spans += [Span("attention", name, seconds), Span("mlp", name, 2 * seconds)]
    return CallTimes(spans=spans, rest_s=1.0, total_s=sum(each.seconds for each in spans) + 1.0)


def numbered(pairs: list[NumberedPair]) -> list[tuple[float, ...]]:
    """Return each pair's call, baseline's and arm's seconds as one row."""
    return [(number, *pair) for number, pair in pairs]


def test_calls_without_an_arm_make_no_pair() -> None:
    """With more arms than blocks a call lacks some; marks of calls become those of pairs."""
    calls = [call(baseline=[1.0, 4.0], copy=[3.0]), call(baseline=[5.0]), call(copy=[7.0])]
    calls.append(call(baseline=[8.0], copy=[2.0, 8.0]))
    pairs = list(pairs_of(calls, CONTROL))
    assert numbered(pairs) == [pytest.approx((0, 2.0, 3.0)), pytest.approx((3, 8.0, 4.0))]
    numbers = [number for number, _ in pairs]
    assert places_of(numbers, (1, 3)) == (1,)
    assert places_of(numbers, (0, 2)) == (0,)
    assert whole_s(calls, DEPTH) is None


def test_a_call_gives_as_many_pairs_as_both_have_blocks() -> None:
    """Neighbours of the arm with more are averaged; a disturbed call marks all its pairs."""
    calls = [call(baseline=[1.0, 4.0, 3.0], copy=[5.0, 7.0]), call(baseline=[2.0], copy=[2.0])]
    pairs = list(pairs_of(calls, CONTROL))
    assert numbered(pairs) == [
        pytest.approx((0, 2.0, 5.0)),
        pytest.approx((0, 3.0, 7.0)),
        pytest.approx((1, 2.0, 2.0)),
    ]
    assert places_of([number for number, _ in pairs], (0,)) == (0, 1)


def test_a_block_is_its_attention_and_its_mlp() -> None:
    """The whole is the rest, a patcher and as many blocks as the model has."""
    calls = [blocks(("baseline", 1.0), ("copy", 2.0)), blocks(("copy", 2.0), ("baseline", 1.0))]
    assert numbered(list(pairs_of(calls, BLOCK_CONTROL))) == [
        pytest.approx((0, 3.0, 6.0)),
        pytest.approx((1, 3.0, 6.0)),
    ]
    assert whole_s(calls, DEPTH) == pytest.approx(1.0 + 0.5 + DEPTH * 3.0)


def test_a_slow_spell_is_taken_out_of_blocks_only() -> None:
    """Blocks of a slow call get the time of the others; its patcher and its total stay."""
    arms = [("baseline", 1.0), ("copy", 2.0), ("baseline", 1.0), ("copy", 2.0)]
    slow = [(name, 3 * seconds) for name, seconds in arms]
    found = levelled([blocks(*arms), blocks(*slow, patcher_s=1.5), blocks(*arms)])
    for each in found:
        assert each.parts_s["block", "baseline"] == pytest.approx([3.0, 3.0])
        assert each.parts_s["block", "copy"] == pytest.approx([6.0, 6.0])
    assert [each.parts_s["patcher", "baseline"][0] for each in found] == [0.5, 1.5, 0.5]
    assert found[1].total_s == pytest.approx(1.5 + 3 * 18.0 + 1.0)


def test_no_calls_have_no_times() -> None:
    """An interrupt may come before the first."""
    assert levelled([]) == []
