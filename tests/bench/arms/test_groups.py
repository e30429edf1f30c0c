"""bench.arms.groups: equal weights and inputs for all arms of a workload, and one reference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.arms import building
from bench.arms.build_and_check import make_arm
from bench.arms.candidate import Candidate
from bench.arms.groups import arm_group
from bench.arms.tensors import named
from bench.records.comparison import Arm, Comparison
from bench.records.errors import InputError, UnavailableError
from bench.suite.bench_attention import GRID as ATTENTION
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.grid import Selection, expand
from helpers.own_arms import compare, write

SMALL = Selection(
    variants=("B/32",), image_size=32, batch_sizes=(2,), modes=("forward", "train"), cache="warm"
)
PARTS = {
    f"{name} {mode}": [each for each in expand(grid, SMALL) if each.workload.mode == mode]
    for name, grid in (("patcher", PATCHERS), ("attention", ATTENTION))
    for mode in ("forward", "train")
}
CODE = """
    import torch
    from torch import nn

    SHARED = nn.Linear(8, 8)
    BUILT = []

    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            torch.rand(5)  # Draws other first weights than nn.Linear alone.
            self.weight, self.bias = nn.Parameter(torch.rand(8, 8)), nn.Parameter(torch.rand(8))
        def forward(self, x):
            return x @ self.weight.T + self.bias

    def linear(): return nn.Linear(8, 8)
    def other(): return Other()
    def shared(): return SHARED
    def counted(): BUILT.append(1); return nn.Linear(8, 8)
    def without_bias(): return nn.Linear(8, 8, bias=False)
    def function(): return torch.tanh
    def pieces(): return lambda x: {"out": torch.tanh(x)}
    def in_place(): return lambda x: x.mul_(1.5)
    def number(): return 3
    def breaks(): raise ValueError("no such head")
"""
Own = Callable[..., Comparison]


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Own:
    """Return a function that makes a comparison of two factories of the file."""
    path = write(tmp_path / "arms.py", CODE)

    def make(baseline: str, arm: str, **changes: Any) -> Comparison:
        return compare(f"{path}:{baseline}", f"{path}:{arm}", **changes)

    return make


def weights(arm: Candidate) -> dict[str, Tensor]:
    """Return the weights of an arm under names that all arms share."""
    return named(arm.module.state_dict())


def addresses(arm: Candidate) -> set[int]:
    """Return the addresses of an arm's weights and inputs."""
    tensors = [*arm.module.state_dict().values(), *arm.inputs.tensors().values()]
    return {each.data_ptr() for each in tensors}


PARTS_OF = pytest.mark.parametrize("comparisons", PARTS.values(), ids=PARTS.keys())


@PARTS_OF
def test_arms_have_equal_weights_and_inputs_in_memory_of_their_own(
    comparisons: list[Comparison],
) -> None:
    """No arm finds another's weights or inputs in the cache."""
    group = arm_group(comparisons[0])
    baseline, *others = built = [group.build(each.arm) for each in comparisons]
    for arm in others:
        torch.testing.assert_close(weights(arm), weights(baseline), rtol=0, atol=0)
        assert torch.equal(arm.inputs.args[0], baseline.inputs.args[0])
    assert len(set.union(*map(addresses, built))) == sum(len(addresses(each)) for each in built)
    assert all(arm.arm == each.arm for arm, each in zip(built, comparisons, strict=True))


@PARTS_OF
def test_arms_are_checked_as_in_pairs(comparisons: list[Comparison]) -> None:
    """The distances are those of a check of the two arms by themselves."""
    group = arm_group(comparisons[0])
    baseline = group.build(comparisons[0].baseline)
    for each in comparisons:
        arm = group.build(each.arm)
        found = group.check(each, baseline, arm)
        assert found == building.check(each, baseline, arm)
        assert found.error is None
        assert (found.gradient_error is not None) is (each.workload.mode == "train")


def test_the_reference_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many arms are checked, the baseline is computed in float64 once."""
    comparisons = PARTS["attention train"]
    references: list[Candidate] = []

    def counted(comparison: Comparison, baseline: Candidate) -> building.Expected:
        references.append(baseline)
        return expected_of(comparison, baseline)

    expected_of = building.expected_of
    monkeypatch.setattr(building, "expected_of", counted)
    group = arm_group(comparisons[0])
    baseline = group.build(comparisons[0].baseline)
    for each in comparisons:
        group.check(each, baseline, group.build(each.arm))
    assert references == [baseline]


def test_an_arm_with_other_weights_is_wrong() -> None:
    """The check is of the weights that an arm has, not of those that it should have."""
    control, *_ = PARTS["patcher forward"]
    group = arm_group(control)
    baseline, arm = group.build(control.baseline), group.build(control.arm)
    with torch.no_grad():
        arm.module.get_parameter("projection.weight").mul_(1.01)
    assert "fp32 allows" in str(group.check(control, baseline, arm).error)


def test_arms_at_other_precisions_are_judged_by_their_own_tolerance() -> None:
    """The reference has the baseline's weights before they are rounded to the arm's type."""
    control, *_ = PARTS["attention forward"]
    low = replace(control, factor="precision", arm=replace(control.arm, precision="bf16"))
    group = arm_group(control)
    baseline, arm = group.build(control.baseline), group.build(low.arm)
    assert {each.dtype for each in arm.module.parameters()} == {torch.bfloat16}
    found = group.check(low, baseline, arm)
    assert found.error is None
    assert 1e-4 < (found.output_error or 0.0) < 0.1


def test_the_bytes_of_the_weights() -> None:
    """They are those of the baseline's parameters."""
    control, *_ = PARTS["patcher forward"]
    assert arm_group(control).weight_bytes == 4 * (32 * 32 * 3 * 768 + 768)


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that cannot run here is unavailable; the group is not."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    control, *_ = PARTS["patcher forward"]
    group = arm_group(control)
    with pytest.raises(UnavailableError, match="no-such-compiler"):
        group.build(Arm(compile="compile_blocks"))
    assert group.build(control.arm).arm == control.arm


def test_own_modules_get_the_weights_of_the_baseline(own: Own) -> None:
    """Modules that agree with equal weights have them, each in memory of its own."""
    comparison = own("linear", "other")
    group = arm_group(comparison)
    built = [group.build(arm) for arm in (comparison.baseline, comparison.arm, comparison.arm)]
    assert group.check(comparison, built[0], built[1]).error is None
    for arm in built[1:]:
        torch.testing.assert_close(weights(arm), weights(built[0]), rtol=0, atol=0)
    assert len(set.union(*map(addresses, built))) == 9
    assert group.weight_bytes == 4 * (64 + 8)


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_module_that_is_returned_again_is_copied(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factory may return one module always: its arms neither share weights nor train together."""
    # Unlike a file, a module is imported once.
    write(tmp_path / f"shared_{mode}.py", CODE)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"shared_{mode}:shared"
    comparison = compare(name, name, mode=mode)
    group = arm_group(comparison)
    assert make_arm(comparison.arm, "cpu").work is make_arm(comparison.arm, "cpu").work
    built = [group.build(comparison.arm) for _ in range(3)]
    assert len({id(arm.module) for arm in built}) == 3
    before = weights(built[2])["weight"].clone()
    built[0]()
    assert torch.equal(weights(built[2])["weight"], before)
    assert torch.equal(weights(built[0])["weight"], before) is (mode == "forward")


def test_weights_that_do_not_fit_stay_as_they_were_made(own: Own) -> None:
    """A module with other parameters keeps its own, and the check says how far it is off."""
    comparison = own("linear", "without_bias")
    group = arm_group(comparison)
    baseline, arm = group.build(comparison.baseline), group.build(comparison.arm)
    assert isinstance(arm.module, nn.Linear)
    assert "outputs differ by" in str(group.check(comparison, baseline, arm).error)
    accepted = replace(comparison, allow_different=True)
    found = group.check(accepted, baseline, arm)
    assert found.error is None
    assert str(found.note).startswith("accepted: outputs differ by")


def test_functions_have_no_weights(own: Own) -> None:
    """Functions and modules can be compared; a function as baseline has no bytes of weights."""
    comparison = own("function", "pieces")
    group = arm_group(comparison)
    assert group.weight_bytes == 0
    baseline, arm = group.build(comparison.baseline), group.build(comparison.arm)
    assert group.check(comparison, baseline, arm).error is None
    assert baseline.inputs.args[0].data_ptr() != arm.inputs.args[0].data_ptr()


def test_a_baseline_that_changes_its_input_is_said_of_every_arm(own: Own) -> None:
    """Its answer is no reference, whatever an arm returns."""
    comparison = own("in_place", "function", allow_different=True)
    group = arm_group(comparison)
    baseline, arm = group.build(comparison.baseline), group.build(comparison.arm)
    for _ in range(2):
        found = group.check(comparison, baseline, arm)
        assert found.error == "the baseline changes its input: let it work on a copy"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("number", "returned an object of type int; expected a module or a function"),
        ("breaks", "no such head"),
        ("lineal", "did you mean 'linear'"),
    ],
)
def test_an_own_arm_that_cannot_be_built(own: Own, name: str, says: str) -> None:
    """The error is one line for the user; a baseline that cannot be built ends the whole group."""
    group = arm_group(own("linear", name))
    with pytest.raises(InputError, match=says):
        group.build(own("linear", name).arm)
    with pytest.raises(InputError, match=says):
        arm_group(own(name, "linear"))


def test_unusable_inputs_end_the_group(own: Own, tmp_path: Path) -> None:
    """No arm is built where the inputs cannot be made."""
    file = write(tmp_path / "inputs.py", "def make(): return 3\n")
    with pytest.raises(InputError, match="expected a tensor"):
        arm_group(own("linear", "other", inputs=f"{file}:make"))
