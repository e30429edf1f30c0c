"""bench.report.tables.decision: the table that a reader sees first, as text, Markdown and lines."""

from dataclasses import replace

import pytest
from rich.console import Console

from bench.analysis.decision import Aim, Decision, decide
from bench.records.comparison import CHOICE
from bench.report.tables.decision import (
    BRIEF_COLUMNS,
    DECISION_COLUMNS,
    PART_COLUMNS,
    contender_lines,
    decision_lines,
    decision_markdown,
    decision_parts,
    decision_table,
    title,
)
from bench.report.tables.decision_notes import CONTENDERS, UNMEASURED, decision_notes
from bench.report.tables.layout import NARROW_COLUMNS
from helpers.decisions import arm, control, failed, only, repeats, run
from helpers.records import make_record
from helpers.reports import check_golden

WHOLE = arm(
    CHOICE, "linear+bf16", 1.95, output_error=1.2e-2, allocated_bytes=180 * 2**20, memory_ratio=0.54
)
MEASURED = run(
    control(CHOICE, allocated_bytes=330 * 2**20),
    WHOLE,
    arm("attention", "manual", 1.0, speedup_high=1.1),
)


def cell(decision: Decision, heading: str) -> str:
    """One cell of a decision's row."""
    return DECISION_COLUMNS[heading].cell(decision)


def parts(decision: Decision) -> list[tuple[str, ...]]:
    """Cells of each factor of a decision."""
    return [tuple(c.cell(part) for c in PART_COLUMNS) for part in decision_parts([decision])]


def several() -> list[Decision]:
    """A situation that was measured as a whole, two that were not, and one that stays plain."""
    other = [make_record(**{**row.__dict__, "variant": "L/16"}) for row in run()]
    at_8 = [replace(row, batch_size=8, variant="L/16") for row in run() if row.factor == "patcher"]
    large = [replace(control("patcher"), variant="H/14", image_size=384)]
    return decide([*MEASURED, *other, *at_8, *large], Aim(), repeats)


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_reads_as_it_should(width: int) -> None:
    """In a wide terminal and in a narrow one: nothing is cut."""
    console = Console(width=width, record=True, file=None, color_system=None)
    with console.capture() as captured:
        console.print(decision_table(several(), Aim(), narrow=width < NARROW_COLUMNS))
    check_golden(f"decision_{width}.txt", captured.get())


def test_markdown_reads_as_it_should() -> None:
    """With its rule and all that is to be known of it."""
    check_golden("decision.md", "\n".join(decision_markdown(several(), Aim())))


def test_a_brief_table_has_the_columns_that_decide() -> None:
    """Five by latency, the speed-up with its interval and memory with its ratio."""
    full, brief = (decision_markdown(several(), Aim(), brief=brief) for brief in (False, True))
    assert brief[2] == "| workload | choose | speed-up | memory | numeric error |"
    assert [cell.strip() for cell in brief[4].split("|")[1:-1]] == [
        *("B/16 b1 forward (model)", "linear + bf16"),
        *("×1.95 (1.91 to 1.99)", "180 MiB (×0.54)", "1.2e-02"),
    ]
    notes = [line for line in full[8:] if line != f"- {CONTENDERS}"]
    assert len(notes) == len(full[8:]) - 1
    assert brief[7:] == ["| H/14 b1 forward 384px | default |  |  |  |", *notes]


def test_a_brief_table_by_another_objective_shows_its_gain() -> None:
    """What was gained by it is neither the speed-up nor the ratio of memory alone."""
    whole = arm(CHOICE, "bf16", 1.95, allocated_bytes=180 * 2**20, memory_ratio=0.5)
    aim = Aim(objective="memory")
    found = decide(run(control(CHOICE), whole), aim, repeats)
    assert BRIEF_COLUMNS[2].cell(found[0]) == "×2.00"
    assert "| choose | gain | speed-up | memory |" in decision_markdown(found, aim, brief=True)[2]


def test_what_nobody_measured_is_unknown() -> None:
    """By energy on a machine without a meter: no arm is named, not even the plain one."""
    aim = Aim(objective="energy")
    (found,) = decide(MEASURED, aim, repeats)
    assert found.has_no_data
    assert cell(found, "choose") == "unknown"
    assert decision_notes([found], aim)[1:] == [
        "B/16 b1 forward: energy was not measured, so nothing can be chosen by it."
    ]
    (line,) = decision_lines([found])
    assert line.endswith("unknown (energy was not measured)")


def test_arms_that_all_failed_leave_the_plain_one() -> None:
    """That is known: there was nothing else."""
    (found,) = decide([control("precision"), failed("precision", "bf16", "oom")], Aim(), repeats)
    assert not found.has_no_data
    assert cell(found, "choose") == "default"
    assert "B/16 b1 forward: precision: latency of bf16 was not measured." in decision_notes(
        [found], Aim()
    )


def test_parts_show_their_gain_by_the_objective() -> None:
    """By memory: what precision saves, which has no interval; what stays plain gains nothing."""
    by_speed, by_memory = (
        {row[1]: row for row in parts(only(run(), aim))} for aim in (Aim(), Aim(objective="memory"))
    )
    assert by_speed["precision"][2:5] == ("bf16", "×2.00 (1.96 to 2.04)", "block b1")
    assert by_speed["attention"][2:] == ("mha", "", "attention b1", "sdpa")
    assert by_memory["precision"][2:4] == ("bf16", "×2.00")
    assert by_memory["patcher"][2:4] == ("conv", "")


def test_without_decisions_there_is_nothing_to_say() -> None:
    """As with a user's own arms."""
    assert decision_markdown([], Aim()) == []


def test_the_title_says_what_was_wanted() -> None:
    """The objective, the bound, and what plain means."""
    assert title(Aim(objective="memory", max_error=1e-4)) == (
        "What to choose by memory, errors up to 0.0001, "
        "against the default (conv, mha, eager, fp32)"
    )


@pytest.mark.parametrize("objective", ["latency", "throughput", "memory", "energy"])
def test_every_objective_has_a_rule(objective: str) -> None:
    """The first note is how it was chosen."""
    assert decision_notes([], Aim(objective=objective))[0].startswith("Of each factor the ")


def test_what_was_not_measured_is_said_once_for_all_its_places() -> None:
    """With how to have it measured."""
    found = [note for note in decision_notes(several(), Aim()) if UNMEASURED in note]
    assert found == [f"L/16 b1 forward, L/16 b8 forward: {UNMEASURED}"]


def test_a_whole_that_failed_says_how() -> None:
    """And is not chosen; one that had no time is, with that in the table."""
    whole = replace(failed(CHOICE, "linear+bf16", "oom"), error="no room")
    lost = only(run(control(CHOICE), whole))
    assert (cell(lost, "workload"), cell(lost, "choose")) == ("B/16 b1 forward", "default")
    assert "as a whole linear + bf16 is oom: no room; the default is chosen." in "".join(
        decision_notes([lost], Aim())
    )
    assert decision_lines([lost])[0].endswith(
        "the default (conv, mha, eager, fp32): as a whole linear + bf16 is oom: no room"
    )
    whole = replace(failed(CHOICE, "linear+bf16", "skipped"), error="no time")
    decision = only(run(control(CHOICE), whole))
    assert cell(decision, "verdict") == "skipped"
    assert "B/16 b1 forward: as a whole linear + bf16 is skipped: no time" in decision_notes(
        [decision], Aim()
    )


def test_effects_that_do_not_multiply_are_told() -> None:
    """Both numbers, so that the reader can see by how much."""
    decision = only(run(control(CHOICE), arm(CHOICE, "linear+bf16", 1.5)))
    (note,) = [each for each in decision_notes([decision], Aim()) if "multiply" in each]
    assert "as a whole ×1.50, expected from parts ×2.00" in note


def test_when_compiling_pays_off_is_told() -> None:
    """A choice that costs a minute first is to say so."""
    rows = [control("compile"), arm("compile", "compile_blocks", 1.3)]
    whole = arm(CHOICE, "compile_blocks", 1.3, break_even_images=1234.0)
    assert "B/16 b1 forward: compiling pays off after 1 230 images." in [
        note.replace("\N{THIN SPACE}", " ")
        for note in decision_notes([only([*rows, whole])], Aim())
    ]


def test_what_is_open_has_a_line_of_its_own() -> None:
    """In a terminal's table it would make rows of many lines."""
    assert contender_lines(several())[0] == (
        "B/16 b1 forward: undecided contenders: attention: sdpa, manual."
    )
    assert contender_lines(several()[-1:]) == []


def test_each_situation_has_a_line() -> None:
    """For the end of what a terminal shows, and for whoever greps it."""
    assert decision_lines(several()) == [
        "Choose for B/16 b1 forward: linear + bf16 (×1.95, 1.91 to 1.99)",
        "Choose for L/16 b1 forward: linear + bf16 (not measured as a whole)",
        "Choose for L/16 b8 forward: linear + bf16 (not measured as a whole)",
        "Choose for H/14 b1 forward 384px: the default (conv, mha, eager, fp32)",
    ]


def test_a_gpu_is_named() -> None:
    """Rows of two devices are told apart."""
    rows = [replace(row, device="cuda") for row in run()]
    assert cell(only(rows), "workload") == "B/16 b1 forward cuda"
