"""bench.suite.availability: which devices, precisions and levels are refused, and the errors."""

import pytest
import torch

from bench.records.comparison import FACTORS, Arm
from bench.records.errors import InputError
from bench.suite.availability import check_arm, check_devices, precision_problem
from bench.suite.grid import LEVELS
from bench.timing.device import found_devices
from helpers.records import make_environment


@pytest.mark.parametrize("gpus", [(), ("H200",)])
def test_available_devices(gpus: tuple[str, ...]) -> None:
    """The devices of a machine pass the check."""
    devices = make_environment(gpus=gpus).devices
    check_devices(devices, devices)


def test_unavailable_device() -> None:
    """CUDA without a GPU is refused with the requested and the available devices."""
    with pytest.raises(InputError, match=r"'cuda' is not available here; choose from: cpu$"):
        check_devices(("cpu", "cuda"), make_environment().devices)


def test_torch_finds_the_devices_of_this_machine() -> None:
    """The CPU is always found, a GPU if there is one."""
    assert found_devices()[0] == "cpu"
    assert ("cuda" in found_devices()) is torch.cuda.is_available()


@pytest.mark.parametrize("precision", LEVELS["precision"])
def test_only_tf32_needs_cuda(precision: str) -> None:
    """CUDA has every precision, a CPU all but TF32; the problem names the remedy."""
    assert precision_problem(precision, "cuda") is None
    problem = precision_problem(precision, "cpu")
    assert (problem is None) is (precision != "tf32")
    if problem:
        assert problem.startswith("precision 'tf32' is only available on CUDA; give --device cuda")
        with pytest.raises(InputError, match="only available on CUDA"):
            check_arm(Arm(precision=precision), "cpu")
    check_arm(Arm(precision=precision), "cuda")


@pytest.mark.parametrize("factor", FACTORS)
def test_an_unknown_level_is_refused(factor: str) -> None:
    """The error has the factor and its levels; every known level passes."""
    for level in LEVELS[factor]:
        check_arm(Arm(**{factor: level}), "cuda")
    with pytest.raises(InputError, match=f"unknown {factor} 'fastest'; known: {LEVELS[factor][0]}"):
        check_arm(Arm(**{factor: "fastest"}), "cuda")
