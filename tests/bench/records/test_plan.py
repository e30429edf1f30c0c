"""bench.records.plan: every field has a docstring."""

from dataclasses import fields

import pytest

from bench.records.plan import Choice, Plan
from helpers.documentation import documentation


@pytest.mark.parametrize("kind", [Plan, Choice])
def test_every_field_is_documented(kind: type[Plan | Choice]) -> None:
    """Every field has a docstring of a sentence or more, in the order of the fields."""
    found = documentation(kind)
    assert list(found) == [each.name for each in fields(kind)]
    assert all(text.endswith(".") for text in found.values())


def test_units_are_named() -> None:
    """The docstring of a field in seconds names the unit."""
    found = documentation(Plan)
    assert [
        name for name, text in found.items() if name.endswith("_s") and "econds" not in text
    ] == []
