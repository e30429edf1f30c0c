"""bench.report.decision_json: the decisions for programs."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.analysis.aim import Aim
from bench.analysis.decision import decide
from bench.analysis.gains import CELL_STATUSES
from bench.records.comparison import CHOICE
from bench.records.row import Record
from bench.report.decision_json import decisions_as_json
from helpers.decisions import arm, control, failed, repeats, run

KEYS = [
    *("situation", "level", "objective", "choice", "given_up", "speedup", "speedup_low"),
    *("speedup_high", "regret_bound", "cells"),
]


def objects(records: list[Record]) -> list[dict[str, Any]]:
    """The parsed objects of some rows' decisions."""
    found: list[dict[str, Any]] = json.loads(decisions_as_json(decide(records, Aim(), repeats)))
    return found


def of_whole(value: float, half: float = 0.005) -> dict[str, float]:
    """Columns of an arm's effect on the whole."""
    return {
        "of_whole": value,
        "of_whole_low": value - half,
        "of_whole_high": value + half,
    }


def test_each_situation_has_both_levels() -> None:
    """The best at full precision comes before the best of all; names are frozen."""
    full, best = objects(run())
    assert [list(each) for each in (full, best)] == [KEYS, KEYS]
    assert (full["level"], full["choice"]) == ("best_full_precision", "linear")
    assert (best["level"], best["choice"]) == ("best", "linear+bf16")
    assert full["situation"]["variant"] == "B/16"
    assert "precision" not in full["cells"]
    assert best["cells"]["precision"]["choice"] == "bf16"


def test_a_best_of_full_precision_is_both() -> None:
    """Where no other precision is better, both levels have one choice."""
    full, best = objects([control("attention"), arm("attention", "sdpa", **of_whole(0.01))])
    assert full | {"level": "best"} == best
    assert best["choice"] == "plain"


def test_a_cell_names_its_rivals_and_their_bounds() -> None:
    """The bound of a cell is the largest of its rivals' gains."""
    rows = [
        control("attention"),
        arm("attention", "sdpa", 1.1, **of_whole(0.04)),
        arm("attention", "manual", 1.05, **of_whole(0.03)),
    ]
    cell = objects(rows)[-1]["cells"]["attention"]
    assert (cell["choice"], cell["status"]) == ("sdpa", "chosen")
    gains = {each["arm"]: each["gain_of_whole"] for each in cell["contenders"]}
    assert gains["manual"] == pytest.approx(1.03 / 1.04 - 1)
    assert gains["mha"] == pytest.approx(1 / 1.04 - 1)
    assert cell["bound_of_whole"] == max(0.0, *(each["at_most"] for each in cell["contenders"]))


def test_a_small_part_does_not_matter() -> None:
    """A patcher ten percent faster changes a model by less than delta: the default stays."""
    rows = [control("patcher"), arm("patcher", "linear", 1.1, **of_whole(0.0005, 0.0001))]
    found = objects(rows)[-1]
    cell = found["cells"]["patcher"]
    assert (cell["choice"], cell["status"]) == ("conv", "does_not_matter")
    assert 0.0005 < cell["bound_of_whole"] < 0.0007
    assert found["regret_bound"] == pytest.approx(cell["bound_of_whole"])


def test_what_lacked_time_leaves_the_cell_open() -> None:
    """An arm without a measurement may gain anything: no bound, and no number in its place."""
    late = failed("attention", "sdpa", "skipped")
    late = late.__class__(
        **late.__dict__ | {"error": "no time left in the budget; give a larger --budget"}
    )
    found = objects([control("attention"), late])[-1]
    assert found["cells"]["attention"]["status"] == "open"
    assert found["cells"]["attention"]["bound_of_whole"] is None
    assert found["regret_bound"] is None


def test_a_choice_that_is_given_up_is_named() -> None:
    """A combination that is slower as a whole is given up for the default."""
    whole = arm(CHOICE, "linear+bf16", 0.5)
    on_model = [row.__class__(**row.__dict__ | {"component": "model"}) for row in run()]
    found = objects([*on_model, control(CHOICE), whole])[-1]
    assert (found["choice"], found["given_up"], found["speedup"]) == ("plain", "linear+bf16", None)


@given(
    gain=st.floats(-0.2, 0.2),
    half=st.floats(0.001, 0.2),
    delta=st.sampled_from([0.01, 0.02, 0.05]),
)
@example(gain=0.0234375, half=0.02734375, delta=0.05)
def test_statuses_follow_the_bounds(gain: float, half: float, delta: float) -> None:
    """A cell is open exactly where its bound exceeds delta."""
    verdict = "faster" if gain - half > 0 else "undecided"
    rows = [control("attention"), arm("attention", "sdpa", verdict=verdict, **of_whole(gain, half))]
    *_, best = json.loads(decisions_as_json(decide(rows, Aim(), repeats, delta)))
    cell = best["cells"]["attention"]
    assert cell["status"] in CELL_STATUSES
    assert (cell["status"] == "open") is (cell["bound_of_whole"] > delta)
    if cell["status"] == "does_not_matter":
        assert cell["choice"] == "mha"
        assert abs(gain) <= delta * 1.001
