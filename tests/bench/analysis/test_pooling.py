"""bench.analysis.pooling: one arm's effect over workloads, shrunk as far as these agree."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.estimates import Interval
from bench.analysis.pooling import POOLED, pooled, with_pooled
from bench.analysis.replication import Effect
from bench.records.row import Record
from helpers.records import NOT_MEASURED, make_effect, make_record

LOGS = st.lists(st.integers(-500, 500).map(lambda n: n / 1000), min_size=2, max_size=8, unique=True)
ERRORS = st.floats(0.001, 0.1)


def effects(logs: Sequence[float], error: float = 0.02, degrees: float = 1e6) -> list[Effect]:
    """Effects of one arm in several workloads."""
    return [make_effect(log, error, degrees=degrees) for log in logs]


def half(interval: Interval) -> float:
    """Half-width of an interval of the logarithm."""
    return math.log((interval.high or 0) / (interval.low or 1)) / 2


@settings(deadline=None, max_examples=50)
@given(logs=LOGS, error=ERRORS)
def test_pooled_lie_between_their_own_and_the_common_value(logs: list[float], error: float) -> None:
    """Each effect moves towards the mean of all, never beyond it, and keeps its place."""
    found = [math.log(each.value) for each in pooled(effects(logs, error))]
    mean = float(np.mean(logs))
    for own, shrunk in zip(logs, found, strict=True):
        assert min(own, mean) - 1e-9 <= shrunk <= max(own, mean) + 1e-9
    assert np.argsort(found, kind="stable").tolist() == np.argsort(logs, kind="stable").tolist()


@settings(deadline=None, max_examples=50)
@given(logs=LOGS, error=ERRORS, order=st.randoms(use_true_random=False))
def test_order_does_not_matter(logs: list[float], error: float, order: random.Random) -> None:
    """Workloads in another order have the same intervals."""
    places = order.sample(range(len(logs)), len(logs))
    before, after = pooled(effects(logs, error)), pooled(effects([logs[n] for n in places], error))
    for place, each in zip(places, after, strict=True):
        assert each.value == pytest.approx(before[place].value)
        assert half(each) == pytest.approx(half(before[place]))


def test_agreeing_workloads_narrow_the_interval() -> None:
    """Six workloads that agree give a narrower interval than each alone; two give less."""
    alone = effects([0.01])[0].half_width
    two, six = (half(pooled(effects([0.01] * count))[0]) for count in (2, 6))
    assert six < two < alone * 1.001
    assert six < 0.7 * alone


def test_unlike_workloads_keep_their_own() -> None:
    """Effects that differ far more than their errors stay what they were."""
    found, own = pooled(effects([-0.5, 0.0, 0.5])), effects([-0.5, 0.0, 0.5])
    for each, before in zip(found, own, strict=True):
        assert math.log(each.value) == pytest.approx(before.log_ratio, abs=0.002)
        assert half(each) == pytest.approx(before.half_width, rel=0.05)


def test_a_poor_measurement_borrows_most() -> None:
    """A workload of a wide interval moves to the others; they hardly move."""
    found = pooled([*effects([0.0, 0.01, -0.01, 0.0], 0.005), make_effect(0.3, 0.2, degrees=1e6)])
    assert abs(math.log(found[-1].value)) < 0.06
    assert half(found[-1]) < 0.2
    assert abs(math.log(found[0].value)) < 0.005


def test_few_degrees_of_freedom_count_less() -> None:
    """An error of two degrees of freedom has a wide interval, and little weight."""
    sure, unsure = make_effect(0.0, 0.01, degrees=1e6), make_effect(0.06, 0.01, degrees=2.0)
    found = pooled([sure, replace(sure, log_ratio=0.001), unsure])
    assert math.log(found[-1].value) < 0.05


def test_one_workload_has_its_own_interval() -> None:
    """Nothing is pooled of a single workload, or of none."""
    (found,) = pooled(effects([0.1], degrees=5.0))
    assert found == effects([0.1], degrees=5.0)[0].interval
    assert pooled([]) == []


@pytest.mark.parametrize("tau", [0.0, 0.01, 0.03])
def test_pooled_intervals_hold_the_truth(tau: float) -> None:
    """However far the truths lie apart, 93 % of intervals hold them, and values are nearer."""
    numbers = np.random.default_rng(0)
    held, raw, shrunk = [], [], []
    for _ in range(150):
        truths = 0.02 + numbers.normal(0, tau, 6)
        logs = truths + numbers.normal(0, 0.02, 6)
        for truth, log, each in zip(truths, logs, pooled(effects(logs.tolist())), strict=True):
            held.append((each.low or 0) <= math.exp(truth) <= (each.high or 0))
            raw.append(log - truth)
            shrunk.append(math.log(each.value) - truth)
    assert np.mean(held) > 0.93
    assert np.std(shrunk) < np.std(raw)


def rows(**changes: object) -> list[Record]:
    """Rows of one arm in three workloads."""
    return [make_record(batch_size=size, **changes) for size in (1, 4, 8)]


def filled(records: Sequence[Record]) -> list[Record]:
    """The rows with their pooled speed-ups."""
    logs = np.linspace(0.01, 0.03, len(records)).tolist()
    return with_pooled(records, dict(zip([r.key for r in records], effects(logs), strict=True)))


@pytest.mark.parametrize("factor", POOLED)
def test_rows_of_one_arm_are_pooled(factor: str) -> None:
    """Rows of an arm in several workloads get what these say together."""
    found = filled(rows(factor=factor))
    expected = pooled(effects([0.01, 0.02, 0.03]))
    assert [row.pooled_speedup for row in found] == [each.value for each in expected]
    assert [row.pooled_low for row in found] == [each.low for each in expected]
    assert [row.pooled_high for row in found] == [each.high for each in expected]


@pytest.mark.parametrize(
    "records",
    [
        rows(factor="patcher"),
        rows(factor="precision"),
        rows(arm="mha"),  # controls
        rows()[:1],
        [make_record(), make_record(arm="sdpa"), make_record(mode="train")],
        [make_record(), make_record(batch_size=8, precision="bf16")],
        [make_record(), make_record(batch_size=8, component="model")],
        rows(**NOT_MEASURED, status="oom"),
        [],
    ],
)
def test_other_rows_are_not_pooled(records: list[Record]) -> None:
    """Other factors, controls, single workloads, unlike and failed rows stay as they are."""
    assert filled(records) == records


def test_unmeasured_rows_are_left_out() -> None:
    """A row without an effect is neither pooled nor counted."""
    first, second, third = rows()
    found = with_pooled(
        [first, second, third], {first.key: make_effect(), third.key: make_effect()}
    )
    assert [row.pooled_speedup is None for row in found] == [False, True, False]
