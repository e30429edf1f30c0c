"""bench.arms.own_check: whose weights a user's arm gets, and what is said of one that differs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.arms.agreement import Agreement
from bench.arms.build_and_check import build_arms, check
from bench.arms.candidate import Candidate
from bench.arms.groups import arm_group
from bench.arms.own_check import ArmError
from bench.records.comparison import Comparison
from bench.records.errors import InputError
from bench.records.notes import MOVED_WEIGHTS, OWN_WEIGHTS
from helpers.own_arms import compare, write

CODE = """
    import torch
    import torch.nn.functional as F
    from dataclasses import dataclass
    from torch import nn

    class Attn(nn.Module):
        # Rows of qkv are ordered (3, heads) or (heads, 3).
        def __init__(self, per_head=False, scale=1.0):
            super().__init__()
            self.per_head, self.scale = per_head, scale
            self.qkv = nn.Linear(16, 48)
        def forward(self, x):
            b, n, _ = x.shape
            shape, order = ((2, 3), (3, 0, 2, 1, 4)) if self.per_head else ((3, 2), (2, 0, 3, 1, 4))
            q, k, v = self.qkv(x).view(b, n, *shape, 8).permute(*order)
            return self.scale * F.scaled_dot_product_attention(q, k, v)

    def old(): return Attn()
    def converted():
        source, made = Attn(), Attn(per_head=True)
        with torch.no_grad():
            for name in ("weight", "bias"):
                rows = getattr(source.qkv, name).view(3, 2, 8, -1).transpose(0, 1)
                value = getattr(made.qkv, name)
                value.copy_(rows.reshape(value.shape))
        return made
    def unconverted(): return Attn(per_head=True)
    def redrawn():
        torch.rand(7)
        return Attn()
    def scaled(): return Attn(scale=1.01)
    def redrawn_scaled():
        torch.rand(7)
        return Attn(scale=1.01)
    def bigger(): return nn.Sequential(Attn(scale=2.0), nn.Flatten(1, 1))
    def padded():
        inner = Attn()
        def work(x):
            y = inner(x).clone()
            y[:, :, 3:] = 0
            return y
        return work
    def nan():
        inner = Attn()
        return lambda x: inner(x).masked_fill(torch.eye(5, 8).bool(), float("nan"))
    @dataclass
    class Features:
        x: torch.Tensor
        more: object = None
    class Hidden:
        def __init__(self, x): self.x = x
    def in_dict():
        inner = Attn()
        return lambda x: {"x": inner(x), "more": [x]}
    def in_class():
        inner = Attn()
        return lambda x: Features(inner(x), [x])
    def hidden():
        inner = Attn()
        return lambda x: Hidden(inner(x))
    def frozen():
        made = Attn()
        made.qkv.bias.requires_grad_(False)
        return made
    def hidden_module():
        inner = Attn()
        return lambda x: inner(x)
    def detached():
        weight = Attn().requires_grad_(False)
        return lambda x: weight(x)
    def stepping():
        inner = Attn()
        optimizer = torch.optim.SGD(inner.parameters())
        def step(x):
            y = inner(x)
            (y ** 2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            return y.detach()
        return step
    def random(): return lambda x: Attn()(x) + torch.rand(1)
    class Grows(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn, self.calls = Attn(), 0
        def forward(self, x):
            self.calls += 1
            return self.attn(x) * (1 + self.calls)
"""
Own = Callable[..., Comparison]


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Own:
    """Return a function that makes a comparison of two factories of the file."""
    path = write(tmp_path / "arms.py", CODE)

    def make(baseline: str, arm: str, **changes: Any) -> Comparison:
        return compare(f"{path}:{baseline}", f"{path}:{arm}", "2,5,16", **changes)

    return make


def grouped(comparison: Comparison, copies: int = 1) -> tuple[Agreement, list[Candidate]]:
    """Check an arm as a group does; return its copies, too."""
    group = arm_group(comparison)
    baseline = group.build(comparison.baseline)
    arms = [group.build(comparison.arm) for _ in range(copies)]
    return group.check(comparison, baseline, arms[0]), arms


def checked(comparison: Comparison) -> Agreement:
    """Check an arm in a group and in a pair of its own, with one result."""
    found, _ = grouped(comparison)
    alone = check(comparison, *build_arms(comparison))
    assert (alone.error, alone.notes) == (found.error, found.notes)
    return found


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("arm", ["converted", "old#2"])
def test_weights_that_agree_as_made_are_kept(own: Own, arm: str, mode: str) -> None:
    """A right conversion of a checkpoint is not overwritten."""
    found = checked(own("old", arm, mode=mode))
    assert (found.error, found.notes[0]) == (None, OWN_WEIGHTS)
    assert found.output_error is not None
    assert found.output_error < 1e-6


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_weights_are_moved_where_the_outputs_agree_then(own: Own, mode: str) -> None:
    """A module that draws other weights gets those of the baseline, all its copies do."""
    comparison = own("old", "redrawn", mode=mode)
    assert checked(comparison).notes[0] == MOVED_WEIGHTS
    found, copies = grouped(comparison, copies=3)
    assert found.error is None
    states = [each.module.state_dict()["qkv.weight"].tolist() for each in copies]
    assert states[0] == states[1] == states[2]


def test_weights_that_help_in_no_way_stay_as_made(own: Own) -> None:
    """Where neither agrees, every copy keeps its own, and the nearer difference is said."""
    found, copies = grouped(own("old", "redrawn_scaled"), copies=2)
    as_made, _ = grouped(own("old", "redrawn_scaled", weights="own"))
    text = "outputs differ by 0.01 (relative norm), fp32 allows 1e-04, the candidate is 1.01 times"
    assert text in str(found.error)
    assert f"with the baseline's weights ({as_made.output_error:.2g} as made)" in str(found.error)
    assert (found.output_error, found.notes) == (as_made.output_error, ())
    before = grouped(own("old", "redrawn", weights="own"))[1][0].module.state_dict()
    for each in copies:
        assert each.module.state_dict()["qkv.weight"].equal(before["qkv.weight"])


def test_an_accepted_difference_is_measured_with_the_weights_of_the_nearer(own: Own) -> None:
    """An approximation is told from another draw of the weights."""
    found, _ = grouped(own("old", "redrawn_scaled", allow_different=True))
    assert found.error is None
    assert found.notes == (MOVED_WEIGHTS,)
    assert found.output_error == pytest.approx(0.01, rel=1e-4)
    found, _ = grouped(own("old", "unconverted", allow_different=True))
    assert (found.error, found.notes) == (None, ())


def test_weights_as_chosen(own: Own) -> None:
    """``own`` moves none, ``shared`` all, and says where they cannot be."""
    assert checked(own("old", "redrawn", weights="own")).error is not None
    assert checked(own("old", "redrawn", weights="shared")).error is None
    assert checked(own("old", "converted", weights="own")).notes == (OWN_WEIGHTS,)
    assert checked(own("old", "converted", weights="shared")).error is not None
    comparison = own("old", "bigger", weights="shared")
    for build in (build_arms, grouped):
        with pytest.raises(InputError, match=r"'qkv\.bias' is in the baseline only"):
            build(comparison)


def test_a_copy_of_the_baseline_says_nothing(own: Own) -> None:
    """The control has the baseline's weights, without a note."""
    assert checked(own("old", "old")).notes == ()


@pytest.mark.parametrize(
    ("baseline", "arm", "said"),
    [
        ("old", "scaled", "the candidate is 1.01 times the baseline: let both compute the same"),
        ("old", "bigger", "weights cannot be moved since 'qkv.bias' is in the baseline only"),
        (
            "old",
            "padded",
            "only at index of axis 2 3 to 4 of 5 (40 % of the elements), where the candidate is 0",
        ),
        ("old", "nan", "outputs hold NaN, 20 of 160 elements are NaN in the candidate, 0 in the"),
        ("nan", "old", "0 of 160 elements are NaN in the candidate, 20 in the baseline"),
        ("nan", "nan#2", "20 in the baseline: give other inputs"),
        ("old", "hidden", "the candidate's output is an object of type Hidden with tensors in x"),
        ("hidden", "old", "the baseline's output is an object of type Hidden with tensors in x"),
        ("old", "Grows", "the candidate differs from itself by"),
        ("Grows", "old", "the baseline differs from itself by"),
    ],
)
def test_a_difference_is_described(own: Own, baseline: str, arm: str, said: str) -> None:
    """One line says what helps to find the cause."""
    text = str(grouped(own(baseline, arm))[0].error)
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("baseline", "arm", "said"),
    [
        ("old", "frozen", "the candidate steps 768 parameters, the baseline steps 816 parameters"),
        ("old", "detached", "the candidate steps 0 parameters, the baseline steps 816 parameters"),
        ("old", "stepping", "the candidate steps 816 parameters in the call itself, the baseline"),
    ],
)
def test_arms_that_train_other_parameters_are_wrong(
    own: Own, baseline: str, arm: str, said: str
) -> None:
    """A step that changes fewer parameters is other work, which the user may accept."""
    comparison = own(baseline, arm, mode="train")
    text = str(checked(comparison).error)
    assert text.startswith("training differs, ")
    assert said in text
    accepted = checked(own(baseline, arm, mode="train", allow_different=True))
    assert said in str(accepted.note)
    assert checked(own(baseline, arm)).error is None


@pytest.mark.parametrize(
    ("baseline", "arm", "text"),
    [
        ("old", "hidden_module", "steps 816 parameters, as the baseline does"),
        ("hidden_module", "redrawn", "steps 816 parameters, as the baseline does"),
        ("stepping", "stepping#2", "steps 816 parameters in the call itself, as the baseline does"),
        ("detached", "detached#2", "steps 0 parameters, as the baseline does"),
    ],
)
def test_what_a_step_trains_is_a_note(own: Own, baseline: str, arm: str, text: str) -> None:
    """Arms that do the same say what they step, also where it is nothing."""
    found = checked(own(baseline, arm, mode="train"))
    assert found.error is None
    assert text in [note.text for note in found.notes]


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_a_dataclass_agrees_with_a_mapping(own: Own, mode: str) -> None:
    """The fields of a dataclass are compared with the values of a dict, in training too."""
    assert checked(own("in_dict", "in_class", mode=mode)).error is None
    assert checked(own("in_class", "in_dict", mode=mode)).error is None


def test_what_cannot_be_trained_is_named(own: Own) -> None:
    """In training the line has the object that hides its tensors, and the way out."""
    with pytest.raises(ArmError, match="type Hidden with tensors in x; return"):
        checked(own("hidden", "hidden", mode="train"))


def test_inputs_arrive_as_they_were_made(tmp_path: Path) -> None:
    """An arm that looks at the strides of its inputs, and writes to a cache, finds its own."""
    code = """
        import torch
        class Cache:
            def __init__(self): self.calls = []
        def make_inputs():
            x = torch.randn(4, 12, 33, 8)[:, :, 1:]
            return {"x": x, "same": x, "bias": torch.randn(32, 32).expand(4, 12, 32, 32),
                    "cache": Cache()}
        def work(x, same, bias, cache):
            cache.calls.append(1)
            assert len(cache.calls) < 4
            assert x is same and not x.is_contiguous()
            assert bias.stride() == (0, 0, 32, 1), bias.stride()
            return x @ x.mT + bias
        def make(): return work
    """
    path = write(tmp_path / "arms.py", code)
    found = checked(compare(f"{path}:make", f"{path}:make#2", f"{path}:make_inputs"))
    assert (found.error, found.output_error) == (None, 0.0)


def test_seeded_randomness_is_no_change(own: Own) -> None:
    """A call draws the same numbers again, since it is seeded for the check."""
    assert "itself" not in str(grouped(own("old", "random"))[0].error)
