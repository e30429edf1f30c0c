"""bench.analysis.rows: disturbed pairs, and arms that moved, in a row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.rows import analyse, estimates
from bench.records.row import Record
from bench.records.sample import Sample
from helpers.records import make_comparison, make_environment, make_sample

CANDIDATE = make_comparison("manual")


def one_row(samples: Sequence[Sample]) -> Record:
    """Row of a single comparison."""
    (row,) = analyse("run", [CANDIDATE], samples, make_environment()).records
    return row


def test_disturbed_pairs_do_not_count() -> None:
    """A row counts its disturbed pairs, and its ratio rests on the others."""
    calm, wild = (0.010,) * 12, (0.010,) * 8 + (0.10, 0.11, 0.12, 0.13)
    sample = make_sample(CANDIDATE, baseline_s=wild, arm_s=calm, disturbed=(8, 9, 10, 11))
    row = one_row([sample, replace(sample, pass_index=1, disturbed=(9,))])
    assert (row.disturbed, row.rounds) == (5, 24)
    assert estimates([sample])[0].log_ratio == 0
    assert estimates([sample])[0].left_out == 4


def falling(times_s: tuple[float, ...]) -> tuple[float, ...]:
    """Times that fall by a third over a pass."""
    return tuple(time_s * (1 - place / 36) for place, time_s in enumerate(times_s))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {}], None),
        ([{"unsettled": ("baseline", "arm")}, {"unsettled": ("arm",)}], None),
        ([{"arm_s": falling((0.01,) * 12)}] * 2, "arm 23 % faster at the end"),
        ([{"arm_s": falling((0.01,) * 12)[::-1]}] * 2, "arm 30 % slower at the end"),
        ([{"baseline_s": falling((0.01,) * 12)}] * 3, "baseline 23 % faster at the end"),
        ([{"arm_s": falling((0.01,) * 12), "baseline_s": falling((0.02,) * 12)}] * 2, None),
    ],
)
def test_unsteady(changes: list[dict[str, Any]], expected: str | None) -> None:
    """A row names arms that moved; what merely had no time for more warm-up calls is steady."""
    steady = make_sample(CANDIDATE, baseline_s=(0.01,) * 12, arm_s=(0.01,) * 12)
    samples = [replace(steady, pass_index=at, **each) for at, each in enumerate(changes)]
    assert one_row(samples).unsteady == expected


def test_causes_are_counted_over_the_run() -> None:
    """Causes of disturbance are counted over all passes and comparisons, most frequent first."""
    samples = [
        make_sample(CANDIDATE, 0, causes={"memory": 1, "steal": 2}),
        make_sample(CANDIDATE, 1, causes={"steal": 1}),
        make_sample(make_comparison("sdpa"), 0, causes={"clock": 4}),
    ]
    run = [CANDIDATE, make_comparison("sdpa")]
    found = analyse("run", run, samples, make_environment()).causes
    assert list(found.items()) == [("clock", 4), ("steal", 3), ("memory", 1)]
