"""bench.analysis.change_points: changes are found at their position, and noise is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.change_points import Change, changes, least_runs

SIZES = (-0.2, -0.1, 0.1, 0.2)


def noise(seed: int, count: int = 30, spread: float = 0.02) -> np.ndarray:
    """Ratios around 2 without a change."""
    return 2.0 * np.exp(np.random.default_rng(seed).normal(0, spread, count))


def shifted(seed: int, place: int, size: float) -> list[float]:
    """The same noise with a lasting change."""
    values = noise(seed)
    values[place:] *= 1 + size
    return [float(value) for value in values]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", [4, 15, 26])
def test_a_lasting_change_is_found_at_its_position(place: int, size: float) -> None:
    """A change of five standard deviations is found with its position and its size."""
    (found,) = changes({"a": shifted(3, place, size), "b": list(map(float, noise(4)))})
    assert (found.series, found.index) == ("a", place)
    assert found.change == pytest.approx(size, abs=0.03)
    assert found.p_value < 0.05


def test_several_changes_of_one_series() -> None:
    """Each change has the size of the step between its two neighbouring levels."""
    values = np.concatenate([noise(1, 12), 1.2 * noise(2, 12), 0.9 * noise(3, 12)])
    found = changes({"a": [float(value) for value in values]})
    assert [each.index for each in found] == [12, 24]
    assert [each.change for each in found] == pytest.approx([0.2, -0.25], abs=0.03)
    assert found[0].after == pytest.approx(found[1].before)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), place=st.integers(6, 24), size=st.sampled_from(SIZES))
def test_position_range_surrounds_the_reported_position(seed: int, place: int, size: float) -> None:
    """The range of possible positions holds the reported one, within the series' ends."""
    for each in changes({"a": shifted(seed, place, size)}):
        assert 3 <= each.earliest <= each.index <= each.latest <= 27


def test_ranges_hold_the_true_position() -> None:
    """At least 95 % of reported ranges hold the true position; many are wider than one run."""
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
    """At a share of 5 %, at most 6 of 40 histories without a change have a reported one."""
    alarms = sum(
        bool(changes({f"{n}": list(map(float, noise(100 * k + n, 20))) for n in range(10)}))
        for k in range(40)
    )
    assert alarms <= 6


def test_single_outliers_are_not_changes() -> None:
    """A single disturbed run is not reported as a change."""
    values = [float(value) for value in noise(5)]
    values[10] *= 1.5
    values[20] *= 0.7
    assert changes({"a": values}) == []


def test_a_level_has_a_minimum_length() -> None:
    """Levels below the minimum length, and series too short for two levels, give no change."""
    values = shifted(6, 28, 0.5)
    assert changes({"a": values}, least=3) == [] or all(
        c.index <= 27 for c in changes({"a": values})
    )
    assert changes({"a": [1.0, 1.0, 2.0, 2.0, 2.0]}, least=3) == []
    assert changes({}) == []
    assert changes({"a": []}) == []


def test_many_series_need_stronger_evidence() -> None:
    """A weak change that one series alone shows is adjusted, or dropped, among sixty others."""
    # Nearly as large as the largest chance effect among this many series.
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
    """A value that is not a positive finite number is refused with the series' name."""
    with pytest.raises(ValueError, match="series 'a' has values that are not positive"):
        changes({"a": [1.0, value, 1.0]})


def test_equal_histories_have_equal_changes() -> None:
    """The result is deterministic: random orders are seeded by the series' name."""
    series = {"a": shifted(8, 15, 0.03), "b": shifted(9, 20, 0.05)}
    first: list[Change] = changes(series)
    assert first == changes(series)


def test_six_values_are_no_evidence() -> None:
    """In six values no change is significant: one order in ten is as extreme as the best."""
    for seed in range(20):
        values = [float(value) for value in noise(seed, 6)]
        assert changes({"a": values}, share=0.09) == []


def test_a_constant_series_has_no_change() -> None:
    """Equal values give no change."""
    assert changes({"a": [2.0] * 20}) == []


def test_one_change_is_found_among_hundreds_of_series() -> None:
    """The number of random orders suffices for one change among 300 series."""
    generator = np.random.default_rng(5)
    series = {f"s{n}": np.exp(generator.normal(0, 0.01, 40)).tolist() for n in range(300)}
    series["s7"] = [value * (1.5 if place >= 20 else 1) for place, value in enumerate(series["s7"])]
    (found,) = changes(series)
    assert (found.series, found.index) == ("s7", 20)


@pytest.mark.parametrize("count", [1, 61, 300])
def test_least_number_of_runs(count: int) -> None:
    """One run below the least number, even the clearest change of one series goes unreported."""
    runs = least_runs(count)
    generator = np.random.default_rng(6)
    series = {f"s{n}": np.exp(generator.normal(0, 0.01, runs - 1)) for n in range(count)}
    series["s0"][runs // 2 :] *= 2
    assert changes({name: values.tolist() for name, values in series.items()}) == []
    assert runs >= 6


def two_kinds(seed: int, count: int = 40) -> tuple[list[str], np.ndarray]:
    """Kinds of machine in random turns, and noise of 2 % whose level differs by 30 % with them."""
    generator = np.random.default_rng(seed)
    kinds = generator.choice(["first", "second"], count, p=[0.6, 0.4])
    level = np.where(kinds == "second", 1.3, 1.0)
    return kinds.tolist(), level * np.exp(generator.normal(0, 0.02, count))


@pytest.mark.parametrize("size", SIZES)
def test_a_change_is_found_amid_kinds_of_machine(size: float) -> None:
    """A change on both kinds is found once, with each kind's own size."""
    kinds, values = two_kinds(1)
    values[20:] *= 1 + size
    (found,) = changes({"a": values.tolist()}, kinds={"a": kinds})
    assert (found.index, found.kind) == (20, None)
    assert found.change == pytest.approx(size, abs=0.03)
    assert {each.kind for each in found.by_kind if each.holds} == {"first", "second"}
    assert [each.change for each in found.by_kind] == pytest.approx([size] * 2, abs=0.04)


@pytest.mark.parametrize("kind", ["first", "second"])
def test_a_change_of_one_kind_is_said_for_it(kind: str) -> None:
    """A change on one kind names it, in whichever way it was found."""
    kinds, values = two_kinds(2)
    values[20:] *= np.where(np.array(kinds[20:]) == kind, 1.15, 1.0)
    (found,) = changes({"a": values.tolist()}, kinds={"a": kinds})
    assert found.earliest <= 20 <= found.latest
    assert {each.kind for each in found.by_kind if each.holds} == {kind}
    assert found.kind in (None, kind)


def test_mixed_kinds_hide_a_change() -> None:
    """A change of 5 % is found within kinds, and hidden where kinds that differ are mixed."""
    kinds, values = two_kinds(1)
    values[20:] *= 1.05
    assert [each.index for each in changes({"a": values.tolist()}, kinds={"a": kinds})] == [20]
    assert changes({"a": values.tolist()}) == []


def test_a_new_kind_is_no_change() -> None:
    """A lasting move to another kind of machine is not reported; without kinds it would be."""
    kinds = ["first"] * 20 + ["second"] * 20
    levels = (noise(5, 40) * np.where(np.arange(40) < 20, 1, 1.3)).tolist()
    assert changes({"a": levels}, kinds={"a": kinds}) == []
    assert [each.index for each in changes({"a": levels})] == [20]


def test_alternating_kinds_without_a_change_are_left_alone() -> None:
    """At a share of 5 %, at most 5 of 30 histories of two kinds have a reported change."""
    alarms = 0
    for seed in range(30):
        made = {f"{n}": two_kinds(50 * seed + n, 30) for n in range(6)}
        kinds = {name: each for name, (each, _) in made.items()}
        alarms += bool(changes({n: v.tolist() for n, (_, v) in made.items()}, kinds=kinds))
    assert alarms <= 5


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 50), factor=st.floats(0.1, 10))
def test_the_level_of_a_kind_does_not_matter(seed: int, factor: float) -> None:
    """Another level of one kind leaves places and sizes of changes as they are."""
    kinds, values = two_kinds(seed)
    values[20:] *= 1.1
    other = values * np.where(np.array(kinds) == "second", factor, 1.0)
    one, two = (changes({"a": v.tolist()}, kinds={"a": kinds}) for v in (values, other))
    assert [each.index for each in one] == [each.index for each in two]
    assert [each.change for each in one] == pytest.approx([each.change for each in two])


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from("abcd"), min_size=0, max_size=24),
    seed=st.integers(0, 100),
    least=st.integers(2, 4),
)
def test_any_kinds_can_be_analysed(kinds: list[str], seed: int, least: int) -> None:
    """Whatever the order and number of kinds, changes lie inside their range and series."""
    values = (noise(seed, len(kinds)) * np.where(np.arange(len(kinds)) < 12, 1, 2)).tolist()
    for each in changes({"a": values}, least, kinds={"a": kinds}):
        assert 1 <= each.earliest <= each.index <= each.latest < len(kinds)
        assert each.kind in (None, *kinds)


def test_true_changes_let_no_more_false_ones_pass() -> None:
    """Beside five true changes on two kinds of machine, at most 10 % of those found are false."""
    false = total = 0
    for seed in range(12):
        made = {f"{n}": two_kinds(1000 * seed + n, 30) for n in range(12)}
        for name in ("0", "1", "2", "3", "4"):
            made[name][1][15:] *= 1.1
        kinds = {name: each for name, (each, _) in made.items()}
        found = changes({n: v.tolist() for n, (_, v) in made.items()}, kinds=kinds)
        total += len(found)
        false += sum(int(e.series) > 4 or not e.earliest <= 15 <= e.latest for e in found)
    assert total >= 55
    assert false <= 0.1 * total
