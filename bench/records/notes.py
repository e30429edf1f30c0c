"""Notes: remarks on a row or a machine as records, and their text. Standard library only."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# Between the notes of a row in the column ``note`` of results.csv, and within none of them.
SEPARATOR = "; "


class NoteKind(StrEnum):
    """Subject of a note's report."""

    ACCEPTED = "accepted"
    """A difference of outputs that the user accepted."""
    WEIGHTS = "weights"
    """Whose weights a user's arm has."""
    TRAINING = "training"
    """What a step of training changes in each arm."""
    GRADIENTS = "gradients"
    """In which gradient mode forward calls were timed."""
    HARDWARE = "hardware"
    """A feature that the processor lacks."""
    SKIPPED = "skipped"
    """Passes that skipped the arm."""
    UNAVAILABLE = "unavailable"
    """A value that could not be measured."""
    SURVEY = "survey"
    """The status of a cost survey that did not measure the arm."""
    INCONSISTENT = "inconsistent"
    """A value that contradicts another by more than its error explains."""
    LOAD = "load"
    """Passes under load that does not slow all arms alike."""
    MACHINE = "machine"
    """A setting or a load of the machine that makes measurements worse."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """One remark, with a text that needs no context.

    ``subject`` names the value or the part of the machine that it concerns, ``remedy`` what the
    user can do.
    """

    kind: NoteKind
    subject: str
    text: str
    remedy: str | None = None

    def __str__(self) -> str:
        return self.text if self.remedy is None else f"{self.text}{SEPARATOR}{self.remedy}"


OWN_WEIGHTS = Note(kind=NoteKind.WEIGHTS, subject="weights", text="own weights agree")
MOVED_WEIGHTS = Note(kind=NoteKind.WEIGHTS, subject="weights", text="weights moved")


def joined(notes: Iterable[Note]) -> str | None:
    """Return the notes of a row as the text of its column, each once; None without any."""
    texts = dict.fromkeys(str(note).replace(SEPARATOR, ", ") for note in notes)
    return SEPARATOR.join(texts) or None
