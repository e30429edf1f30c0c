"""bench.report.tables.decision_notes: the basis of a decision, and reasons for a rejected whole."""

from dataclasses import replace

import pytest

from bench.analysis.aim import Aim
from bench.analysis.decision import decide
from bench.records.comparison import CHOICE
from bench.records.errors import FAR_SLOWER
from bench.report.tables.decision import DECISION_COLUMNS, choice_text, decision_markdown
from bench.report.tables.decision_notes import decision_notes
from helpers.decisions import arm, control, failed, only, repeats, run

MEMORY = Aim(objective="memory")


def test_gain_by_memory_is_shown() -> None:
    """By memory, the gain is in the table and in the text; by latency it has no column."""
    whole = arm(CHOICE, "bf16", 2.0, memory_ratio=0.5, allocated_bytes=500)
    found = only(run(control(CHOICE, allocated_bytes=1000), whole), MEMORY)
    assert DECISION_COLUMNS["gain"].cell(found) == "×2.00"
    assert choice_text(found) == "bf16, memory ×2.00, latency ×2.00 (1.96 to 2.04)"
    text = "\n".join(decision_markdown([found], MEMORY))
    assert "| workload | best | choose | gain | speed-up |" in text
    assert "| gain |" not in "\n".join(decision_markdown([only(run())], Aim()))


def test_default_arm_has_no_expectation() -> None:
    """The default arm has no expected speed-up."""
    rows = [control("attention"), arm("attention", "sdpa", 1.0), control(CHOICE)]
    assert DECISION_COLUMNS["expected from parts"].cell(only(rows)) == ""


def test_whole_without_a_gain_is_noted() -> None:
    """A whole without a gain by the objective is noted, even if it is faster."""
    whole = arm(CHOICE, "bf16", 2.0, memory_ratio=1.0, allocated_bytes=1000)
    found = only(run(control(CHOICE, allocated_bytes=1000), whole), MEMORY)
    notes = decision_notes([found], MEMORY)
    assert any("as a whole bf16 is not better (memory ×1.00)" in note for note in notes)


@pytest.mark.parametrize(
    ("error", "said"),
    [(3e-2, "has an error of 3.0e-02, more than allowed"), (None, "has an unknown error")],
)
def test_whole_with_too_large_an_error_is_noted(error: float | None, said: str) -> None:
    """A whole with a too large or unknown error is rejected, even if it is faster."""
    aim = Aim(max_error=2e-2)
    rows = [arm("precision", "bf16", 2.0, output_error=1e-2), control("precision")]
    whole = arm(CHOICE, "bf16", 2.0, output_error=error)
    found = only([*rows, control(CHOICE), whole], aim)
    assert f"as a whole bf16 {said}; the default is chosen." in "".join(
        decision_notes([found], aim)
    )
    assert said in choice_text(found)


def test_a_block_is_not_the_model() -> None:
    """A whole that was measured on one block has a note."""
    for component in ("block", "model"):
        rows = run(
            control(CHOICE, component=component), arm(CHOICE, "bf16", 2.0, component=component)
        )
        rows = [row for row in rows if row.factor != "patcher"]
        notes = "".join(decision_notes([only(rows)], Aim()))
        assert ("measured on one block" in notes) is (component == "block")


def test_a_note_on_both_levels_names_the_situation_once() -> None:
    """A note on both answers names the situation; one on that at full precision its level, too."""
    at_8 = [replace(row, batch_size=8) for row in run() if row.factor != "attention"]
    notes = decision_notes(decide([*run(), *at_8], Aim(), repeats), Aim())
    assert "B/16 b8 forward: attention chosen by measurements at batch 1." in notes
    places = "B/16 b1 forward at fp32, B/16 b8 forward at fp32"
    assert f"{places}: only the patcher differs, as it was measured." in notes


def test_brief_notes_leave_out_when_compiling_pays_off() -> None:
    """That is a note for each situation."""
    rows = run(control(CHOICE), arm(CHOICE, "linear+bf16", 2.0, break_even_images=400))
    full, brief = (decision_notes([only(rows)], Aim(), brief=brief) for brief in (False, True))
    assert [note for note in full if note not in brief] == [
        "B/16 b1 forward: compiling pays off after 400 images."
    ]


def test_an_arm_that_lost_by_far_is_not_called_unmeasured() -> None:
    """It was left out for that."""
    lost = failed("precision", "bf16", "skipped")
    lost = lost.__class__(**lost.__dict__ | {"error": f"{FAR_SLOWER}fp32 on a smaller workload"})
    found = only([control("precision"), lost])
    assert not any("was not measured" in note for note in decision_notes([found], Aim()))
    assert found.parts[0].status == "chosen"
    assert found.parts[0].bound_of_whole == 0.0
