"""bench.analysis.limit_shares: shares with their intervals, and limits that no arm exceeds."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.estimates import Interval
from bench.analysis.limit_shares import is_beyond, limit_columns, product, within_limits
from bench.records.arm_costs import Limit
from bench.records.row import Record
from helpers.records import make_record, make_survey

SHARES = st.floats(0.05, 3)
# Bounds of an interval / its value.
BOUNDS = st.tuples(st.floats(0.3, 1), st.floats(1, 3)) | st.none()


def make_limit(ratio: float, bounds: tuple[float, float] | None = None, **changes: Any) -> Limit:
    """Limit of 100 GFLOP/s by F.linear."""
    low, high = (ratio * bounds[0], ratio * bounds[1]) if bounds else (None, None)
    given = {"library": "F.linear", "gflop_per_s": 100.0, **changes}
    return Limit(time_ratio=ratio, time_ratio_low=low, time_ratio_high=high, **given)


def timed(speedup: float, bounds: tuple[float, float] | None = None, **changes: Any) -> Record:
    """Row of a candidate with a speed-up."""
    low, high = (speedup * bounds[0], speedup * bounds[1]) if bounds else (None, None)
    return make_record(speedup=speedup, speedup_low=low, speedup_high=high, **changes)


def share_of(columns: dict[str, Any]) -> tuple[float | None, ...]:
    """Share of a row with its bounds."""
    return tuple(columns[f"limit_share{end}"] for end in ("", "_low", "_high"))


def limited(share: float, bounds: tuple[float, float] | None = None, **changes: Any) -> Record:
    """Row with a share of a limit of 100 GFLOP/s."""
    low, high = (share * bounds[0], share * bounds[1]) if bounds else (None, None)
    given = {"limit_gflop_per_s": 100.0, "limit_library": "F.linear", **changes}
    return make_record(limit_share=share, limit_share_low=low, limit_share_high=high, **given)


@given(ratio=SHARES, speedup=SHARES, bounds=st.tuples(BOUNDS, BOUNDS))
def test_a_shared_limit(
    ratio: float,
    speedup: float,
    bounds: tuple[tuple[float, float] | None, tuple[float, float] | None],
) -> None:
    """The share is the baseline's ratio times the speed-up; its interval needs both intervals."""
    baseline = make_survey(limits={"fp32": make_limit(ratio, bounds[0])})
    found = limit_columns(timed(speedup, bounds[1]), make_survey(), baseline)
    value, low, high = share_of(found)
    assert value == pytest.approx(ratio * speedup)
    assert (found["limit_gflop_per_s"], found["limit_library"]) == (100.0, "F.linear")
    if value is None or low is None or high is None:
        assert (low, high) == (None, None)
        assert None in bounds
    else:
        # At least as wide as the wider one, at most as wide as both.
        ends = [[pair[index] for pair in bounds if pair] for index in (0, 1)]
        assert math.prod(ends[0]) - 1e-9 <= low / value <= min(ends[0]) + 1e-9
        assert max(ends[1]) - 1e-9 <= high / value <= math.prod(ends[1]) + 1e-9


def test_relative_errors_add_in_squares() -> None:
    """Two independent estimates of 3 and 4 % have a product of 5 %, as in a simulation."""
    one, other = (
        Interval(2.0, 2.0 * math.exp(-half), 2.0 * math.exp(half)) for half in (0.03, 0.04)
    )
    found = product(one, other)
    assert found.value == 4.0
    assert found.low == pytest.approx(4.0 * math.exp(-0.05))
    assert found.high == pytest.approx(4.0 * math.exp(0.05))
    generator = np.random.default_rng(0)
    logs = sum(generator.normal(0, half / 1.96, 20_000) for half in (0.03, 0.04))
    assert float(np.mean(np.abs(logs) < 0.05)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("precision", "share"),
    [("fp32", 0.7), ("amp_bf16", 0.4), ("bf16", 0.4), ("amp_fp16", None), ("own", None)],
)
def test_the_limit_is_that_of_the_arms_precision(precision: str, share: float | None) -> None:
    """Autocast has the half type's limit; a precision without a limit has an empty share."""
    limits = {"fp32": make_limit(0.7), "bf16": make_limit(0.4)}
    baseline = make_survey(limits=limits)
    found = limit_columns(timed(1.0, precision=precision), make_survey(), baseline)
    assert found["limit_share"] == share
    assert (found["limit_gflop_per_s"] is None) is (share is None)


def test_a_limit_measured_beside_the_arm_comes_first() -> None:
    """An arm's own limit needs no speed-up, which would add the noise of another process."""
    arm = make_survey(limits={"fp32": make_limit(0.8, (0.9, 1.1), library="addmm")})
    baseline = make_survey(limits={"fp32": make_limit(0.5)})
    found = limit_columns(timed(2.0, (0.5, 1.5)), arm, baseline)
    assert share_of(found) == pytest.approx((0.8, 0.72, 0.88))
    assert found["limit_library"] == "addmm"


def test_an_untimed_arm_has_a_limit_and_no_share() -> None:
    """Without a speed-up the limit is kept, and its share is empty."""
    lost = make_record(speedup=None, speedup_low=None, speedup_high=None)
    found = limit_columns(lost, make_survey(), make_survey(limits={"fp32": make_limit(0.5)}))
    assert found["limit_gflop_per_s"] == 100.0
    assert share_of(found) == (None, None, None)
    assert set(limit_columns(lost, make_survey(), make_survey()).values()) == {None}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (limited(1.3, (0.9, 1.1)), True),
        (limited(1.05, (0.9, 1.1)), False),
        (limited(0.9, (0.9, 1.1)), False),
        (limited(1.03), True),
        (limited(1.01), False),
        (make_record(), False),
    ],
)
def test_beyond_a_limit(record: Record, *, expected: bool) -> None:
    """The interval lies above 1, or a share without one above 1.02."""
    assert is_beyond(record) is expected


ROWS = st.lists(
    st.builds(
        limited,
        SHARES,
        BOUNDS,
        arm=st.sampled_from("abc"),
        precision=st.sampled_from(["fp32", "bf16", "amp_bf16"]),
        batch_size=st.sampled_from([1, 8]),
        status=st.sampled_from(["ok", "wrong"]),
    ),
    max_size=8,
)


@given(rows=ROWS)
def test_no_share_exceeds_its_limit(rows: list[Record]) -> None:
    """Every share is at most 1 within its bounds, and no limit falls."""
    for before, after in zip(rows, within_limits(rows), strict=True):
        ends = [after.limit_share_low, after.limit_share, after.limit_share_high]
        known = [each for each in ends if each is not None]
        assert known == sorted(known)
        assert known[-1] <= 1
        assert len(known) == sum(
            getattr(before, f"limit_share{end}") is not None for end in ("", "_low", "_high")
        )
        assert after.limit_gflop_per_s is not None
        assert after.limit_gflop_per_s >= 100.0


@given(rows=ROWS)
def test_a_proven_limit_is_the_speed_of_the_arm_that_proves_it(rows: list[Record]) -> None:
    """The fastest correct arm beyond a limit has all of the raised one, and others less."""
    found = within_limits(rows)
    for before, after in zip(rows, found, strict=True):
        if before.status == "ok" and is_beyond(before):
            assert before.limit_share is not None
            assert after.limit_gflop_per_s is not None
            assert after.limit_gflop_per_s >= 100.0 * before.limit_share * (1 - 1e-9)
            assert str(after.limit_library).startswith("the arm ")
    raised = {row.limit_library for row in found} - {"F.linear"}
    assert raised <= {f"the arm {row.arm}" for row in rows if row.status == "ok"}


@given(rows=ROWS, reached=st.floats(1, 1e6))
def test_speed_share_and_limit_agree(rows: list[Record], reached: float) -> None:
    """The share is the speed reached in the passes / the limit, whatever the survey's speed was."""
    for row in within_limits([replace(row, gflop_per_s=reached) for row in rows]):
        assert row.limit_gflop_per_s is not None
        assert reached / row.limit_gflop_per_s == pytest.approx(row.limit_share)
        assert reached <= row.limit_gflop_per_s * (1 + 1e-9)


def test_a_raised_limit_holds_for_its_workload_and_format() -> None:
    """Other arms of the workload have the new limit; other workloads and formats keep theirs."""
    tight = (0.99, 1.01)
    fastest = limited(1.25, tight, arm="conv")
    slower = limited(1.0, tight, arm="linear")
    others = [replace(slower, batch_size=8), replace(slower, precision="bf16")]
    first, second, *rest = within_limits([fastest, slower, *others])
    assert (first.limit_share, first.limit_gflop_per_s) == (1.0, 125.0)
    assert first.limit_share_low == pytest.approx(0.99)
    assert (second.limit_share, second.limit_library) == (0.8, "the arm conv")
    assert [(row.limit_share, row.limit_library) for row in rest] == [(1.0, "F.linear")] * 2


def test_a_wrong_arm_proves_nothing() -> None:
    """An arm whose output is wrong raises no limit, however fast it is."""
    wrong = limited(2.0, (0.99, 1.01), status="wrong")
    (found,) = within_limits([wrong])
    assert (found.limit_share, found.limit_gflop_per_s) == (1.0, 100.0)


def test_rows_without_a_limit_are_unchanged() -> None:
    """A run without a survey keeps its rows as they are."""
    assert within_limits([make_record()]) == [make_record()]
