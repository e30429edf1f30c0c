"""bench.report.tables.decision: the decision as text, Markdown and lines."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision, decide
from bench.records.comparison import CHOICE
from bench.report.tables.certificate import cells
from bench.report.tables.decision import (
    BRIEF_COLUMNS,
    DECISION_COLUMNS,
    choice_text,
    decision_markdown,
    decision_table,
    decision_tables,
    title,
    whole_text,
)
from bench.report.tables.decision_notes import OTHERS, UNMEASURED, decision_notes
from bench.report.tables.decision_parts import PART_COLUMNS
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
    """Return one cell of a decision's row."""
    return DECISION_COLUMNS[heading].cell(decision)


def parts(decision: Decision) -> list[tuple[str, ...]]:
    """Return the cells of each factor of a decision."""
    return [tuple(column.cell(each) for column in PART_COLUMNS) for each in cells([decision])]


def several() -> list[Decision]:
    """Decisions: one measured as a whole, two not measured, one of the default arm."""
    other = [make_record(**{**row.__dict__, "variant": "L/16"}) for row in run()]
    at_8 = [replace(row, batch_size=8, variant="L/16") for row in run() if row.factor == "patcher"]
    large = [replace(control("patcher"), variant="H/14", image_size=384)]
    return decide([*MEASURED, *other, *at_8, *large], Aim(), repeats)


@pytest.mark.parametrize("width", [80, 140])
def test_table_equals_the_golden_text(width: int) -> None:
    """The table equals the golden text in a wide and in a narrow terminal."""
    console = Console(width=width, record=True, file=None, color_system=None)
    with console.capture() as captured:
        console.print(decision_table(several(), Aim(), narrow=width < NARROW_COLUMNS))
    check_golden(f"decision_{width}.txt", captured.get())


def test_markdown_equals_the_golden_text() -> None:
    """The Markdown table with its rule and notes equals the golden text."""
    check_golden("decision.md", "\n".join(decision_markdown(several(), Aim())))


def test_brief_table_has_seven_columns() -> None:
    """By latency the brief table has seven columns, among them interval and memory ratio."""
    full, brief = (decision_markdown(several(), Aim(), brief=brief) for brief in (False, True))
    costs = "speed-up | memory | numeric error | others at most"
    assert brief[2] == f"| workload | choose | {costs} | best at fp32 |"
    assert [cell.strip() for cell in brief[4].split("|")[1:-1]] == [
        *("B/16 b1 forward (model)", "linear + bf16"),
        *("×1.95 (1.91 to 1.99)", "180 MiB (×0.54)", "1.2e-02", "1.1 %"),
        "linear, ×1.04 (1.03 to 1.05) expected from its parts",
    ]
    assert brief[7] == "| H/14 b1 forward 384px | default |  |  |  | 0 % |  |"
    assert f"- {OTHERS}" in brief
    assert not any("at fp32" in line for line in brief[8:])
    assert len(full) > len(brief)


def test_brief_table_by_memory_shows_the_gain() -> None:
    """By memory the brief table has a column for the gain."""
    whole = arm(CHOICE, "bf16", 1.95, allocated_bytes=180 * 2**20, memory_ratio=0.5)
    aim = Aim(objective="memory")
    found = decide(run(control(CHOICE), whole), aim, repeats)
    assert BRIEF_COLUMNS[2].cell(found[-1]) == "×2.00"
    headings = decision_markdown(found, aim, brief=True)[2]
    assert "| choose | gain | speed-up | memory |" in headings


def test_unmeasured_objective_is_unknown() -> None:
    """By energy without a meter the choice is unknown, not the default arm."""
    aim = Aim(objective="energy")
    (found,) = decide(MEASURED, aim, repeats)
    assert found.has_no_data
    assert cell(found, "choose") == "unknown"
    assert decision_notes([found], aim)[1:] == [
        "B/16 b1 forward: energy was not measured, so nothing can be chosen by it."
    ]
    assert choice_text(found) == "unknown (energy was not measured)"


def test_failed_arms_leave_the_default() -> None:
    """Where every candidate failed, the default is chosen and the failures are noted."""
    (found,) = decide([control("precision"), failed("precision", "bf16", "oom")], Aim(), repeats)
    assert not found.has_no_data
    assert cell(found, "choose") == "default"
    assert "B/16 b1 forward: precision: latency of bf16 was not measured." in decision_notes(
        [found], Aim()
    )


def test_parts_show_their_gain_by_the_objective() -> None:
    """By memory a part's gain has no interval; a default part has no gain."""
    by_speed, by_memory = (
        {row[2]: row for row in parts(only(run(), aim))} for aim in (Aim(), Aim(objective="memory"))
    )
    assert by_speed["precision"][3:] == (
        *("bf16", "×2.00 (1.96 to 2.04)", "+100 % (+96 to +104 %)", "0 %", "block b1", "chosen"),
    )
    assert by_speed["attention"][3:6] == ("mha", "", "")
    assert by_speed["attention"][7:] == ("attention b1", "open (only measured at fp32)")
    assert by_memory["precision"][3:7] == ("bf16", "×2.00", "+100 % (+96 to +104 %)", "")
    assert by_memory["patcher"][3:5] == ("conv", "")


def test_without_decisions_there_is_no_markdown() -> None:
    """Without decisions, as for a user's own arms, there is no Markdown."""
    assert decision_markdown([], Aim()) == []


def test_title_has_the_aim() -> None:
    """The title has the objective, the bound on the error and the default arm."""
    assert title(Aim(objective="memory", max_error=1e-4)) == (
        "What to choose by memory, errors up to 0.0001, "
        "against the default (conv, mha, eager, fp32)"
    )


@pytest.mark.parametrize("objective", ["latency", "throughput", "memory", "energy"])
def test_every_objective_has_a_rule(objective: str) -> None:
    """The first note is the rule of the objective."""
    assert decision_notes([], Aim(objective=objective))[0].startswith("Of each factor the ")


def test_unmeasured_wholes_share_one_note() -> None:
    """Situations not measured as a whole share one note with the remedy."""
    found = [note for note in decision_notes(several(), Aim()) if UNMEASURED in note]
    assert found == [f"L/16 b8 forward: {UNMEASURED}"]


def test_failed_whole_gives_the_reason() -> None:
    """A failed whole is not chosen; a skipped one is, with the status in the table."""
    whole = replace(failed(CHOICE, "linear+bf16", "oom"), error="no room")
    lost = only(run(control(CHOICE), whole))
    assert (cell(lost, "workload"), cell(lost, "choose")) == ("B/16 b1 forward", "default")
    assert "as a whole linear + bf16 is oom: no room; the default is chosen." in "".join(
        decision_notes([lost], Aim())
    )
    assert choice_text(lost) == "the default: as a whole linear + bf16 is oom: no room"
    assert whole_text(lost) == "As a whole linear + bf16 is oom: no room"
    whole = replace(failed(CHOICE, "linear+bf16", "skipped"), error="no time")
    decision = only(run(control(CHOICE), whole))
    assert cell(decision, "verdict") == "skipped"
    assert "B/16 b1 forward: as a whole linear + bf16 is skipped: no time" in decision_notes(
        [decision], Aim()
    )


def test_effects_that_do_not_multiply_are_noted() -> None:
    """The note has both the measured and the expected speed-up."""
    decision = only(run(control(CHOICE), arm(CHOICE, "linear+bf16", 1.5)))
    (note,) = [each for each in decision_notes([decision], Aim()) if "multiply" in each]
    assert "as a whole ×1.50, expected from parts ×2.08" in note


def test_break_even_of_a_choice_is_noted() -> None:
    """A compiled choice has a note with its break-even images."""
    rows = [control("compile"), arm("compile", "compile_blocks", 1.3)]
    whole = arm(CHOICE, "compile_blocks", 1.3, break_even_images=1234.0)
    assert "B/16 b1 forward: compiling pays off after 1 230 images." in [
        note.replace("\N{THIN SPACE}", " ")
        for note in decision_notes([only([*rows, whole])], Aim())
    ]


def test_each_decision_has_a_text() -> None:
    """The text of a decision is its choice with the speed-up of the whole, or what to expect."""
    assert [choice_text(each) for each in several()] == [
        "linear, ×1.04 (1.03 to 1.05) expected from its parts",
        "linear + bf16, ×1.95 (1.91 to 1.99)",
        "linear, ×1.04 (1.03 to 1.05) expected from its parts",
        "linear + bf16, ×2.00 (1.96 to 2.04)",
        "linear, ×1.04 (1.03 to 1.05) expected from its parts",
        "linear + bf16, ×2.08 (2.03 to 2.13) expected from its parts",
        "the default",
    ]


def test_text_of_the_whole_has_its_costs() -> None:
    """Of a measured whole the text has speed-up, memory and error; of others it is empty."""
    *_, found = decide(MEASURED, Aim(), repeats)
    assert whole_text(found) == "×1.95 (1.91 to 1.99); 180 MiB (×0.54); numeric error 1.2e-02"
    assert whole_text(several()[-1]) == ""


def test_tables_in_full() -> None:
    """In full the decisions have their table, their notes, and a table of their parts."""
    console = Console(width=140, file=StringIO())
    with console.capture() as captured:
        console.print(*decision_tables(several(), Aim()), sep="\n")
    check_golden("decision_parts.txt", re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))


def test_a_gpu_is_named() -> None:
    """The workload of a GPU has the device's name."""
    rows = [replace(row, device="cuda") for row in run()]
    assert cell(only(rows), "workload") == "B/16 b1 forward cuda (block)"
