"""bench.records.notes: notes as text, single and as the column of a row."""

from hypothesis import given
from hypothesis import strategies as st

from bench.records.notes import SEPARATOR, Note, NoteKind, joined
from helpers.records import make_note

NOTES = st.builds(
    Note,
    kind=st.sampled_from(NoteKind),
    subject=st.text(min_size=1),
    text=st.lists(st.sampled_from(["a", "b", "; ", ", ", ";;", " "])).map(
        lambda parts: f"c{''.join(parts)}d"
    ),
    remedy=st.none() | st.just("install one"),
)


def test_a_note_ends_with_its_remedy() -> None:
    """A note's text is the finding and then the remedy."""
    assert str(make_note("no meter")) == "no meter"
    assert str(make_note("no meter", remedy="install one")) == "no meter; install one"


@given(notes=st.lists(NOTES, max_size=5))
def test_notes_column_splits_into_its_notes(notes: list[Note]) -> None:
    """Split at the separator, the column has each note once, whatever characters it contains."""
    column = joined(notes)
    expected = {str(note).replace(SEPARATOR, ", ") for note in notes}
    assert (column is None) is (not notes)
    assert set((column or "").split(SEPARATOR)) - {""} == expected
