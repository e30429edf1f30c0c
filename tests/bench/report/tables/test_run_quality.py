"""bench.report.tables.run_quality: the lines on a run's reliability above its tables."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.records.row import Record
from bench.report.report_data import ReportData
from bench.report.tables.run_quality import share_line, trust, trust_lines
from helpers.pages import make_report_data
from helpers.records import NOT_MEASURED, make_analysis, make_controls, make_record

SAID = "2 of 9 copies of a baseline were called different"
FURTHER = f"{SAID}; by how far they stray, every interval was widened"
BEYOND = f"{SAID}; they differ 3.3 times as much as their intervals allow, so no verdict is given"
DISTURBED = (
    "36 of 240 rounds were disturbed by foreign load (steal 30, memory 9): 30 were left out, 6 "
    "kept where less than half of a pass was calm (the median is robust to them)."
)
HELD = (
    "12 of 208 measurements were made while another program held a core, which does not slow all "
    "arms alike: 4 rows without a verdict; stop other programs, set OMP_NUM_THREADS to the number "
    "of free cores, or measure later (9.0 s went into waiting for a calm machine)."
)
CALM = (
    "Controls: 0 of 3 copies of a baseline were called different. Of 1 verdict at most 0.020 are "
    "expected to be false."
)
SPENT = "Time: 62 % of 9 min 35 s in timed calls"
ONE_HELD = (
    "1 of 2 measurements was made while another program held a core, which does not slow all arms "
    "alike: left out, since every row has others."
)


@pytest.mark.parametrize(
    ("widening", "sentence"),
    [
        (1.0, f"Controls: {SAID}."),
        (1.004, f"Controls: {SAID}."),
        (1.625, f"Controls: {FURTHER} to 1.62 times its width."),
        (3.26, f"Controls: {BEYOND}: stop other programs or give more time, and measure again."),
    ],
)
def test_controls(widening: float, sentence: str) -> None:
    """The first line has the number of deviating controls and the consequence."""
    found = make_controls(count=9, strayed=2, widening=widening)
    assert trust(make_analysis([], {"cpu": found})) == [sentence]


def test_controls_of_two_devices() -> None:
    """Each device has its own line with its name."""
    lines = trust(make_analysis([], {"cpu": make_controls(), "cuda": make_controls(widening=2.0)}))
    assert [line.partition(":")[0] for line in lines] == ["Controls on cpu", "Controls on cuda"]


def test_expected_false_verdicts() -> None:
    """The bound on expected false verdicts is given if there are verdicts."""
    analysis = make_analysis([make_record()] * 30 + [make_record(verdict="undecided")] * 9)
    assert trust(analysis)[1] == (
        "Of 30 verdicts at most 0.60 are expected to be false "
        "(share of false discoveries held to 2 % of differences, 5 % of equivalences)."
    )


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([{}], []),
        (
            [{"disturbed": 30}, {"disturbed": 6}, {"disturbed": None, "rounds": 0}],
            [DISTURBED],
        ),
        (
            [{"unsteady": "arm 12 % faster at the end"}],
            ["1 row is unsteady: times moved while they were measured."],
        ),
        (
            [{"unsteady": "arm 12 % faster at the end"}] * 2,
            ["2 rows are unsteady: times moved while they were measured."],
        ),
    ],
)
def test_disturbances(changes: list[dict[str, Any]], lines: list[str]) -> None:
    """Disturbances and their treatment are given if there are any."""
    records = [make_record(verdict="undecided", speedup_low=0.9, **each) for each in changes]
    assert (
        trust(make_analysis(records, causes={"steal": 30, "memory": 9}, left_out=30))[1:] == lines
    )


def test_verdicts_lost_to_the_correction() -> None:
    """Undecided rows whose interval excludes 1 are counted, with the reason."""
    records = [make_record(verdict="undecided", arm=arm) for arm in ("manual", "sdpa")]
    (line,) = trust(make_analysis(records))[1:]
    assert line.startswith("2 undecided rows would have a verdict without the adjustment")


def test_run_without_controls() -> None:
    """A run without a measured control has a line that states it."""
    found = make_controls(count=0, strayed=0)
    assert trust(make_analysis([], {"cpu": found})) == ["Controls: none measured."]


@pytest.mark.parametrize(
    ("load", "lines"),
    [
        ({"measured": 9}, []),
        ({"calm_wait_s": 3.4}, ["3.4 s went into waiting for a calm machine."]),
        (
            {"passes": 12, "measured": 208, "withheld": 4, "calm_wait_s": 9.04},
            [HELD],
        ),
        (
            {"passes": 1, "measured": 2},
            [ONE_HELD],
        ),
    ],
)
def test_uneven_load(load: dict[str, Any], lines: list[str]) -> None:
    """One line says how much was measured under load that does not cancel, and what to do."""
    records = [make_record(verdict="undecided", speedup_low=None, speedup_high=None)]
    assert trust(make_analysis(records, **load))[1:] == lines


@pytest.mark.parametrize(
    ("share", "start"),
    [
        (None, "Nothing was measured."),
        (0.784, "Timed calls took 78 % of the run's 3 min 20 s; imports, "),
    ],
)
def test_share_line(share: float | None, start: str) -> None:
    """The line has the share of time inside measured calls, or states that there is none."""
    assert share_line(share, 200).startswith(start)


def report_data(records: Sequence[Record], **changes: Any) -> ReportData:
    """Build the report data of some rows, of which some rounds were disturbed."""
    return replace(
        make_report_data(records),
        analysis=make_analysis(records, causes={"steal": 30}, left_out=20),
        **{"spent_s": 575.0, "timed_share": 0.6249, **changes},
    )


def test_three_lines_of_trust() -> None:
    """One line has the controls, one the load, one the time and what was not measured."""
    rows = [
        make_record(disturbed=30, unsteady="arm in 1 of 3 passes"),
        *(make_record(**NOT_MEASURED | {"status": status}) for status in ("oom", "oom", "crashed")),
    ]
    assert trust_lines(report_data(rows, left=2)) == [
        CALM,
        "Load: 30 of 480 rounds disturbed (steal 30), 20 left out; 1 row unsteady.",
        f"{SPENT}; not measured: 3 arms (oom 2, crashed 1), 2 planned measurements.",
    ]


def test_trust_of_a_calm_run() -> None:
    """A calm and complete run has short lines; one without a measurement has no share."""
    _, load, time = trust_lines(report_data([make_record()], timed_share=None))
    assert load == "Load: no round was disturbed."
    assert time == "Time: 0 % of 9 min 35 s in timed calls."


def test_load_that_does_not_cancel_is_among_the_trust() -> None:
    """Verdicts that were withheld for uneven load are in the line on load, with the remedy."""
    found = make_analysis([make_record()], passes=12, measured=208, withheld=4, calm_wait_s=9.04)
    _, load, _ = trust_lines(replace(report_data([make_record()]), analysis=found))
    assert load == f"Load: no round was disturbed. {HELD}"
