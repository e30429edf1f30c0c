"""Errors that end a command with one line, and how an exception becomes one line."""

import unicodedata


class InputError(ValueError):
    """What the user gave cannot be used: says what came, what was expected, what to do."""


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
