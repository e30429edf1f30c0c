"""bench.analysis.change_points: what changed is found where it did, and noise is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.change_points import Change, changes, least_runs

SIZES = (-0.2, -0.1, 0.1, 0.2)


def noise(seed: int, count: int = 30, spread: float = 0.02) -> np.ndarray:
    """Ratios around 2 that nothing changes."""
    return 2.0 * np.exp(np.random.default_rng(seed).normal(0, spread, count))


def shifted(seed: int, place: int, size: float) -> list[float]:
    """The same with a lasting change."""
    values = noise(seed)
    values[place:] *= 1 + size
    return [float(value) for value in values]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", [4, 15, 26])
def test_a_lasting_change_is_found_where_it_is(place: int, size: float) -> None:
    """Five times the spread and more, anywhere but at the very ends; told with its size."""
    (found,) = changes({"a": shifted(3, place, size), "b": list(map(float, noise(4)))})
    assert (found.series, found.index) == ("a", place)
    assert found.change == pytest.approx(size, abs=0.03)
    assert found.p_value < 0.05


def test_several_changes_of_one_series() -> None:
    """Each is between the levels on its both sides."""
    values = np.concatenate([noise(1, 12), 1.2 * noise(2, 12), 0.9 * noise(3, 12)])
    found = changes({"a": [float(value) for value in values]})
    assert [each.index for each in found] == [12, 24]
    assert [each.change for each in found] == pytest.approx([0.2, -0.25], abs=0.03)
    assert found[0].after == pytest.approx(found[1].before)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), place=st.integers(6, 24), size=st.sampled_from(SIZES))
def test_where_it_may_lie_is_around_where_it_is_told(seed: int, place: int, size: float) -> None:
    """And no further than its neighbours."""
    for each in changes({"a": shifted(seed, place, size)}):
        assert 3 <= each.earliest <= each.index <= each.latest <= 27


def test_ranges_hold_the_true_place() -> None:
    """At least in 95 of 100 that are told; small changes are told less exactly."""
    exact, wide, held, told = 0, 0, 0, 0
    for seed in range(120):
        for each in changes({"a": shifted(seed, 15, 0.05)}):
            told += 1
            exact += each.index == 15
            held += each.earliest <= 15 <= each.latest
            wide += each.latest > each.earliest
    assert told > 100
    assert held >= 0.95 * told
    assert exact < held
    assert wide > 0.3 * told


def test_noise_is_left_alone() -> None:
    """Of forty histories of ten series without a change few have one: the share is 5 %."""
    alarms = sum(
        bool(changes({f"{n}": list(map(float, noise(100 * k + n, 20))) for n in range(10)}))
        for k in range(40)
    )
    assert alarms <= 6


def test_single_outliers_are_no_change() -> None:
    """One disturbed run is back the next day."""
    values = [float(value) for value in noise(5)]
    values[10] *= 1.5
    values[20] *= 0.7
    assert changes({"a": values}) == []


def test_a_level_lasts_for_some_runs() -> None:
    """Shorter ones are not told, nor is anything of a series that is too short for two levels."""
    values = shifted(6, 28, 0.5)
    assert changes({"a": values}, least=3) == [] or all(
        c.index <= 27 for c in changes({"a": values})
    )
    assert changes({"a": [1.0, 1.0, 2.0, 2.0, 2.0]}, least=3) == []
    assert changes({}) == []
    assert changes({"a": []}) == []


def test_many_series_ask_for_more_evidence() -> None:
    """What would be told of one series alone may be chance among a hundred."""
    # Nearly as large as what chance does at its best among so many.
    weak = {"weak": shifted(42, 15, 0.018)}
    alone = changes(weak, share=0.2)
    among = changes(
        {**weak, **{f"{n}": list(map(float, noise(n, 30))) for n in range(60)}}, share=0.2
    )
    assert len(alone) == 1
    adjusted = [each.p_value for each in among if each.series == "weak"]
    assert not adjusted or adjusted[0] > alone[0].p_value


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_units_do_not_matter(factor: float, seed: int) -> None:
    """Ratios to another yardstick have the same changes."""
    values = shifted(seed, 15, 0.2)
    one = changes({"a": values})
    other = changes({"a": [value * factor for value in values]})
    assert [each.index for each in one] == [each.index for each in other]
    assert [each.change for each in one] == pytest.approx([each.change for each in other])


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_values_are_positive(value: float) -> None:
    """A ratio of times is."""
    with pytest.raises(ValueError, match="series 'a' has values that are not positive"):
        changes({"a": [1.0, value, 1.0]})


def test_the_same_history_says_the_same() -> None:
    """Random orders are seeded by the series' name."""
    series = {"a": shifted(8, 15, 0.03), "b": shifted(9, 20, 0.05)}
    first: list[Change] = changes(series)
    assert first == changes(series)


def test_few_values_can_say_little() -> None:
    """Of six values in two threes one order in ten is as good as the best: that is no evidence."""
    for seed in range(20):
        values = [float(value) for value in noise(seed, 6)]
        assert changes({"a": values}, share=0.09) == []


def test_a_constant_series_has_no_change() -> None:
    """Nothing is left to explain."""
    assert changes({"a": [2.0] * 20}) == []


def test_one_change_is_found_among_hundreds_of_series() -> None:
    """However many there are, random orders suffice to tell it."""
    generator = np.random.default_rng(5)
    series = {f"s{n}": np.exp(generator.normal(0, 0.01, 40)).tolist() for n in range(300)}
    series["s7"] = [value * (1.5 if place >= 20 else 1) for place, value in enumerate(series["s7"])]
    (found,) = changes(series)
    assert (found.series, found.index) == ("s7", 20)


@pytest.mark.parametrize("count", [1, 61, 300])
def test_how_many_runs_it_takes(count: int) -> None:
    """With one fewer the clearest change of one series is not told."""
    runs = least_runs(count)
    generator = np.random.default_rng(6)
    series = {f"s{n}": np.exp(generator.normal(0, 0.01, runs - 1)) for n in range(count)}
    series["s0"][runs // 2 :] *= 2
    assert changes({name: values.tolist() for name, values in series.items()}) == []
    assert runs >= 6
