"""``bench.compare``: two callables in this process, and the resulting record."""

import tempfile
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import bench
from bench.files.lock import device_locks
from bench.records.errors import InputError
from bench.records.row import COLUMNS

X_BND = torch.randn(1, 16, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Measure with one thread, which waits for no other: beside other load it still has bounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def linear(*, seed: int = 0) -> nn.Linear:
    """Build a small layer with seeded weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Linear(32, 32)


def compare(baseline: Any, candidate: Any, **given: Any) -> Any:
    """Compare for a tenth of a second, without a progress bar or a machine lock."""
    options: dict[str, Any] = {"inputs": (X_BND,), "budget_s": 0.1, "lock": False}
    return bench.compare(baseline, candidate, show_progress=False, **(options | given))


def test_a_comparison_is_a_frozen_row_of_results() -> None:
    """The record has every column, an interval around the speed-up, and cannot be changed."""
    found = compare(linear(), linear())
    assert found.status == "ok"
    assert found.speedup_low < found.speedup < found.speedup_high
    assert found.rounds >= 6
    assert list(found.to_frame().columns) == list(COLUMNS)
    with pytest.raises(FrozenInstanceError):
        found.speedup = 2.0


def test_text_and_html_mention_other_processes() -> None:
    """Text and HTML both note that other processes were not measured."""
    found = compare(linear(), linear())
    assert "one process" in repr(found)
    assert "one process" in found._repr_html_()
    assert f"×{found.speedup:.2f}" in repr(found)


def test_html_shows_hostile_names_as_text() -> None:
    """HTML escapes names from outside."""

    def work(x_BND: Tensor) -> Tensor:
        return x_BND * 2

    work.__qualname__ = "<script>alert(1)</script>"
    page = compare(work, work)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_users_modules_stay_as_they_are() -> None:
    """Measuring and training leave the caller's weights, mode and gradients unchanged."""
    baseline, candidate = linear(seed=1), linear(seed=2)
    before = [candidate.weight.clone(), baseline.weight.clone()]
    found = compare(baseline, candidate, mode="train")
    assert found.status == "ok"
    assert torch.equal(candidate.weight, before[0])
    assert torch.equal(baseline.weight, before[1])
    assert candidate.training
    assert candidate.weight.grad is None


def test_different_outputs_are_wrong_unless_accepted() -> None:
    """A candidate of other outputs has no verdict, and the error names the option."""
    found = compare(linear(), nn.Sequential(linear(), nn.GELU()))
    assert found.status == "wrong"
    assert found.verdict is None
    assert "allow_different=True" in found.error
    accepted = compare(linear(), nn.Sequential(linear(), nn.GELU()), allow_different=True)
    assert accepted.status == "ok"
    assert accepted.output_error > 0.01


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_modules_with_computed_weights_are_copied() -> None:
    """A module with weight_norm of either style, called before, is measured and stays its own."""
    old = nn.utils.weight_norm(linear())
    new = nn.utils.parametrizations.weight_norm(linear())
    old(X_BND), new(X_BND)
    assert compare(old, new).status == "ok"
    assert old(X_BND).equal(new(X_BND))


def test_a_function_trains_what_it_holds_and_gives_it_back() -> None:
    """A hidden module is stepped as the module is; the caller's weights and mode stay."""
    hidden = linear()
    before = hidden.weight.clone()
    found = compare(linear(), lambda x: hidden(x), mode="train", allow_different=True)  # noqa: PLW0108
    assert found.status == "ok"
    assert any("steps 1,056 parameters, as the baseline does" in each for each in found.limits)
    assert torch.equal(hidden.weight, before)
    assert hidden.training
    assert hidden.weight.grad is None


def test_weights_as_chosen() -> None:
    """Weights are moved where the outputs agree then, unless the argument keeps them."""
    arms = linear(seed=1), linear(seed=2)
    assert "weights moved" in compare(*arms).limits
    assert compare(*arms, weights="own").status == "wrong"
    assert compare(*arms, weights="shared").status == "ok"
    assert "own weights agree" in compare(linear(), linear()).limits


@pytest.mark.parametrize("inputs", [X_BND, (X_BND,), [X_BND], {"input": X_BND}])
def test_inputs_by_position_and_by_name(inputs: object) -> None:
    """A tensor, a tuple, a list or a mapping of names gives the arguments."""
    assert compare(linear(), linear(), inputs=inputs).inputs == "1,16,32"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"inputs": 3}, "inputs are a int"),
        ({"weights": "mine"}, "unknown weights .mine.; known: auto, own, shared"),
        ({"budget_s": 0.0}, "budget_s is 0.0; expected seconds, above 0"),
        ({"budget_s": float("nan")}, "budget_s is nan; expected seconds"),
        ({"budget_s": float("inf")}, "budget_s is inf; expected seconds"),
        ({"budget_s": "10s"}, "budget_s is '10s'; expected seconds"),
        ({"budget_s": True}, "budget_s is True; expected seconds"),
        ({"delta": 2}, "delta is 2; expected a share above 0 and below 1"),
        ({"delta": "2%"}, "delta is '2%'; expected a share"),
        ({"mode": "backward"}, "unknown mode 'backward'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": torch.device("meta")}, "unknown device 'meta'"),
        ({"cache": "hot"}, "unknown cache state 'hot'; known: cold, warm"),
        ({"cache": "model"}, "unknown cache state 'model'; known: cold, warm"),
    ],
)
def test_invalid_arguments_are_refused(given: dict[str, Any], says: str) -> None:
    """The error has the value and the expected ones, before anything is measured."""
    with pytest.raises(InputError, match=says):
        compare(linear(), linear(), **given)


def test_torchs_own_device_is_a_device() -> None:
    """A torch.device is accepted like its name."""
    assert compare(linear(), linear(), device=torch.device("cpu")).device == "cpu"


def test_names_are_those_that_a_user_gave() -> None:
    """A function's name is used, also for a nested or partial one."""

    def scaled(x_BND: Tensor, by: float) -> Tensor:
        return x_BND * by

    found = compare(partial(scaled, by=2.0), linear(), allow_different=True)
    assert (found.baseline, found.arm) == ("scaled", "Linear")


def test_the_error_of_a_held_lock_names_the_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the argument of compare, not the command-line option."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with device_locks(["cpu"], "other"), pytest.raises(InputError, match="or pass lock=False"):
        compare(linear(), linear(), lock=True)


def test_a_failed_comparison_has_no_note_on_processes() -> None:
    """A failed candidate has no note on other processes."""
    found = compare(linear(), lambda x_BND: x_BND.no_such_thing)
    assert found.status == "crashed"
    assert found.rounds == 0
    assert not any("process" in text for text in found.limits)


def test_a_candidate_must_be_callable() -> None:
    """The error names the candidate that is not callable."""
    with pytest.raises(InputError, match="'a name' cannot be called"):
        compare(linear(), "a name")


def test_the_public_names() -> None:
    """The public surface is frozen; anything else is an AttributeError."""
    assert bench.__all__ == ["compare", "read_history", "read_run"]
    assert all(callable(getattr(bench, name)) for name in bench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'contrast'"):
        _ = bench.contrast
