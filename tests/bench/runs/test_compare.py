"""bench.runs.compare: comparisons from named arms, and refusals."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.__main__ import cli
from bench.records.errors import InputError
from bench.runs.compare import CompareRequest
from bench.runs.settings import RunSettings
from bench.usercode.spec import inputs_for, precision_of, read_arm

SDPA, MANUAL = "vitcore:attention=sdpa", "vitcore:attention=manual"


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> str:
    """Return an arm in a user's file that is never executed here."""
    (tmp_path / "arms.py").write_text("def fast(): ...\n")
    return f"{tmp_path / 'arms.py'}:fast"


def request_of(
    *names: str, inputs: str | None = None, dtype: str = "float32", **changes: Any
) -> CompareRequest:
    """Build a request of two vitcore attentions on the CPU, parsed like a command line."""
    arms = tuple(map(read_arm, names or (SDPA, MANUAL)))
    asked: dict[str, Any] = {
        "arms": arms,
        "inputs": inputs_for(inputs, arms),
        "precision": precision_of(dtype),
        "device": "cpu",
        "mode": "forward",
        "cache": "warm",
        "settings": RunSettings(budget_s=20.0, passes=4, seed=0, command="vitbench compare"),
        "delta": 0.02,
        "allow_different": False,
        "weights": "auto",
    }
    return CompareRequest(**asked | changes)


def test_the_control_comes_first() -> None:
    """The baseline is compared with its copy, then with each candidate in order."""
    mha = "vitcore:attention=mha"
    found = request_of(SDPA, MANUAL, mha).comparisons
    assert [each.arm_name for each in found] == [SDPA, MANUAL, mha]
    assert [each.is_control for each in found] == [True, False, False]
    assert {each.baseline_name for each in found} == {SDPA}


def test_every_comparison_has_the_requests_settings() -> None:
    """Inputs, dtype, mode, cache, weights and allow_different come from the request."""
    asked = request_of(
        inputs=" 2,8 ",
        dtype="bfloat16",
        mode="train",
        cache="cold",
        allow_different=True,
        weights="own",
    )
    for each in asked.comparisons:
        assert (each.workload.inputs, each.workload.mode) == ("2,8", "train")
        assert (each.workload.device, each.workload.variant) == ("cpu", None)
        assert (each.baseline.precision, each.arm.precision) == ("bf16", "bf16")
        assert (each.factor, each.cache, each.allow_different) == ("factory", "cold", True)
        assert each.weights == "own"


def test_inputs_follow_from_a_vitcore_part(own: str) -> None:
    """Without given inputs every arm gets the shape that the vitcore part takes."""
    for baseline, candidate in ((SDPA, own), (own, SDPA)):
        (workload,) = {each.workload for each in request_of(baseline, candidate).comparisons}
        assert workload.inputs == "1,197,768"


def test_a_copy_of_the_baseline_is_a_candidate() -> None:
    """A repeated baseline is measured as a candidate beside the control."""
    found = request_of(SDPA, SDPA, MANUAL, MANUAL).comparisons
    assert [each.arm_name for each in found] == [SDPA, f"{SDPA}#2", MANUAL, f"{MANUAL}#2"]
    assert [each.is_control for each in found] == [True, False, False, False]


@pytest.mark.parametrize("given", list(product((SDPA, f"{SDPA}#2"), repeat=3)))
def test_keys_are_unique(given: tuple[str, str, str]) -> None:
    """Keys are distinct for any names of copies, and only the first is a control."""
    found = request_of(*given).comparisons
    assert len({each.key for each in found}) == 3
    assert [each.is_control for each in found] == [True, False, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("arms.py", SDPA), "arm 'arms.py' names no function after a colon; expected"),
        ((SDPA, "none.py:f"), "arm 'none.py:f': there is no file 'none.py'"),
        ((SDPA, MANUAL, "vitcore:attention=fast"), "unknown attention 'fast'"),
        ((SDPA, MANUAL, "--input", "1,x"), "input '1,x': '1,x' is not a shape; expected a shape"),
        ((SDPA, MANUAL, "--input", "0,8"), "input '0,8' has a size of 0"),
        ((SDPA, MANUAL, "--dtype", "float31"), "unknown dtype 'float31'; known: float32"),
        ((SDPA, "vitcore:patcher=conv"), "one arm takes 1,197,768 and another"),
        ((SDPA, MANUAL, "--input", "8", "--inputs", "a.py:f"), "are mutually exclusive"),
    ],
)
def test_invalid_comparisons_are_refused(words: tuple[str, ...], message: str) -> None:
    """The command refuses the arguments before any measurement, with the remedy."""
    done = CliRunner().invoke(cli, ["compare", *words])
    assert done.exit_code != 0
    assert done.stdout == ""
    assert message in f"{done.stderr}{done.exception}"


def test_own_arms_need_inputs(own: str) -> None:
    """Own arms without inputs are refused with both options that give them."""
    with pytest.raises(InputError, match=r"no inputs given.*--input with a shape.*--inputs with a"):
        request_of(own, own)
