"""bench.records.errors: advice in words of the command line and of Python."""

import pytest

from bench.records.errors import InputError, Remedy, advised


@pytest.mark.parametrize("remedy", Remedy)
def test_a_remedy_names_the_option_or_the_argument(remedy: Remedy) -> None:
    """The error of a command names the option, that of a call the argument, and none both."""
    error = InputError("it is taken; wait", remedy)
    assert str(error).startswith("it is taken; wait, or ")
    assert error.in_python.startswith("it is taken; wait, or ")
    option, argument = f"--{remedy.replace('_', '-')}", remedy.removeprefix("no_")
    assert option in str(error)
    assert option not in error.in_python
    assert f"{argument}=" in error.in_python


def test_without_a_remedy_both_texts_are_the_message() -> None:
    """Most errors are the same for a command and for a call."""
    error = InputError("'x' is not a number; give one")
    assert str(error) == error.in_python == advised("'x' is not a number; give one", None)
