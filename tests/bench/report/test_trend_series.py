"""bench.report.trend_series: series in the order of time, by the steadier ratio, with kinds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.files.history_csv import Point
from bench.report.trend_series import YARDSTICK, by_series, changes_of
from helpers.histories import SLOWER, STEADY, history, point

EPYC, XEON = "AMD EPYC, 2 threads, avx512_bf16", "Intel Xeon, 2 threads, amx_bf16"


def with_baseline(spread: float, days: int = 20, **others: str) -> list[Point]:
    """Return a history whose ratios to the yardstick have 3 % noise, those to fp32 ``spread``."""
    generator = np.random.default_rng(1)
    ratios = np.exp(generator.normal(0, 0.03, days))
    paired = 0.5 * np.exp(generator.normal(0, spread, days))
    return [
        point(SLOWER, day + 1, ratio, baseline_ratio=own, baseline_low=own, **others)
        for day, (ratio, own) in enumerate(zip(ratios.tolist(), paired.tolist(), strict=True))
    ]


@given(order=st.permutations(range(40)))
def test_series_are_in_the_order_of_time(order: list[int]) -> None:
    """A series is in the order of time, whatever the order of the lines."""
    points = history()
    assert by_series([points[place] for place in order]) == by_series(points)
    assert [len(each.points) for each in by_series(points).values()] == [20, 20]


def test_a_steadier_baseline_is_what_a_series_is_divided_by() -> None:
    """The ratio to the baseline is used where it is clearly steadier, with its own interval."""
    (paired,) = by_series(with_baseline(0.005)).values()
    assert paired.against == "fp32"
    assert paired.values == [each.baseline_ratio for each in paired.points]
    assert paired.intervals == [(each.baseline_low, None) for each in paired.points]
    assert paired.noise == pytest.approx(0.005, rel=0.5)


@pytest.mark.parametrize(
    "points",
    [
        with_baseline(0.03),
        with_baseline(0.1),
        [replace(each, baseline_ratio=None) for each in with_baseline(0.005)],
        with_baseline(0.005, days=5),
        [*with_baseline(0.005)[:10], *with_baseline(0.005, baseline="tf32")[10:]],
        [replace(each, baseline_ratio=None) for each in with_baseline(0.005)[:11]]
        + with_baseline(0.005)[11:],
    ],
    ids=["as steady", "noisier", "none", "few runs", "two baselines", "mostly old"],
)
def test_the_yardstick_is_used_otherwise(points: list[Point]) -> None:
    """Without a clearly steadier ratio to one baseline in most runs, the yardstick is used."""
    (plain,) = by_series(points).values()
    assert plain.against == YARDSTICK
    assert plain.values == [each.ratio for each in plain.points]
    assert plain.intervals == [(each.low, each.high) for each in plain.points]
    assert len(plain.points) == len(points)


def test_old_lines_join_the_only_kind_like_theirs() -> None:
    """Lines without threads belong to the kind of their name if there is one, else to their own."""
    old = [point(STEADY, day, 1.0, threads=None) for day in (1, 2)]
    new = [point(STEADY, day, 1.0) for day in (3, 4)]
    (joined,) = by_series([*old, *new]).values()
    assert joined.kinds == (EPYC,) * 4
    more = point(STEADY, 5, 1.0, threads=8)
    (apart,) = by_series([*old, *new, more]).values()
    assert apart.kinds[:2] == ("AMD EPYC", "AMD EPYC")
    assert len(set(apart.kinds)) == 3


def test_changes_are_looked_for_within_kinds() -> None:
    """A change amid two kinds of machine that take turns is found on both."""
    series = by_series(history(second=1.4))
    assert set(series[SLOWER].kinds) == {EPYC, XEON}
    (found,) = changes_of(series)
    assert (found.series, found.index, found.kind) == (SLOWER, 10, None)
    assert {each.kind for each in found.by_kind} == {EPYC, XEON}
    level = series[SLOWER].level([found])
    assert level[10:].mean() / level[:10].mean() == pytest.approx(1.1, abs=0.02)
    assert level.std() < 0.1
