"""bench.arms.building: the order in which a comparison's arms are made."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arms import build_and_check, building
from bench.arms.building import in_turn, is_arm_first
from bench.records.comparison import Arm, Comparison
from bench.suite.bench_attention import GRID
from bench.suite.grid import Selection, expand
from helpers.own_arms import compare

SMALL = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
_, _, PARTS, _ = expand(GRID, SMALL)
OWN = compare("vitcore:attention=mha,variant=B/32", "vitcore:attention=sdpa,variant=B/32", None)


@given(key=st.text(), pass_index=st.integers(0, 50))
def test_the_arms_take_turns_from_pass_to_pass(key: str, pass_index: int) -> None:
    """The arm made first alternates from pass to pass."""
    assert is_arm_first(key, pass_index) is not is_arm_first(key, pass_index + 1)


def test_half_of_the_comparisons_begin_with_the_arm() -> None:
    """In half of the comparisons the arm is made first, so an odd number of passes is balanced."""
    first = sum(is_arm_first(f"attention-B/16-{number}", 0) for number in range(1000))
    assert 400 < first < 600


@pytest.mark.parametrize("arm_first", [False, True])
def test_order_and_places(*, arm_first: bool) -> None:
    """Arms are made in the requested order and returned in a fixed one."""
    made: list[str] = []

    def make(name: str) -> Callable[[], str]:
        def note() -> str:
            made.append(name)
            return name

        return note

    assert in_turn(make("baseline"), make("arm"), arm_first=arm_first) == ("baseline", "arm")
    assert made == (["arm", "baseline"] if arm_first else ["baseline", "arm"])


@pytest.mark.parametrize("comparison", [PARTS, OWN], ids=["parts", "own"])
@pytest.mark.parametrize("arm_first", [False, True])
def test_both_are_made_in_that_order_with_equal_weights(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch, *, arm_first: bool
) -> None:
    """Parts of vitcore and a user's own arms have equal weights in either order."""
    order: list[str] = []

    def noting(build: Callable[..., object]) -> Callable[..., object]:
        def noted(arm: Arm, *given: object, **changes: object) -> object:
            order.append(arm.attention)
            return build(arm, *given, **changes)

        return noted

    monkeypatch.setattr("bench.arms.build_and_check.build_module", noting(building.build_module))
    for name in ("build_module", "blank_module"):
        monkeypatch.setattr(building, name, noting(getattr(building, name)))
    baseline, arm = build_and_check.build_arms(comparison, arm_first=arm_first)
    names = [baseline.arm.attention, arm.arm.attention]
    assert order == (names[::-1] if arm_first else names)
    assert names[0] == "mha"
    assert names[0] != names[1]
    assert build_and_check.check(comparison, baseline, arm).error is None
