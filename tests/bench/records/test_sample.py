"""bench.records.sample: checks at creation, and what follows from the times."""

from typing import Any

import pytest

from bench.records.sample import STATUSES
from helpers.records import make_comparison, make_sample


def test_statuses_are_frozen() -> None:
    """The allowed statuses do not change unnoticed."""
    assert STATUSES == ("ok", "oom", "timeout", "crashed", "wrong", "skipped")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "fine"}, "status is 'fine'; expected one of ok, oom, timeout, crashed, wrong"),
        ({"arm_s": (0.1,)}, "6 baseline and 1 arm times make no pairs"),
    ],
)
def test_invalid_sample(changes: dict[str, Any], message: str) -> None:
    """A sample with an unknown status or unpaired times is refused at creation."""
    with pytest.raises(ValueError, match=message):
        make_sample(make_comparison(), **changes)


@pytest.mark.parametrize(
    ("wall", "expected_s"), [({}, 0.5), ({"baseline_wall_s": (1.0,), "arm_wall_s": (2.0,)}, 3.0)]
)
def test_timed_seconds(wall: dict[str, Any], expected_s: float) -> None:
    """Wall times are used where present, device times elsewhere."""
    sample = make_sample(make_comparison(), baseline_s=(0.25,), arm_s=(0.25,), **wall)
    assert sample.timed_s == expected_s


@pytest.mark.parametrize(("uneven", "is_uneven"), [((), False), ((3,), False), ((0, 5), True)])
def test_uneven_load_of_a_third_of_the_pairs_counts(
    uneven: tuple[int, ...],
    is_uneven: bool,  # noqa: FBT001 (a case's expectation)
) -> None:
    """A median over fewer pairs is robust against them."""
    times_s = (0.1,) * 6
    sample = make_sample(make_comparison(), baseline_s=times_s, arm_s=times_s, uneven=uneven)
    assert sample.is_uneven is is_uneven
