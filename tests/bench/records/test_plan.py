"""bench.records.plan: every field is documented beneath itself."""

from dataclasses import fields

import pytest

from bench.records.plan import Choice, Plan
from helpers.documentation import documentation


@pytest.mark.parametrize("kind", [Plan, Choice])
def test_every_field_is_documented(kind: type[Plan | Choice]) -> None:
    """By a sentence or more, in the order of the fields."""
    found = documentation(kind)
    assert list(found) == [each.name for each in fields(kind)]
    assert all(text.endswith(".") for text in found.values())


def test_units_are_named() -> None:
    """A field in seconds says so in words."""
    found = documentation(Plan)
    assert [
        name for name, text in found.items() if name.endswith("_s") and "econds" not in text
    ] == []
