"""Foreign load in rows: its causes, and passes under load that does not slow all arms alike.

Next to a program that holds one of its cores, a thread of an arm waits for that core and the others
wait for it, at the end of each parallel region. Arms are then slowed by their number of regions, in
every pair and every pass alike: neither a median nor an interval shows it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.records.notes import Note, NoteKind
from bench.records.sample import Sample

REMEDY = "stop other programs, set OMP_NUM_THREADS to the number of free cores, or measure later"


@dataclass(frozen=True, kw_only=True)
class UnevenLoad:
    """Load of a run that does not slow all arms alike.

    ``passes`` of ``measured`` measurements (of a comparison in a pass) were made under it, and
    ``withheld`` rows have no verdict for that reason. ``calm_wait_s`` is the time that was waited
    for a calm machine.
    """

    passes: int = 0
    measured: int = 0
    withheld: int = 0
    calm_wait_s: float = 0.0

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[Sample]]) -> "UnevenLoad":
        """Count over the samples of each row."""
        samples = [sample for own in rows.values() for sample in own if sample.arm_s]
        return cls(
            passes=sum(sample.is_uneven for sample in samples),
            measured=len(samples),
            withheld=sum(map(is_withheld, rows.values())),
            calm_wait_s=sum(sample.calm_wait_s for sample in samples),
        )


def usable(samples: Iterable[Sample]) -> list[Sample]:
    """Return the measured passes; those under uneven load only if there are no others."""
    measured = [sample for sample in samples if sample.arm_s]
    return [sample for sample in measured if not sample.is_uneven] or measured


def is_withheld(samples: Iterable[Sample]) -> bool:
    """Return whether a row gets no verdict, since all its passes were under uneven load."""
    return any(sample.is_uneven for sample in usable(samples))


def causes(rows: Mapping[str, Sequence[Sample]]) -> dict[str, int]:
    """Return the number of disturbed pairs by cause, the largest first."""
    found: Counter[str] = Counter()
    for samples in rows.values():
        for sample in samples:
            found.update(sample.causes)
    return dict(found.most_common())


def uneven_notes(samples: Sequence[Sample]) -> Iterator[Note]:
    """Yield a note on the passes of a row under uneven load, with what to do if none is left."""
    measured = [sample for sample in samples if sample.arm_s]
    count = sum(sample.is_uneven for sample in measured)
    if not count:
        return
    why = "another program held a core, so that threads waited for each other"
    if is_withheld(samples):
        text = f"no verdict: in every pass {why}, which does not slow all arms alike"
        yield Note(kind=NoteKind.LOAD, subject="passes", text=text, remedy=REMEDY)
    else:
        text = f"{count} of {len(measured)} passes left out: {why}"
        yield Note(kind=NoteKind.LOAD, subject="passes", text=text)
