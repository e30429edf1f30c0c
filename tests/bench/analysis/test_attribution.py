"""bench.analysis.attribution: the component of each operator, and sums that lose no time."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.attribution import by_component, by_operator, collapsed, owners, stacks
from bench.records.call_profile import BETWEEN, CALL_COMPONENTS, PYTHON, Span

NAMES = ("aten::mm", "aten::add", "MmBackward0")


def opened(component: str, parent: int | None = None, self_s: float = 0.0) -> Span:
    """A component's range."""
    return Span(name=f"vitbench::{component}", component=component, parent=parent, self_s=self_s)


def operator(
    name: str, parent: int | None = None, sequence: int | None = None, thread: int = 1
) -> Span:
    """An operator with a self time of one second."""
    return Span(name=name, self_s=1.0, parent=parent, sequence=sequence, thread=thread)


def node(sequence: int | None, thread: int = 1, forward_thread: int = 1) -> Span:
    """A node of autograd's engine; a node without a sequence number accumulates a gradient."""
    return Span(
        name="engine",
        self_s=1.0,
        sequence=sequence,
        node=True,
        thread=thread,
        forward_thread=None if sequence is None else forward_thread,
    )


@st.composite
def calls(draw: st.DrawFn) -> list[list[Span]]:
    """One to three calls of arbitrary spans in which parents precede children."""
    many = []
    for _ in range(draw(st.integers(1, 3))):
        spans: list[Span] = []
        for place in range(draw(st.integers(0, 12))):
            above = draw(st.none() | st.integers(0, place - 1)) if place else None
            component = draw(st.none() | st.sampled_from(CALL_COMPONENTS))
            spans.append(
                Span(
                    name=draw(st.sampled_from(NAMES)),
                    component=component,
                    parent=above,
                    self_s=draw(st.floats(0, 10)),
                    sequence=draw(st.none() | st.integers(0, 5)),
                    node=component is None and draw(st.booleans()),
                    forward_thread=0,
                )
            )
        many.append(spans)
    return many


def mean_s(given_calls: Sequence[Sequence[Span]]) -> float:
    """Seconds of one call on average."""
    return sum(span.self_s for spans in given_calls for span in spans) / len(given_calls)


@given(calls())
def test_nothing_is_lost(many: list[list[Span]]) -> None:
    """Components, operators and stacks each add up to the time of a call."""
    found, expected = stacks(many), pytest.approx(mean_s(many))
    assert sum(each.seconds for each in found) == expected
    assert sum(each.seconds for each in by_component(found)) == expected
    assert sum(each.seconds for each in by_operator(found)) == expected
    for share in (*by_component(found), *by_operator(found)):
        assert sum(share.within.values()) == pytest.approx(share.seconds)


@given(calls())
def test_collapsed_stacks_are_whole_microseconds_that_add_up(many: list[list[Span]]) -> None:
    """Each line has names and a positive number; the sum is the total, rounded once."""
    found = stacks(many)
    parts = [line.rpartition(" ") for line in collapsed(found)]
    assert all(names.split(";")[0] in CALL_COMPONENTS for names, _, _ in parts)
    assert all(int(number) > 0 for _, _, number in parts)
    total_us = math.fsum(each.seconds for each in found) * 1e6
    assert sum(int(number) for _, _, number in parts) == pytest.approx(total_us, abs=1)


@given(calls())
def test_the_longest_come_first(many: list[list[Span]]) -> None:
    """The rows of a table fall by time, and every name is unique."""
    for shares in (by_component(stacks(many)), by_operator(stacks(many))):
        assert [each.seconds for each in shares] == sorted(
            (s.seconds for s in shares), reverse=True
        )
        assert len({each.name for each in shares}) == len(shares)


def test_forward_belongs_to_the_innermost_range() -> None:
    """A forward operator at any depth belongs to its innermost range, or else to "between"."""
    spans = [
        opened(BETWEEN),
        opened("attention", parent=0),
        operator("aten::linear", parent=1),
        operator("aten::addmm", parent=2),
        operator("aten::add", parent=0),
        operator("aten::cat"),
    ]
    assert owners(spans) == [BETWEEN, *["attention"] * 3, BETWEEN, BETWEEN]


def test_a_node_belongs_to_the_last_operator_with_its_number() -> None:
    """Dropout in inference makes no node, so the addition after it has the same number."""
    spans = [
        opened("MLP"),
        operator("aten::dropout", parent=0, sequence=7),
        opened(BETWEEN),
        operator("aten::add", parent=2, sequence=7),
        node(7),
        operator("AddBackward0", parent=4, sequence=7),
    ]
    assert owners(spans)[4:] == [BETWEEN, BETWEEN]


def test_a_gradient_is_accumulated_for_the_node_before() -> None:
    """An accumulation, which has no number, belongs to the node before it on the same thread."""
    spans = [
        opened("norm"),
        operator("aten::native_layer_norm", parent=0, sequence=1),
        opened("MLP"),
        operator("aten::addmm", parent=2, sequence=2),
        node(2, thread=5),
        node(1, thread=6),
        node(None, thread=5),
        node(None, thread=6),
        node(None, thread=7),
    ]
    assert owners(spans)[4:] == ["MLP", "norm", "MLP", "norm", BETWEEN]


def test_numbers_are_those_of_one_thread() -> None:
    """Sequence numbers are matched within one thread: each thread counts its own."""
    spans = [
        opened("head"),
        operator("aten::addmm", parent=0, sequence=3, thread=1),
        opened("loss"),
        operator("aten::mean", parent=2, sequence=3, thread=2),
        node(3, thread=9, forward_thread=1),
        node(3, thread=9, forward_thread=2),
        node(3, thread=9, forward_thread=4),
    ]
    assert owners(spans)[4:] == ["head", "loss", BETWEEN]


def test_recomputation_belongs_to_its_own_component() -> None:
    """A range inside a node decides the component; its numbers do not affect later nodes."""
    spans = [
        opened("MLP"),
        operator("aten::addmm", parent=0, sequence=2),
        opened("norm"),
        operator("aten::native_layer_norm", parent=2, sequence=1),
        node(2),
        opened("attention", parent=4),
        operator("aten::addmm", parent=5, sequence=9),
        operator("aten::mm", parent=4),
        node(1),
    ]
    assert owners(spans)[4:] == ["MLP", "attention", "attention", "MLP", "norm"]


def test_paths_begin_at_the_component() -> None:
    """A path leaves out ranges and enclosing spans of other components; Python is a leaf."""
    spans = [
        opened(BETWEEN, self_s=0.5),
        opened("MLP", parent=0, self_s=0.25),
        operator("aten::linear", parent=1),
        operator("aten::addmm", parent=2),
        operator("aten::add", parent=0),
        opened("attention", parent=4),
        operator("aten::mm", parent=5),
    ]
    assert {each.path: (each.seconds, each.calls) for each in stacks([spans])} == {
        ("MLP", "aten::linear"): (1, 1),
        ("MLP", "aten::linear", "aten::addmm"): (1, 1),
        (BETWEEN, "aten::add"): (1, 1),
        ("attention", "aten::mm"): (1, 1),
        (BETWEEN, PYTHON): (0.5, None),
        ("MLP", PYTHON): (0.25, None),
    }


def test_calls_are_averaged() -> None:
    """An operator in one of two calls counts half, in time and in number."""
    once, twice = [operator("aten::mm")], [operator("aten::mm"), operator("aten::add")]
    shares = {each.name: each for each in by_operator(stacks([once, twice]))}
    assert (shares["aten::mm"].seconds, shares["aten::mm"].calls) == (1, 1)
    assert (shares["aten::add"].seconds, shares["aten::add"].calls) == (0.5, 0.5)


def test_python_has_no_calls() -> None:
    """The call count of Python between operators is empty, not 0."""
    (python,) = by_operator(stacks([[opened("MLP", self_s=2.0)]]))
    assert (python.name, python.calls, python.within) == (PYTHON, None, {"MLP": 2.0})
    (component,) = by_component(stacks([[opened("MLP", self_s=2.0)]]))
    assert component.calls is None


def test_a_semicolon_in_a_name_is_replaced() -> None:
    """A semicolon, the separator of a flame graph, is replaced inside names."""
    spans = [Span(name="a; b", self_s=1e-6)]
    assert collapsed(stacks([spans])) == [f"{BETWEEN};a, b 1"]
