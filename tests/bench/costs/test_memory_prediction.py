"""memory_prediction: memory predicted from shapes alone, against the allocator's measurement."""

from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.memory_timeline import peak
from bench.costs.memory_prediction import predict, trace
from bench.records.arm_costs import MEMORY_KINDS, Case
from bench.records.call_profile import CALL_COMPONENTS
from bench.records.comparison import Arm, Workload
from bench.records.errors import InputError
from bench.worker import memory as alone
from helpers.variants import TINY
from vitcore import costs
from vitcore.config import VARIANTS, ViTConfig

pytestmark = pytest.mark.usefixtures("tiny")
SMALL = Workload(
    component="model",
    mode="train",
    device="cpu",
    variant="Ti/16",
    patch_size=16,
    image_size=64,
    batch_size=2,
)
CONFIG = ViTConfig(**TINY, image_size=64)


def case(mode: str = "train", **levels: Any) -> Case:
    """A small model, in one mode, with some levels of its arm."""
    return Case(workload=replace(SMALL, mode=mode), arm=Arm(**levels))


BLOCK = replace(SMALL, component="block", image_size=224)
ARMS: list[dict[str, Any]] = [
    {"attention": "manual"},
    {"attention": "mha"},
    {"attention": "mha_weights"},
    {"precision": "amp_bf16"},
    {"precision": "bf16"},
    {"optimizer": "adamw_foreach"},
    {"optimizer": "adamw_fused"},
    {"optimizer": "sgd"},
    {"checkpoint": "blocks"},
]


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("levels", ARMS, ids=lambda levels: "-".join(levels.values()))
def test_prediction_of_a_block(mode: str, levels: dict[str, Any]) -> None:
    """A block is predicted within five percent, for every arm that changes its memory."""
    changes: dict[str, Any] = {"mode": mode}
    if "precision" in levels:
        # The library's own scratch in half types is known to a few percent of a usual block only.
        # In training nearly all is weights, gradients and moments, whatever the image.
        size = 112 if mode == "train" else 224
        changes |= {"variant": "B/16", "batch_size": 1, "image_size": size}
    check(Case(workload=replace(BLOCK, **changes), arm=Arm(**levels)))


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("patcher", ["conv", "unfold"])
def test_prediction_of_a_model(mode: str, patcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole model is predicted with its gradients and its optimizer's state."""
    each = case(mode, patcher=patcher)
    # The library's own scratch in a convolution is little beside a usual model only; in training,
    # which takes four times as much, beside a third of one.
    if mode == "train":
        monkeypatch.setitem(VARIANTS, "B/16", {**VARIANTS["B/16"], "depth": 4})
    variant = "B/16" if patcher == "conv" else "Ti/16"
    check(replace(each, workload=replace(each.workload, variant=variant)))


def check(each: Case) -> None:
    """Compare a case's prediction with the allocator's measurement."""
    predicted, measured = predict(each), alone.measure(each)
    assert measured.status == "ok"
    assert predicted.total_bytes == pytest.approx(measured.allocated_bytes, rel=0.05)


def test_sizes_of_kinds() -> None:
    """Parameters and gradients have four bytes a value, AdamW two values for each."""
    found = predict(case())
    assert sum(found.by_kind.values()) == found.total_bytes
    assert set(found.by_kind) <= set(MEMORY_KINDS)
    assert found.by_kind["parameters"] == 4 * costs.model(CONFIG).parameters
    assert found.by_kind["optimizer"] == pytest.approx(
        8 * costs.model(CONFIG).parameters, rel=0.001
    )


def test_inference_keeps_nothing() -> None:
    """Inference has neither gradients nor optimizer state."""
    assert set(predict(case("forward")).by_kind) <= {"parameters", "inputs", "temporaries"}


@pytest.mark.parametrize("checkpoint", ["none", "blocks"])
def test_a_trace_has_the_peak_and_the_parts_of_the_call(checkpoint: str) -> None:
    """The trace's maximum is the prediction, and a step frees and remakes gradients."""
    each = case(checkpoint=checkpoint)
    found = trace(each)
    assert peak(found.blocks).total_bytes == predict(each).total_bytes
    assert list(found.phases) == ["forward", "backward", "optimizer"]
    forward, backward, optimizer = found.phases.values()
    assert found.since == forward < backward < optimizer
    gradients = [block for block in found.blocks if block.kind == "gradients"]
    before = [block for block in gradients if block.born < forward]
    assert len(gradients) == 2 * len(before)
    for block in gradients:
        assert block.died is not None if block in before else backward < block.born < optimizer


def test_a_trace_of_inference_has_one_part() -> None:
    """Inference is one phase without activations kept for backward."""
    found = trace(case("forward"))
    assert list(found.phases) == ["forward"]
    assert {block.kind for block in found.blocks} == {"parameters", "inputs", "temporaries"}


def test_activations_grow_with_the_batch_and_parameters_do_not() -> None:
    """Twice the images double the activations and keep the parameters."""
    large = replace(SMALL, image_size=224)
    one, many = (replace(case(), workload=replace(large, batch_size=size)) for size in (32, 64))
    few, more = predict(one).by_kind, predict(many).by_kind
    assert more["activations"] == pytest.approx(2 * few["activations"], rel=0.01)
    assert more["parameters"] == few["parameters"]


def test_nothing_is_allocated_to_predict() -> None:
    """A batch too large for memory is predicted like any other."""
    huge = replace(SMALL, image_size=224, batch_size=10**8)
    assert predict(Case(workload=huge, arm=Arm())).total_bytes > 2**40


def test_a_compiled_arm_is_not_predicted() -> None:
    """A compiled arm is refused, since the compiler plans its own memory."""
    with pytest.raises(InputError, match=r"'compile' cannot be predicted: .* expected eager"):
        predict(case(compile="compile"))


@pytest.mark.parametrize("mode", ["forward", "train"])
@pytest.mark.parametrize("component", ["model", "block", "attention", "patcher"])
def test_components_make_up_the_whole(component: str, mode: str) -> None:
    """The bytes of components and kinds add up to the prediction."""
    found = predict(Case(workload=replace(BLOCK, component=component, mode=mode), arm=Arm()))
    parts = found.by_component.values()
    for kind, size_bytes in found.by_kind.items():
        assert sum(part.get(kind, 0) for part in parts) == size_bytes
    assert set(found.by_component) <= {"input", *CALL_COMPONENTS}


def test_parameters_belong_to_their_component() -> None:
    """Each component has the arithmetic's parameters, and AdamW two values for each."""
    parts = predict(case()).by_component
    counted = {
        "patcher": costs.patcher(CONFIG),
        "embedding": costs.embedding(CONFIG),
        "attention": costs.attention(CONFIG) * CONFIG.depth,
        "MLP": costs.mlp(CONFIG) * CONFIG.depth,
        "norm": costs.norm(CONFIG) * (2 * CONFIG.depth),
        "head": costs.head(CONFIG),
    }
    assert {name: parts[name]["parameters"] for name in counted} == {
        name: 4 * cost.parameters for name, cost in counted.items()
    }
    for name in counted:
        # Beside them AdamW counts its steps, in four bytes for each tensor.
        moments = parts[name]["optimizer"] / parts[name]["parameters"]
        assert moments == pytest.approx(2, rel=0.01)
