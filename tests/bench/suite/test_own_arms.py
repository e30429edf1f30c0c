"""bench.suite.own_arms: names and comparisons of a user's own arms."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.comparison import Comparison
from bench.suite.own_arms import against_first, numbered
from helpers.records import make_workload

NAMES = ["a.py:f", "a.py:f#2", "a.py:f#3", "a.py:g", "a.py:f2"]


@settings(deadline=None)
@given(names=st.lists(st.sampled_from(NAMES), max_size=8))
def test_numbered_names(names: list[str]) -> None:
    """Repeated names are numbered, single names are unchanged, and all are distinct."""
    found = numbered(names)
    assert len(set(found)) == len(found)
    for before, after in zip(names, found, strict=True):
        assert after.partition("#")[0] == before.partition("#")[0]
    if len(set(names)) == len(names):
        assert found == names


def compared(*names: str) -> tuple[Comparison, ...]:
    """Compare arms of these names."""
    return against_first(
        names, make_workload(), precision="bf16", cache="warm", allow_different=True, weights="own"
    )


def test_the_first_is_the_baseline_of_all() -> None:
    """The control comes first; every comparison has the workload and settings that were given."""
    found = compared("a.py:f", "a.py:g", "a.py:f")
    assert [each.arm_name for each in found] == ["a.py:f", "a.py:g", "a.py:f#2"]
    assert [each.is_control for each in found] == [True, False, False]
    for each in found:
        assert each.baseline_name == "a.py:f"
        assert each.workload == make_workload()
        assert (each.arm.precision, each.baseline.precision) == ("bf16", "bf16")
        assert (each.factor, each.cache, each.allow_different) == ("factory", "warm", True)
        assert each.weights == "own"
