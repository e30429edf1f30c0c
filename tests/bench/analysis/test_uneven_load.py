"""bench.analysis.uneven_load: passes under load that does not cancel, and the rows without them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.rows import Analysis, analyse, speedup
from bench.analysis.uneven_load import REMEDY, UnevenLoad, is_withheld, usable
from bench.records.comparison import Comparison
from bench.records.notes import NoteKind
from bench.records.sample import Sample
from helpers.records import make_comparison, make_environment, make_sample

CONTROL, CANDIDATE = make_comparison("mha"), make_comparison("manual")
SDPA = make_comparison("sdpa")
ALL = tuple(range(6))


def passes(comparison: Comparison, *ratios: float, uneven: Sequence[int] = ()) -> list[Sample]:
    """Passes of six equal pairs at each ratio, those with these numbers under uneven load."""
    return [
        make_sample(
            comparison,
            index,
            baseline_s=(0.01 * ratio,) * 6,
            arm_s=(0.01,) * 6,
            uneven=ALL if index in uneven else (),
            disturbed=ALL if index in uneven else (),
        )
        for index, ratio in enumerate(ratios)
    ]


def analysed(*groups: list[Sample]) -> Analysis:
    """Analysis of a control and two candidates by these samples."""
    samples = [sample for group in groups for sample in group]
    return analyse("run", [CONTROL, CANDIDATE, SDPA], samples, make_environment())


@pytest.mark.parametrize(
    ("uneven", "pairs", "expected"),
    [
        ((), 6, False),
        ((3,), 6, False),
        ((0, 2), 6, True),
        (tuple(range(6)), 20, False),
        ((), 0, False),
    ],
)
def test_a_third_of_the_pairs_makes_a_pass_uneven(
    uneven: tuple[int, ...], pairs: int, *, expected: bool
) -> None:
    """A few uneven pairs do not move a median; from a third of them on they may."""
    times_s = (0.01,) * pairs
    sample = make_sample(CANDIDATE, baseline_s=times_s, arm_s=times_s, uneven=uneven)
    assert sample.is_uneven == expected


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8))
def test_usable_passes(kinds: list[tuple[bool, bool]]) -> None:
    """Measured passes are used, and those under uneven load only without any other."""
    samples = [
        make_sample(CANDIDATE, index, uneven=ALL if uneven else ())
        if measured
        else Sample(key=CANDIDATE.key, pass_index=index, status="skipped")
        for index, (measured, uneven) in enumerate(kinds)
    ]
    found = usable(samples)
    measured = [sample for sample in samples if sample.arm_s]
    assert bool(found) == bool(measured)
    assert all(sample in measured for sample in found)
    assert len({sample.is_uneven for sample in found}) <= 1
    calm = [sample for sample in measured if not sample.is_uneven]
    assert is_withheld(samples) == (bool(measured) and not calm)
    assert found == (calm or measured)


def test_a_row_without_a_calm_pass_has_no_verdict() -> None:
    """Clear and narrow though it is, the ratio gets neither a verdict nor an interval."""
    found = analysed(passes(CONTROL, 1, 1, 1), passes(CANDIDATE, 1.2, 1.2, 1.2, uneven=(0, 1, 2)))
    _, row, _ = found.records
    assert row.verdict == "undecided"
    assert row.speedup == pytest.approx(1.2)
    assert (row.speedup_low, row.speedup_high, row.p_value) == (None, None, None)
    assert found.widths[CANDIDATE.key] == math.inf
    (note,) = found.notes[CANDIDATE.key]
    assert (note.kind, note.remedy) == (NoteKind.LOAD, REMEDY)
    assert str(note).startswith("no verdict: in every pass another program held a core")


def test_uneven_passes_are_left_out_where_others_remain() -> None:
    """The row is that of its calm passes, and says how many were left out."""
    control = passes(CONTROL, 1, 1.001, 0.999)
    mixed = passes(CANDIDATE, 1.1, 1.7, 1.101, uneven=(1,))
    found, calm = analysed(control, mixed), analysed(control, [mixed[0], mixed[2]])
    row, expected = found.records[1], calm.records[1]
    assert row.verdict == "faster"
    assert (row.passes, row.rounds, row.disturbed) == (2, 12, 0)
    assert row.note == (
        "1 of 3 passes left out: another program held a core, so that threads waited for each other"
    )
    assert replace(row, note=None) == expected
    assert speedup(mixed) == speedup([mixed[0], mixed[2]])


def test_a_row_without_a_verdict_lends_no_spread() -> None:
    """Passes that agree under uneven load do not make the other rows' intervals narrow."""
    rest = [*passes(CONTROL, 1.0, 1.01, 0.99), *passes(CANDIDATE, 1.2, 1.18, 1.22)]
    alone = analysed(rest)
    beside = analysed(rest, passes(SDPA, 1.3, 1.3, 1.3, uneven=(0, 1, 2)))
    assert beside.records[1].speedup_low == pytest.approx(alone.records[1].speedup_low)
    assert beside.controls == alone.controls


def test_a_control_without_a_verdict_vouches_for_nothing() -> None:
    """A baseline that load made differ from its copy does not count as a control."""
    found = analysed(passes(CONTROL, 1.5, 1.5, 1.5, uneven=(0, 1, 2)), passes(CANDIDATE, 1, 1, 1))
    assert found.controls["cpu"].count == 0
    assert found.records[0].verdict == "undecided"


def test_uneven_load_of_a_run_is_counted() -> None:
    """Passes under such load, rows without a verdict and waits are counted over the run."""
    waited = [replace(each, calm_wait_s=1.5) for each in passes(CONTROL, 1, 1, uneven=(1,))]
    found = analysed(waited, passes(CANDIDATE, 1.2, 1.2, uneven=(0, 1)))
    assert found.uneven == UnevenLoad(passes=3, measured=4, withheld=1, calm_wait_s=3.0)
    assert analysed(passes(CONTROL, 1, 1)).uneven == UnevenLoad(measured=2)


def test_a_run_under_uneven_load_alone_still_has_rows() -> None:
    """If load lasted throughout, every row is there, and none has a verdict."""
    found = analysed(
        *(passes(each, 1.3, 1.31, uneven=(0, 1)) for each in (CONTROL, CANDIDATE, SDPA))
    )
    assert [row.verdict for row in found.records] == ["undecided"] * 3
    assert [row.passes for row in found.records] == [2] * 3
    assert found.decided == 0
