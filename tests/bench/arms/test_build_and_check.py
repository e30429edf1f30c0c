"""bench.arms.build_and_check: two arms with equal weights and inputs, and their agreement."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bench.arms import building
from bench.arms.agreement import Agreement
from bench.arms.build_and_check import ArmError, build_arms, check, share_weights
from bench.records.comparison import OWN_FACTOR, Comparison
from bench.records.errors import InputError, Remedy
from bench.records.sample import Sample
from bench.suite.bench_patchers import GRID as PATCHERS
from bench.suite.grid import Selection, comparisons, expand
from bench.timing.clocks import WallClock
from bench.worker.session import measure
from helpers.jobs import make_job
from helpers.own_arms import compare, write

# A user's factories, in one file for all tests.
CODE = """
    import torch
    from torch import nn

    SHARED = nn.Linear(8, 8)

    class Other(nn.Module):
        def __init__(self, scale=1.0):
            super().__init__()
            torch.rand(5)  # Draws other first weights than nn.Linear alone.
            self.weight, self.bias = nn.Parameter(torch.rand(8, 8)), nn.Parameter(torch.rand(8))
            self.scale = scale
        def forward(self, x):
            return (x @ self.weight.T + self.bias) * self.scale

    def linear(): return nn.Linear(8, 8)
    def other(): return Other()
    def scaled(): return Other(scale=2.0)
    def wide(): return nn.Linear(8, 9)
    def compiled(): return torch.compile(nn.Linear(8, 8), backend="eager")
    def shared(): return SHARED
    def function(): return torch.tanh
    def pieces(): return lambda x: {"out": torch.tanh(x), "more": [x.sum(), None]}
    def nan(): return torch.log
    def in_place(): return lambda x: x.mul_(1.5)
    def whole(): return lambda x: x.argmax(-1)
    def shifted(): return lambda x: x.argmax(-1) + 1
    def nothing(): return lambda x: None
    def raises(): return lambda x: x.no_such_thing
    def leaves(): return lambda x: (_ for _ in ()).throw(SystemExit(3))
    def full(): return lambda x: (_ for _ in ()).throw(MemoryError("full"))
"""


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Callable[..., Comparison]:
    """A function that makes a comparison of two factories of the file."""
    path = write(tmp_path / "arms.py", CODE)

    def make(baseline: str, arm: str, **changes: Any) -> Comparison:
        return compare(f"{path}:{baseline}", f"{path}:{arm}", **changes)

    return make


def checked(comparison: Comparison) -> Agreement:
    """Build both arms and check them."""
    return check(comparison, *build_arms(comparison))


def sample_of(comparison: Comparison) -> Sample:
    """Measure a comparison for a twentieth of a second."""
    return measure(make_job(comparison, WallClock(), 0.05))


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize(
    ("baseline", "arm"),
    [("linear", "linear"), ("linear", "other"), ("linear", "compiled"), ("shared", "shared")],
)
def test_modules_of_equal_names_and_shapes_get_equal_weights(
    own: Callable[..., Comparison], baseline: str, arm: str, mode: str
) -> None:
    """Modules of equal parameter names and shapes compute and train alike."""
    comparison = own(baseline, arm, mode=mode)
    found = checked(comparison)
    assert found.error is None
    assert found.output_error is not None
    assert found.output_error < 1e-6
    assert (found.gradient_error is not None) is (mode == "train")
    assert sample_of(comparison).status == "ok"


def test_two_copies_never_share_their_weights(own: Callable[..., Comparison]) -> None:
    """Copies have separate weights, even if a factory returns the same module again."""
    baseline, arm = build_arms(own("shared", "shared", mode="train"))
    arm()
    pairs = zip(baseline.module.parameters(), arm.module.parameters(), strict=True)
    assert not any(torch.equal(first, second) for first, second in pairs)


def test_inputs_of_both_arms_are_equal(own: Callable[..., Comparison]) -> None:
    """Both arms get equal inputs in separate memory."""
    first, second = (each.inputs.args[0] for each in build_arms(own("linear", "other")))
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize(
    ("baseline", "arm", "said"),
    [
        ("linear", "scaled", "outputs differ by 1 (relative norm), fp32 allows 1e-04: give both"),
        ("linear", "wide", "outputs differ in shape: (2, 9) against (2, 8)"),
        ("function", "pieces", "outputs differ in structure: output['out'], output['more'][0]"),
        ("nan", "nan", "outputs hold NaN"),
        ("whole", "shifted", "outputs differ in 2 of 2 integers"),
        ("nothing", "nothing", "outputs hold no tensor to compare"),
    ],
)
def test_arms_that_differ_are_wrong_unless_accepted(
    own: Callable[..., Comparison], baseline: str, arm: str, said: str
) -> None:
    """One line has the difference; --allow-different measures the arms all the same."""
    wrong = sample_of(own(baseline, arm))
    assert wrong.status == "wrong"
    assert said in str(wrong.error)
    assert wrong.arm_s == ()
    accepted = sample_of(own(baseline, arm, allow_different=True))
    assert (accepted.status, accepted.error) == ("ok", None)
    assert accepted.arm_s
    assert accepted.output_error == wrong.output_error
    difference, _, advice = str(wrong.error).rpartition(": ")
    assert accepted.note == f"accepted: {difference}"
    assert advice.split()[0] in {"give", "return"}
    assert (wrong.remedy, accepted.remedy) == (Remedy.ALLOW_DIFFERENT, None)


@pytest.mark.parametrize(("baseline", "arm"), [("in_place", "function"), ("function", "in_place")])
def test_an_arm_that_changes_its_input_is_wrong(
    own: Callable[..., Comparison], baseline: str, arm: str
) -> None:
    """The row names the arm that writes into its input, since its values drift between calls."""
    who = "baseline" if baseline == "in_place" else "candidate"
    found = checked(own(baseline, arm, allow_different=True))
    assert found.error == f"the {who} changes its input: let it work on a copy"


def test_gradients_that_differ_are_wrong(tmp_path: Path) -> None:
    """In training arms of equal outputs but different gradients are wrong."""
    code = """
        import torch
        def right(): return torch.tanh
        def wrong(): return lambda x: torch.tanh(x).detach() + x - x.detach()
    """
    path = write(tmp_path / "arms.py", code)
    texts = f"{path}:right", f"{path}:wrong"
    assert checked(compare(*texts)).error is None
    found = checked(compare(*texts, mode="train"))
    assert found.output_error is not None
    assert found.output_error < 1e-6
    assert str(found.error).startswith("gradients differ by")


def test_outputs_of_any_structure_are_compared(own: Callable[..., Comparison]) -> None:
    """Tensors inside dicts and lists are compared, forward and in training."""
    for mode in ("forward", "train"):
        assert checked(own("pieces", "pieces", mode=mode)).error is None


def test_a_failing_call_names_its_arm(own: Callable[..., Comparison]) -> None:
    """The error names the arm that raised it."""
    with pytest.raises(ArmError, match="the candidate raised AttributeError: 'Tensor' object has"):
        checked(own("function", "raises"))
    for name, said in (("raises", "AttributeError"), ("leaves", "SystemExit: 3")):
        sample = sample_of(own(name, "function"))
        assert sample.status == "crashed"
        assert f"the baseline raised {said}" in str(sample.error)
        assert re.search(r" \(\w+\.py, line \d+\)$", str(sample.error))


def test_nothing_to_train_is_an_error(own: Callable[..., Comparison]) -> None:
    """For an arm without gradients the row names forward mode as the remedy."""
    sample = sample_of(own("whole", "whole", mode="train"))
    assert sample.status == "crashed"
    assert "measure --mode forward" in str(sample.error)


def test_out_of_memory_is_a_status(own: Callable[..., Comparison]) -> None:
    """A call out of memory has the status oom, not crashed."""
    assert sample_of(own("full", "function")).status == "oom"


def test_a_failing_factory_has_a_one_line_error(own: Callable[..., Comparison]) -> None:
    """A mistake in a file gives the same one-line error as on the command line."""
    with pytest.raises(InputError, match="did you mean 'linear'"):
        build_arms(own("linear", "lineal"))


def test_vitcores_arms_agree_with_each_other_and_with_torchs() -> None:
    """Patchers and attentions share one set of weights, also with nn.MultiheadAttention."""
    small = "variant=B/32,image_size=32"
    for one, other in (("attention=mha", "attention=manual"), ("patcher=conv", "patcher=unfold")):
        pair = f"vitcore:{one},{small}", f"vitcore:{other},{small}"
        for mode in ("forward", "train"):
            assert checked(compare(*pair, None, mode=mode)).error is None, one
    conv, linear = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last), nn.Linear(12, 4)
    share_weights(linear, conv)
    assert torch.equal(conv.weight.reshape(4, 12), linear.weight)


def test_a_users_attention_can_be_compared_with_vitcores(tmp_path: Path) -> None:
    """A user's module around nn.MultiheadAttention gets vitcore's weights."""
    code = """
        from torch import nn
        class Attention(nn.Module):
            def __init__(self):
                super().__init__()
                self.mha = nn.MultiheadAttention(768, 12, batch_first=True)
            def forward(self, x):
                return self.mha(x, x, x)
    """
    path = write(tmp_path / "arms.py", code)
    comparison = compare("vitcore:attention=sdpa", f"{path}:Attention", "1,5,768")
    outputs = build_arms(comparison)[1].outputs()
    assert list(outputs) == ["output[0]", "output[1]"]
    write(path, code.replace("(x, x, x)", "(x, x, x, need_weights=False)"))
    assert checked(comparison).error is None


def test_weights_that_do_not_fit_leave_the_target_alone() -> None:
    """Other shapes, names or numbers of parameters leave the target unchanged."""
    for source in (nn.Linear(2, 3), nn.Linear(3, 2, bias=False), nn.ReLU(), nn.LayerNorm(2)):
        target = nn.Linear(3, 2)
        before = target.weight.clone()
        share_weights(source, target)
        assert torch.equal(target.weight, before)


def test_vitcores_own_comparisons_are_still_judged_by_float64() -> None:
    """A comparison without a factory is checked against float64."""
    selection = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,))
    (_, comparison, _) = expand(PATCHERS, selection)
    pair = build_arms(comparison)
    assert check(comparison, *pair) == building.check(comparison, *pair)
    assert check(comparison, *pair).output_error


def test_no_run_measures_own_arms_by_itself() -> None:
    """No grid compares own arms, so a run without a plan of them has none."""
    assert OWN_FACTOR not in {each.factor for each in comparisons(Selection())}
