"""bench.arms.tensors: tensors in nested values, and parameter names common to all arms."""

from collections import OrderedDict, UserDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from bench.arms.tensors import dense, leaves, named

LOGITS_AND_HIDDEN = ["output['logits']", "output['hidden'][0]", "output['hidden'][1]"]
A, B = torch.ones(1), torch.ones(2)


class Pair(NamedTuple):
    """Two named tensors."""

    first: Tensor
    second: Tensor


@dataclass(frozen=True)
class Features:
    """A class token and more, as backbones return them."""

    cls_token: Tensor
    more: object = None


@pytest.mark.parametrize(
    ("value", "places"),
    [
        (A, ["output"]),
        ((A, B), ["output[0]", "output[1]"]),
        ([A, None, "text", 3, B], ["output[0]", "output[4]"]),
        ({"logits": A, "hidden": (A, B)}, LOGITS_AND_HIDDEN),
        (OrderedDict(last=A), ["output['last']"]),
        (UserDict({"last": A}), ["output['last']"]),
        (Pair(A, B), ["output[0]", "output[1]"]),
        (Features(A, [B, 3]), ["output['cls_token']", "output['more'][0]"]),
        (torch.max(torch.ones(2, 2), 1), ["output[0]", "output[1]"]),
        (None, []),
        ([], []),
    ],
)
def test_every_tensor_has_its_place(value: Any, places: list[str]) -> None:
    """Tensors in tuples, lists and mappings are found in order; other values are skipped."""
    found = list(leaves(value, "output"))
    assert [place for place, _ in found] == places


def test_names_do_not_depend_on_compiling_or_on_the_attention() -> None:
    """Equal parameters have equal names, with the shapes of a Linear."""
    plain = nn.ModuleDict({"mha": nn.MultiheadAttention(4, 2)})
    compiled: Any = torch.compile(plain, backend="eager")
    expected = {"in_proj.weight", "in_proj.bias", "out_proj.weight", "out_proj.bias"}
    assert named(plain.state_dict()).keys() == expected
    assert named(compiled.state_dict()).keys() == expected
    (weight, _) = named(nn.Conv2d(3, 5, 2).state_dict()).values()
    assert weight.shape == (5, 12)


def test_names_stay_where_two_would_become_one() -> None:
    """A module that has both names keeps both."""
    values = {"mha.weight": A, "weight": B}
    assert named(values) == values


def test_every_tensor_can_be_compared() -> None:
    """Sparse tensors become dense, nested ones are padded with zeros, others stay."""
    eye = torch.eye(2)
    assert torch.equal(dense(eye.to_sparse()), eye)
    rows = [torch.ones(2), torch.ones(1)]
    assert dense(torch.nested.nested_tensor(rows, layout=torch.jagged)).tolist() == [[1, 1], [1, 0]]
    assert dense(eye) is eye
