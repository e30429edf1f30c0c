"""bench.report.run_agreement_json: the agreement of runs for programs."""

import json
import math
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.run_agreement import OUTCOMES
from bench.report.report_data import AgreementData
from bench.report.run_agreement_json import agreement_as_json
from helpers.agreements import BF16, BOTH, choice, three_runs, two_runs

NORMAL = NormalDist()
CHOICE_KEYS = [
    "situation",
    "level",
    "choices",
    "outcome",
    "difference",
    "at_most",
    "gain",
    "by_run",
]


def parsed(data: AgreementData) -> dict[str, Any]:
    """Return the printed object."""
    found: dict[str, Any] = json.loads(agreement_as_json(data))
    return found


def test_names_are_frozen() -> None:
    """Scripts depend on the names."""
    found = parsed(two_runs())
    assert list(found) == ["runs", "warnings", "delta", "pairs"]
    assert list(found["runs"][0]) == ["folder", "commit", "has_changes", "started"]
    (pair,) = found["pairs"]
    assert list(pair) == [
        *("runs", "agreed", "situations_in_one_run", "choices", "intervals", "contradicting"),
    ]
    assert [list(each) for each in pair["choices"]] == [CHOICE_KEYS] * 6
    assert pair["intervals"][0] == {
        "rows": 40,
        "held": 33,
        "expected": 33.4,
        "of_expected": 33 / 33.4,
    }
    assert set(pair["choices"][1]["gain"]) == {"gain_of_whole", "gain_low", "gain_high"}


def test_choices_have_their_outcomes() -> None:
    """Each outcome occurs; what no run measured is null."""
    (pair,) = parsed(two_runs())["pairs"]
    found = pair["choices"]
    assert [each["outcome"] for each in found] == [*(OUTCOMES[:4]), "unknown", "unknown"]
    assert pair["agreed"] == 2
    assert found[0]["choices"] == ["bf16", "bf16"]
    assert (found[0]["difference"], found[0]["at_most"], found[0]["gain"]) == (0.0, 0.0, None)
    assert found[2]["by_run"][1] is None
    assert (found[4]["choices"], found[4]["at_most"]) == (["sdpa", "plain"], None)
    assert found[5]["choices"] == [None, "bf16"]
    assert pair["contradicting"] == ["attention-B/16-attention-b1-forward-cpu-manual"]


@given(gain=st.floats(-0.5, 0.5), error=st.floats(1e-4, 0.3))
def test_a_gain_has_the_interval_of_its_error(gain: float, error: float) -> None:
    """The interval is 1.96 standard errors to each side; at most is one-sided."""
    data = two_runs(choice(1, BF16, BOTH, (gain, error), None))
    (found,) = parsed(data)["pairs"][0]["choices"]
    ends = [math.expm1(gain + side * NORMAL.inv_cdf(0.975) * error) for side in (0, -1, 1)]
    assert list(found["gain"].values()) == pytest.approx(ends, rel=1e-6, abs=1e-9)
    assert found["by_run"] == [found["gain"], None]
    most = math.expm1(abs(gain) + NORMAL.inv_cdf(0.95) * error)
    assert found["at_most"] == pytest.approx(most, rel=1e-6)


def test_every_pair_is_named_by_its_runs() -> None:
    """Three runs make three pairs."""
    found = parsed(three_runs())
    assert [each["runs"] for each in found["pairs"]] == [[1, 2], [1, 3], [2, 3]]
    assert len(found["warnings"]) == 1
