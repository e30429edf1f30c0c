"""bench.arms.placebos: other code of the same mathematics, the same kernels and the same cost."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.arms import building
from bench.arms.mixed_model import EVERYWHERE, MixedModel
from bench.arms.placebos import put_placebo
from bench.records.comparison import Arm, Comparison
from bench.suite.placebos import BASELINE, SLOWER, comparisons_of, true_speedup, workload_of
from bench.suite.work import flops
from vitcore.weights import canonical_name

DEPTH = 2
WORKLOAD = workload_of("B/32", 2, "cpu", 64)
COMPARISONS = list(comparisons_of(WORKLOAD))
CANDIDATES = [each for each in COMPARISONS if not each.is_control]


def name_of(comparison: Comparison) -> str:
    """Return the name of a test case."""
    return comparison.arm.placebo


@pytest.fixture(scope="module", name="model")
def _model() -> MixedModel:
    """Return a model with all placebos."""
    model = MixedModel(WORKLOAD, BASELINE, DEPTH)
    model.add("baseline", EVERYWHERE, BASELINE)
    for each in CANDIDATES:
        model.add(each.arm.placebo, each.workload.component, each.arm)
    return model


def both(model: MixedModel, comparison: Comparison) -> tuple[Any, Any]:
    """Return a part of the baseline and its placebo, each as an arm by itself."""
    place = comparison.workload.component
    return model.alone("baseline", place), model.alone(comparison.arm.placebo, place)


@pytest.mark.parametrize("comparison", CANDIDATES, ids=name_of)
def test_a_placebo_computes_what_its_part_does(model: MixedModel, comparison: Comparison) -> None:
    """The outputs of both differ by less than the rounding of a float32."""
    baseline, placebo = both(model, comparison)
    expected = baseline.output()
    assert (placebo.output() - expected).norm() <= 2e-7 * expected.norm()


@pytest.mark.parametrize("comparison", CANDIDATES, ids=name_of)
def test_a_placebo_agrees_with_float64(model: MixedModel, comparison: Comparison) -> None:
    """Its error against the float64 reference of hand-written parts is within the tolerance."""
    baseline, placebo = both(model, comparison)
    found = building.check(comparison, baseline, placebo)
    assert found.error is None
    assert found.output_error is not None
    assert 0 < found.output_error < 2e-6


@pytest.mark.parametrize("comparison", CANDIDATES, ids=name_of)
def test_a_placebo_is_other_code(model: MixedModel, comparison: Comparison) -> None:
    """Its part is a module of another class, for every block, and none of the baseline's."""
    baseline, placebo = both(model, comparison)
    assert type(placebo.module) is not type(baseline.module)
    kept = type(baseline.module)
    other: Any = model._parts[comparison.arm.placebo]
    if comparison.workload.component == "attention":
        assert all(not isinstance(block.attention.branch, kept) for block in other.blocks)
    elif comparison.workload.component == "block":
        assert all(not isinstance(block, kept) for block in other.blocks)


def operations(module: nn.Module, input_BX: Tensor) -> float:
    """Return the floating-point operations of a call, as torch counts them."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module(input_BX)
    return float(counter.get_total_flops())


@pytest.mark.parametrize("comparison", CANDIDATES, ids=name_of)
def test_the_operations_are_those_of_the_truth(model: MixedModel, comparison: Comparison) -> None:
    """A placebo has the operations of its part; a slower attention 5 % more, in the exact ratio."""
    baseline, placebo = both(model, comparison)
    (input_BX,) = baseline.inputs.args
    own, found = (operations(each.module, input_BX) for each in (baseline, placebo))
    assert own == flops(comparison.workload)
    assert own / found == pytest.approx(true_speedup(comparison), rel=1e-12)
    ratio = 1.05 if comparison.arm.placebo in SLOWER else 1.0
    assert found / own == pytest.approx(ratio, abs=2e-4)


def kernels(module: nn.Module, input_BX: Tensor) -> list[tuple[str, str]]:
    """Return the operators of a call that compute something, with the shapes of their inputs."""
    computing = ("addmm", "scaled_dot_product", "convolution", "gelu", "layer_norm", "aten::add")
    with torch.inference_mode(), torch.profiler.profile(record_shapes=True) as profiled:
        module(input_BX)
    return sorted(
        (each.name, str(each.input_shapes))
        for each in profiled.events() or ()
        if each.name.startswith(computing) or each.name.partition("::")[2].startswith(computing)
    )


@pytest.mark.parametrize(
    "comparison", [each for each in CANDIDATES if each.arm.placebo not in SLOWER], ids=name_of
)
def test_a_placebo_calls_the_same_kernels(model: MixedModel, comparison: Comparison) -> None:
    """Operators and shapes are those of the part: its time should differ by nothing but noise."""
    baseline, placebo = both(model, comparison)
    (input_BX,) = baseline.inputs.args
    found = kernels(placebo.module, input_BX)
    assert found == kernels(baseline.module, input_BX)
    assert found


@pytest.mark.parametrize("comparison", CANDIDATES, ids=name_of)
def test_a_placebo_has_the_weights_of_its_part(model: MixedModel, comparison: Comparison) -> None:
    """No parameter is copied: placebos and baseline read the same memory."""
    baseline, placebo = both(model, comparison)
    own, found = (
        {each.data_ptr() for each in arm.module.parameters()} for arm in (baseline, placebo)
    )
    assert found == own


@pytest.mark.parametrize("name", SLOWER)
def test_further_products_have_weights_of_their_own(model: MixedModel, name: str) -> None:
    """They are not in the cache because the attention has just read them."""
    parts: Any = model._parts[name]
    for block in parts.blocks:
        slower = block.attention.branch
        weight_FD = slower.part.in_proj.weight
        assert torch.equal(slower.rows_FD, weight_FD[: len(slower.rows_FD)])
        assert slower.rows_FD.data_ptr() != weight_FD.data_ptr()


def test_an_unknown_name_lists_the_known_ones() -> None:
    """The error names every placebo."""
    module: Any = building.build_module(BASELINE, WORKLOAD, depth=1)
    with pytest.raises(ValueError, match="unknown placebo 'x'; known: none, patcher_functions"):
        put_placebo(module, "x")


def test_none_leaves_a_model_as_it_is() -> None:
    """A usual arm has the parts of vitcore."""
    module: Any = building.build_module(BASELINE, WORKLOAD, depth=1)
    before = [(name, type(each)) for name, each in module.named_modules()]
    put_placebo(module, Arm().placebo)
    assert [(name, type(each)) for name, each in module.named_modules()] == before
    assert {canonical_name(name) for name, _ in module.named_parameters()}
