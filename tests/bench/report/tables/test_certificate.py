"""bench.report.tables.certificate: what could still be gained, and what does not matter."""

from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.aim import Aim
from bench.analysis.decision import Decision, decide
from bench.records.comparison import CHOICE
from bench.records.errors import NO_TIME
from bench.report.tables.certificate import Cell, cells, certificate, has_bound, idle_lines
from helpers.decisions import arm, control, failed, only, repeats, run
from helpers.default_run import default_run

SPENT_S = 600.0
MEMORY = Aim(objective="memory")


def attention(gain: float, low: float, high: float, **changes: Any) -> list[Any]:
    """Build the rows of an attention: sdpa with this gain of the whole."""
    of_whole = {"of_whole": gain, "of_whole_low": low, "of_whole_high": high}
    return [control("attention"), arm("attention", "sdpa", 1.0 + gain, **of_whole, **changes)]


def cell(decision: Decision, factor: str) -> Cell:
    """Return the cell of one factor."""
    return next(each for each in cells([decision]) if each.part.factor == factor)


def test_the_certificate_is_a_sentence() -> None:
    """It has the largest gain left at 95 %, and the time that would halve it."""
    found = only(attention(0.0, -0.02, 0.02))
    assert certificate(found, SPENT_S) == (
        "What was not chosen could make the model at most 1.7 % faster (95 %); 29 min 40 s more "
        "would halve that."
    )
    assert certificate(found, SPENT_S, short=True) == (
        "The rest: at most 1.7 %; 29 min 40 s more would halve it."
    )


def test_no_time_is_named_where_time_does_not_help() -> None:
    """A bound that more time would not halve has no time beside it, nor has one of nothing."""
    likely = only(attention(0.019, 0.018, 0.0199))
    assert certificate(likely, SPENT_S).endswith("at most 2.0 % faster (95 %).")
    slower = only(attention(-0.2, -0.22, -0.18))
    assert certificate(slower, SPENT_S).endswith("at most 0 % faster (95 %).")
    assert certificate(slower, SPENT_S, short=True) == "The rest: at most 0 %."


def test_an_unknown_bound_names_its_factors() -> None:
    """Where an arm lacked time its factor is named, since it may gain anything."""
    lost = replace(failed("attention", "sdpa", "skipped"), error=NO_TIME)
    found = only([control("attention"), lost, *run()[-2:], failed("precision", "amp_bf16", "oom")])
    assert certificate(found, SPENT_S) == (
        "What another attention could gain of the model is unknown."
    )


@pytest.mark.parametrize("aim", [MEMORY, Aim(objective="energy")])
def test_only_choices_by_latency_are_bounded(aim: Aim) -> None:
    """By another objective, and of a choice that was given up, nothing is said."""
    found = only(run(), aim)
    assert (has_bound(found), certificate(found, SPENT_S)) == (False, "")
    whole = replace(failed(CHOICE, "linear+bf16", "oom"), error="no room")
    assert certificate(only(run(control(CHOICE), whole)), SPENT_S) == ""


def test_what_does_not_matter_is_one_sentence() -> None:
    """A factor that never matters has one sentence without situations, with the largest bound."""
    assert idle_lines([only(attention(0.001, -0.002, 0.004))]) == [
        "attention does not matter: at most 0.4 % of the model."
    ]
    rows = attention(0.001, -0.002, 0.004)
    larger = [replace(row, variant="L/16") for row in attention(0.05, 0.04, 0.06)]
    assert idle_lines(decide([*rows, *larger], Aim(), repeats)) == [
        "attention does not matter: at most 0.4 % of the model (B/16 b1 forward)."
    ]
    assert idle_lines([only(attention(0.001, -0.002, 0.004), MEMORY)]) == []


def test_the_effect_is_over_the_default() -> None:
    """A cell's effect is the chosen level's gain of the whole; the default has none."""
    best = only(run())
    found = cell(best, "patcher").effect
    assert found is not None
    assert [round(each or 0.0, 4) for each in (found.value, found.low, found.high)] == [
        *(1.04, 1.03, 1.05)
    ]
    assert cell(best, "attention").effect is None
    assert cell(best, "attention").is_default


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        (attention(0.001, -0.002, 0.004), "does not matter"),
        (attention(0.05, 0.04, 0.06), "chosen"),
        (attention(0.01, -0.03, 0.05, verdict="undecided"), "open (sdpa)"),
    ],
)
def test_outcomes(rows: list[Any], outcome: str) -> None:
    """A cell says whether it is chosen, does not matter, or is open and because of whom."""
    found = cell(only(rows), "attention")
    assert found.outcome == outcome
    assert found.is_open is outcome.startswith("open")


def test_a_part_at_another_precision_is_open() -> None:
    """A part that was only measured at full precision is open where another one is chosen."""
    found = cell(only([*attention(0.05, 0.04, 0.06), *run()[-2:]]), "attention")
    assert found.outcome == "open (only measured at fp32)"


def test_by_memory_contenders_are_open() -> None:
    """By memory a cell is open as long as another arm may be better."""
    found = {each.part.factor: each.outcome for each in cells([only(run(), MEMORY)])}
    assert found["precision"] == "chosen"


def test_open_cells_come_last() -> None:
    """Cells are in the order of the decisions, those that are open last."""
    rows = default_run(half=0.15)
    found = cells(decide(rows, Aim(), repeats))
    is_open = [each.is_open for each in found]
    assert is_open == sorted(is_open)
    assert 0 < sum(is_open) < len(found)
