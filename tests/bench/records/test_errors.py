"""bench.records.errors: advice in words of the command line and of Python."""

import pytest

from bench.records.errors import InputError, Remedy, advised


@pytest.mark.parametrize("remedy", Remedy)
def test_a_remedy_names_the_option_or_the_argument(remedy: Remedy) -> None:
    """A command's error names the option, a call's error the argument."""
    error = InputError("it is taken; wait", remedy)
    assert str(error).startswith("it is taken; wait, or ")
    assert error.in_python.startswith("it is taken; wait, or ")
    option, argument = f"--{remedy.replace('_', '-')}", remedy.removeprefix("no_")
    assert option in str(error)
    assert option not in error.in_python
    assert f"{argument}=" in error.in_python


def test_without_a_remedy_both_texts_are_the_message() -> None:
    """Without a remedy both texts are the message itself."""
    error = InputError("'x' is not a number; give one")
    assert str(error) == error.in_python == advised("'x' is not a number; give one", None)
