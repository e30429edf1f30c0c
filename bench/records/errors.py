"""Errors that end a command with one line, and how an exception becomes one line."""

import unicodedata
from enum import StrEnum


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
    """Unusable input: the message says what came, what was expected, and what to do.

    ``remedy`` is an alternative to what the message advises; ``str`` names its option, and
    ``in_python`` its argument.
    """

    def __init__(self, message: str, remedy: Remedy | None = None) -> None:
        super().__init__(advised(message, remedy.in_command if remedy else None))
        self.in_python = advised(message, remedy.in_python if remedy else None)


class RunError(RuntimeError):
    """A run could not go on; what was measured is kept, and the message says where to look."""


def one_line(error: BaseException, limit: int = 300) -> str:
    """First line of an exception's message, with its type, cut to ``limit`` characters.

    Signs that would steer a terminal, and those that no file could hold, are written out.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = "".join(_written_out(sign) for sign in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _written_out(sign: str) -> str:
    r"""``\x1b`` for an escape sign, ``\udc80`` for half of a character; others as they are."""
    is_other = unicodedata.category(sign).startswith("C")
    return sign.encode("unicode_escape").decode() if is_other else sign


class UnavailableError(RuntimeError):
    """The arm cannot run on this machine; the message says what to install or change."""
