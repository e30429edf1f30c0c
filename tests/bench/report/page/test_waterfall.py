"""bench.report.page.waterfall: the answer for each situation, step by step."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision, decide
from bench.records.comparison import CHOICE
from bench.report.page.waterfall import Answer, answers
from bench.runs.combination import decisions
from helpers.decisions import arm, control, failed, repeats, run
from helpers.default_run import default_run

SPENT_S = 575.0


def default_answers(half: float = 0.012) -> list[Answer]:
    """Return the answers of a run of the default size."""
    return answers(decisions(default_run(half=half), Aim()), SPENT_S)


def answer_of(*rows: Any, aim: Aim | None = None) -> Answer:
    """Return the first answer of some rows, which is the best of all."""
    return answers(decide(list(rows), aim or Aim(), repeats), SPENT_S)[0]


def test_the_best_of_all_comes_before_full_precision() -> None:
    """Each situation has its best of all, followed by the best at full precision."""
    names = [each.name for each in default_answers()]
    assert names[:3] == ["B/16 b1 forward", "B/16 b1 forward, at fp32", "B/16 b8 forward"]
    assert len(names) == len(set(names)) == 12


def test_an_answer_says_what_to_choose_and_how_sure_that_is() -> None:
    """An answer has the choice, its worth, its certificate and the best at full precision."""
    first, second, *_ = default_answers()
    assert first.choice == "sdpa + compile_blocks + bf16"
    assert first.worth.startswith("×2.28 (2.25 to 2.31); 256 MiB")
    assert first.how_sure.startswith("What was not chosen could make the model at most 0.2 %")
    assert first.other.startswith("At fp32: compile_blocks, ×1.06 (1.05 to 1.07). The rest: at")
    assert (second.choice, second.other) == ("compile_blocks", "")


def test_steps_lead_from_the_default_to_the_choice() -> None:
    """Each step begins where the one before ended; the last spans all of them."""
    steps = default_answers()[0].steps
    assert [each.name for each in steps] == [
        *(
            "default",
            "precision: bf16",
            "attention: sdpa",
            "compile: compile_blocks",
            "patcher: conv",
        ),
        "all together",
    ]
    first, *parts, last = steps
    at = first.end
    for step in parts:
        assert step.start == pytest.approx(at, abs=0.02)
        at = step.end
    assert last.start == first.end
    assert last.end == pytest.approx(at, abs=1)
    assert [each.kind for each in steps] == ["total", "gain", "gain", "gain", "rest", "total"]


def test_steps_have_their_values_as_text() -> None:
    """A gain has its interval; a default has what another arm could gain, or does not matter."""
    texts = {each.name: each.text for each in default_answers()[0].steps}
    assert texts["default"] == "conv, mha, eager, fp32: 240 ms"
    assert texts["attention: sdpa"] == "+2.3 % (+1.9 to +2.6 %)"
    assert texts["compile: compile_blocks"] == "+8.7 % (+7.5 to +10.0 %)"
    assert texts["patcher: conv"] == "does not matter: at most 0.2 %"
    assert texts["all together"] == "×2.28 (2.25 to 2.31), 105 ms"
    wide = {each.name: each.text for each in default_answers(0.15)[0].steps}
    assert wide["attention: sdpa"].endswith("; open (mha, mha_weights): at most 2.3 %")
    assert wide["compile: compile_blocks"].endswith("; open (eager): at most 3.1 %")


@settings(deadline=None)
@given(half=st.floats(0.0005, 0.6))
def test_every_mark_is_on_the_axis(half: float) -> None:
    """However wide the intervals are, marks, bars and at least two ticks are on the axis."""
    for answer in default_answers(half):
        places = [p for s in answer.steps for p in (s.start, s.end, s.low, s.high) if p is not None]
        assert all(0 <= place <= 100 for place in places)
        assert len([place for place, _ in answer.ticks if 0 <= place <= 100]) >= 1
        assert all(s.width >= 0 and s.left + s.width <= 100.01 for s in answer.steps)


def test_a_loss_goes_to_the_left() -> None:
    """A combination that is slower than the default has a bar to the left, and is given up."""
    whole = arm(CHOICE, "linear+bf16", 0.9)
    steps = answer_of(*run(control(CHOICE), whole)).steps
    assert steps[-1].name == "given up"
    assert steps[-1].end < steps[-1].start
    assert steps[-1].left == steps[-1].end


def test_an_unmeasured_combination_is_expected() -> None:
    """Without a measurement as a whole the last step is what the parts make expected."""
    rows = [row for row in run(control("precision", component="model")) if row.component != "block"]
    steps = answer_of(*rows).steps
    assert (steps[-1].name, steps[-1].kind) == ("all together, expected", "expected")
    assert steps[-1].text.startswith("×1.04")


def test_the_default_has_no_last_step() -> None:
    """Where the default is the choice, there is nothing to put together."""
    answer = answer_of(control("attention"), arm("attention", "sdpa", 1.0), control(CHOICE))
    assert answer.choice == "default (conv, mha, eager, fp32)"
    assert [each.name for each in answer.steps] == ["default", "attention: mha"]


def test_unknown_bounds_are_said() -> None:
    """A part whose share of the model is unknown has no bound; one that failed no step."""
    answer = answer_of(control("patcher"), arm("patcher", "linear", 1.0))
    assert answer.steps[-1].text == "open (linear): unknown"
    assert answer.how_sure == "What another patcher could gain of the model is unknown."
    lost = answer_of(failed("patcher", "conv", "crashed"))
    assert (lost.choice, lost.worth, lost.how_sure) == ("unknown", "", "")


def test_other_objectives_show_effects_without_bounds() -> None:
    """By memory the steps are still effects on time, without what others could gain."""
    found: list[Decision] = decide(run(), Aim(objective="memory"), repeats)
    texts = [each.text for each in answers(found, SPENT_S)[0].steps]
    assert not any("at most" in text for text in texts)
    assert "+100 % (+96 to +104 %)" in texts


def test_many_situations_keep_their_order() -> None:
    """Situations are in the order of the decisions."""
    rows = [replace(row, variant=name) for name in ("H/14", "B/16") for row in run()]
    names = [each.name for each in answers(decide(rows, Aim(), repeats), SPENT_S)]
    assert [name.split()[0] for name in names] == ["H/14", "H/14", "B/16", "B/16"]
