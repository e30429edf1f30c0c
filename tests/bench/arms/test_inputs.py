"""bench.arms.inputs: every arm gets the inputs as the user made them, in memory of its own."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.arms.inputs import Inputs, inputs_of

A, B = torch.ones(1), torch.ones(2)


class Pair(NamedTuple):
    """Two named tensors."""

    first: Tensor
    second: Tensor


@dataclass
class Sample:
    """An image and its mask."""

    image: Tensor
    mask: Tensor


class Marked(Tensor):
    """A tensor of its own class."""

    origin: str


class Cache:
    """Keys of earlier calls."""

    def __init__(self, keys: Tensor) -> None:
        self.keys = [keys]


def copied(*args: Any, **options: Any) -> tuple[Any, ...]:
    """Return a copy of arguments for an arm on the CPU."""
    return Inputs(args=args).copied("cpu", **options).args


def test_inputs_are_changed_wherever_they_are() -> None:
    """Every tensor of nested arguments is replaced, types stay, and the original is unchanged."""
    inputs = Inputs(args=(A, [B, 3], Pair(A, B)), kwargs={"mask": {"inner": A}, "flag": True})
    changed = inputs.map(lambda value: value + 1)
    assert [t.tolist() for t in changed.tensors().values()] == [[2], [2, 2], [2], [2, 2], [2]]
    assert type(changed.args[2]) is Pair
    assert changed.args[1][1] == 3
    assert changed.kwargs["flag"] is True
    assert inputs.args[0].tolist() == [1]


def test_inputs_have_places() -> None:
    """The places of arguments by position and by name differ."""
    inputs = Inputs(args=(A, (B,), Sample(A, B)), kwargs={"mask": A})
    assert list(inputs.tensors()) == [
        "input[0]",
        "input[1][0]",
        "input[2]['image']",
        "input[2]['mask']",
        "input['mask']",
    ]


@pytest.mark.parametrize(
    ("value", "args", "kwargs"),
    [
        (A, (A,), {}),
        ([A, 3], (A, 3), {}),
        ({"x": A}, (), {"x": A}),
        (Sample(A, B), (Sample(A, B),), {}),
        (3, None, None),
        (Cache(A), None, None),
    ],
)
def test_what_can_be_inputs(value: object, args: Any, kwargs: Any) -> None:
    """A tensor, a sequence, a mapping, or one object that is looked into."""
    found = inputs_of(value)
    assert (found and found.args, found and found.kwargs) == (args, kwargs)


VIEWS = {
    "expanded": torch.randn(5, 5).expand(2, 3, 5, 5),
    "without the first": torch.randn(2, 6, 4)[:, 1:],
    "transposed": torch.randn(3, 4).mT,
    "strided": torch.randn(30)[3::4],
    "overlapping": torch.randn(10).unfold(0, 4, 2),
    "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 3),
    "complex conjugate": torch.randn(3, dtype=torch.complex64).conj(),
    "imaginary part": torch.randn(3, dtype=torch.complex64).conj().imag,
    "booleans": torch.ones(4, 4, dtype=torch.bool).tril()[1:],
    "made in inference mode": torch.inference_mode()(torch.ones)(2, 3),
}


@pytest.mark.parametrize("value", VIEWS.values(), ids=VIEWS.keys())
def test_strides_are_kept(value: Tensor) -> None:
    """A view is copied as a view of as much memory, with the same numbers."""
    (made,) = copied(value)
    assert torch.equal(made, value)
    assert (made.stride(), made.dtype, type(made)) == (value.stride(), value.dtype, Tensor)
    assert made.data_ptr() != value.data_ptr() or not value.numel()
    assert not made.is_inference()
    # A few more elements, so that it begins at the same place of a cache line.
    assert made.untyped_storage().nbytes() <= value.untyped_storage().nbytes()
    assert made.data_ptr() % 64 == value.data_ptr() % 64 or value.numel() <= 1


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    data=st.data(),
    offset=st.integers(0, 40),
)
def test_any_view_is_kept(sizes: list[int], data: st.DataObject, offset: int) -> None:
    """Any strides and offset, overlapping or not, are copied, also to another type."""
    steps = [data.draw(st.integers(0, 9)) for _ in sizes]
    end = offset + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True)) + 1
    value = torch.arange(float(end + 3)).as_strided(sizes, steps, offset)
    for dtype in (None, torch.float64):
        (made,) = copied(value, dtype=dtype)
        assert torch.equal(made.float(), value)
        assert made.stride() == value.stride()


def test_memory_is_shared_where_it_was() -> None:
    """Two views of one tensor see each other's changes, the same tensor stays the same object."""
    base = torch.randn(4, 8)
    q, k, v, mask = base, base, base[:, 2:4], torch.ones(3)
    new_q, new_k, (new_v,), new_mask = copied(q, k, [v], mask)
    assert new_q is new_k
    new_q.zero_()
    assert not new_v.any()
    assert base.any()
    assert new_mask.all()
    assert len({each.untyped_storage().data_ptr() for each in (new_q, new_v, new_mask)}) == 2


def test_memory_is_listed_once() -> None:
    """An expanded mask is read as the memory that it takes, two views of one tensor once."""
    mask = torch.randn(5, 5).expand(100, 100, 5, 5)
    x = torch.randn(8, 4)
    inputs = Inputs(args=(mask, x, x[1:], x.mT, torch.eye(3).to_sparse())).copied("cpu")
    assert sorted(each.numel() for each in inputs.memories()) == [9, 25, 32]


def test_classes_of_tensors_are_kept() -> None:
    """Parameters, subclasses and attributes of tensors reach the arm."""
    marked = torch.randn(3).as_subclass(Marked)
    marked.origin = "camera"
    parameter, frozen = (
        nn.Parameter(torch.ones(2)),
        nn.Parameter(torch.ones(2), requires_grad=False),
    )
    made, weights, other = copied(marked, parameter, frozen)
    assert (type(made), made.origin) == (Marked, "camera")
    assert torch.equal(made, marked)
    assert (type(weights), weights.requires_grad) == (nn.Parameter, True)
    assert (type(other), other.requires_grad) == (nn.Parameter, False)


@pytest.mark.parametrize(
    "value",
    [
        torch.eye(3).to_sparse(),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        torch.ones(3, device="meta"),
    ],
    ids=["sparse", "nested", "meta"],
)
def test_tensors_that_are_no_view_of_memory(value: Tensor) -> None:
    """Sparse, nested and meta tensors stay what they are."""
    made, other = copied(value, torch.ones(2))
    assert (made.layout, made.dtype, made.device) == (value.layout, value.dtype, value.device)
    assert (type(made), made.shape, other.device.type) == (type(value), value.shape, "cpu")
    assert made is not value


def test_gradients_are_asked_for_as_the_user_did() -> None:
    """Inputs need gradients if they did, or if there is nothing else to train."""
    x, y, index = torch.ones(2, requires_grad=True), torch.ones(2), torch.ones(2).long()
    with_graph = x * 2
    made = copied(x, y, index, with_graph)
    assert [each.requires_grad for each in made] == [True, False, False, True]
    assert all(each.is_leaf for each in made)
    assert [each.requires_grad for each in copied(y, index, needs_grad=True)] == [True, False]


def test_devices_are_those_of_the_user() -> None:
    """Tensors are moved together, unless some are where the arm is: then each stays."""
    moved = Inputs(args=(A, B)).copied("meta").args
    assert [each.device.type for each in moved] == ["meta", "meta"]
    kept = Inputs(args=(A, torch.ones(2, device="meta"))).copied("cpu").args
    assert [each.device.type for each in kept] == ["cpu", "meta"]


def test_types_are_converted_where_they_float() -> None:
    """Floating numbers take the type of the arm; integers, masks and complex ones keep theirs."""
    args = A, B.long(), B > 0, torch.ones(1, dtype=torch.complex64)
    made = copied(*args, dtype=torch.bfloat16)
    assert [each.dtype for each in made] == [torch.bfloat16, *(each.dtype for each in args[1:])]


def test_other_objects_are_copied_too() -> None:
    """A cache that an arm writes to is its own, and knows the arm's tensors as its own."""
    keys = torch.ones(2)
    cache = Cache(keys)
    x, made, name = copied(keys, cache, "text")
    assert made is not cache
    assert made.keys[0] is x
    assert name == "text"
