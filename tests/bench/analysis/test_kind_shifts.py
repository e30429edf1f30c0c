"""bench.analysis.kind_shifts: a change's size on each kind of machine, and where it holds."""

import numpy as np
import pytest

from bench.analysis.kind_shifts import KindShift, differ, shifts

NAMES = ("first", "second", "third")


def found(sizes: tuple[float, ...], count: int = 20, seed: int = 0) -> tuple[KindShift, ...]:
    """Return the shifts of kinds in turns, each with its own size from the middle on."""
    generator = np.random.default_rng(seed)
    codes = np.arange(count * len(sizes)) % len(sizes)
    middle = len(codes) // 2
    after = np.arange(len(codes)) >= middle
    values = generator.normal(0, 0.02, len(codes)) + np.log1p(np.array(sizes))[codes] * after
    return shifts(values, codes, NAMES, middle, 3)


def test_each_kind_has_its_own_size() -> None:
    """Sizes and runs are those of each kind; a common change holds on all."""
    each = found((0.1, 0.1))
    assert [shift.kind for shift in each] == ["first", "second"]
    assert [shift.change for shift in each] == pytest.approx([0.1, 0.1], abs=0.02)
    assert [shift.runs for shift in each] == [20, 20]
    assert not differ(each)


@pytest.mark.parametrize("sizes", [(0.1, 0.0), (0.0, -0.1), (0.1, 0.0, 0.1)])
def test_a_change_of_some_kinds_holds_on_these(sizes: tuple[float, ...]) -> None:
    """Where sizes differ by more than chance, a change holds where it is off zero."""
    each = found(sizes)
    assert differ(each)
    assert [shift.holds for shift in each] == [size != 0 for size in sizes]


def test_equal_changes_rarely_differ() -> None:
    """At 1 %, at most 6 of 200 common changes are said to hold on some kinds only."""
    assert sum(differ(found((0.05, 0.05, 0.05), seed=seed)) for seed in range(200)) <= 6


def test_a_kind_of_few_runs_is_not_judged() -> None:
    """A kind with fewer than the least number of runs on a side has no size; one alone holds."""
    codes = np.array([0] * 5 + [1] * 2 + [0] * 5 + [1] * 4)
    values = np.random.default_rng(0).normal(0, 0.02, 16)
    (only,) = shifts(values, codes, NAMES, 7, 3)
    assert (only.kind, only.holds) == ("first", True)
    assert shifts(values[:7], codes[:7], NAMES, 3, 3) == ()
