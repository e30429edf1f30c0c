"""Errors that end a command with one line; an exception as one line."""

import unicodedata
from enum import StrEnum

# Errors of comparisons, and of cases of a survey, that only lacked time.
NO_TIME = "no time left in the budget; give a larger --budget"
ENDED_FIRST = "the run ended first; resume it or give a larger --budget"
OUT_OF_TIME = (NO_TIME, ENDED_FIRST)
# An arm this many times slower than its baseline is not called again, nor on larger workloads.
FAR = 3.0
# Start of the error of a comparison that was left out for that.
FAR_SLOWER = f"more than {FAR:g} times slower than "


class Remedy(StrEnum):
    """A remedy that is an option of the command line and an argument of ``bench.compare``."""

    NO_LOCK = "no_lock"
    ALLOW_DIFFERENT = "allow_different"

    @property
    def in_command(self) -> str:
        """The remedy as advice to a user of the command line."""
        return _IN_COMMAND[self]

    @property
    def in_python(self) -> str:
        """The remedy as advice to a caller of ``bench.compare``."""
        return _IN_PYTHON[self]


_IN_COMMAND = {
    Remedy.NO_LOCK: "give --no-lock to measure without a lock",
    Remedy.ALLOW_DIFFERENT: "accept it with --allow-different",
}
_IN_PYTHON = {
    Remedy.NO_LOCK: "pass lock=False to measure without a lock",
    Remedy.ALLOW_DIFFERENT: "accept it with allow_different=True",
}


def advised(text: str, advice: str | None) -> str:
    """Return the text of an error with an alternative remedy after its own."""
    return text if advice is None else f"{text}, or {advice}"


class InputError(ValueError):
    """Unusable input; the message gives the value, the expectation, and the remedy.

    ``remedy`` is an alternative to what the message advises; ``str`` names its option, and
    ``in_python`` its argument.
    """

    def __init__(self, message: str, remedy: Remedy | None = None) -> None:
        super().__init__(advised(message, remedy.in_command if remedy else None))
        self.in_python = advised(message, remedy.in_python if remedy else None)


class RunError(RuntimeError):
    """A run cannot continue; its measurements are kept, and the message says where to look."""


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return type and first line of an exception, cut to ``limit`` characters.

    Control characters, and code points that UTF-8 cannot encode, are escaped.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = "".join(_escaped(character) for character in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(character: str) -> str:
    r"""Return ``\x1b`` for an escape, ``\udc80`` for a lone surrogate; others unchanged."""
    is_other = unicodedata.category(character).startswith("C")
    return character.encode("unicode_escape").decode() if is_other else character


class UnavailableError(RuntimeError):
    """The arm cannot run on this machine; the message says what to install or to change."""
