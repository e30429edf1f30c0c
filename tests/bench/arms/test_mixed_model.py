"""bench.arms.mixed_model: whatever arms a call draws, it computes the model; its parts add up.

Axes: B batch, L classes, N tokens, D token width.
"""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.arms import building
from bench.arms.mixed_model import (
    ATTENTION,
    BLOCK,
    EVERYWHERE,
    PATCHER,
    CallTimes,
    Draw,
    MixedModel,
    balanced_draw,
)
from bench.records.comparison import Arm
from bench.timing.clocks import WallMarks
from helpers.clocks import FakeClock
from helpers.records import make_workload

pytestmark = pytest.mark.usefixtures("tiny")
DEPTH = 3
WORK = make_workload(component="model", variant="Ti/16", image_size=32, batch_size=2)
PATCHERS = {"linear": Arm(patcher="linear"), "unfold": Arm(patcher="unfold")}
ATTENTIONS = {
    "mha_weights": Arm(attention="mha_weights"),
    "manual": Arm(attention="manual"),
    "sdpa": Arm(attention="sdpa"),
    "math": Arm(kernel="math"),
}
BLOCKS = {"block": Arm(attention="sdpa")}
DRAWN_PATCHERS = ["baseline", "copy", *PATCHERS]
DRAWN_BLOCKS = ["baseline", "copy", *ATTENTIONS, *BLOCKS]


def mixed(precision: str = "fp32") -> MixedModel:
    """Build a model of three blocks with every kind of arm."""
    baseline = Arm(precision=precision)
    model = MixedModel(WORK, baseline, DEPTH)
    for name in ("baseline", "copy"):
        model.add(name, EVERYWHERE, baseline)
    for place, arms in ((PATCHER, PATCHERS), (ATTENTION, ATTENTIONS), (BLOCK, BLOCKS)):
        for name, arm in arms.items():
            model.add(name, place, replace(arm, precision=precision))
    return model


@pytest.fixture(scope="module", name="model")
def _model() -> MixedModel:
    """Return a model of three blocks; tests do not change it."""
    return mixed()


@contextmanager
def heard(model: MixedModel) -> Iterator[list[Tensor]]:
    """Collect the outputs of calls."""
    logits: list[Tensor] = []
    head: nn.Module = model.host.module.get_submodule("head")
    hook = head.register_forward_hook(lambda _, __, logits_BL: logits.append(logits_BL))
    try:
        yield logits
    finally:
        hook.remove()


def output(model: MixedModel, draw: Draw) -> Tensor:
    """Return the logits of a call with drawn arms."""
    with heard(model) as logits, model.host.surroundings():
        model.call(draw, WallMarks())
    (logits_BL,) = logits
    return logits_BL.double()


def plain_output(model: MixedModel) -> Tensor:
    """Return the logits of the model with the baseline everywhere, called as a whole."""
    with model.host.surroundings(), model.host.autocast():
        logits_BL: Tensor = model.host.module(*model.host.inputs.args)
    return logits_BL.double()


DRAWS = st.builds(
    Draw,
    st.permutations(DRAWN_PATCHERS).map(tuple),
    st.lists(st.sampled_from(DRAWN_BLOCKS), min_size=DEPTH, max_size=DEPTH).map(tuple),
)


@given(draw=DRAWS)
@settings(deadline=None)
def test_a_call_computes_the_plain_model(model: MixedModel, draw: Draw) -> None:
    """Whatever is drawn, a call returns what the model with the baseline everywhere returns."""
    plain_BL = plain_output(model)
    found_BL = output(model, draw)
    assert found_BL.shape == plain_BL.shape
    assert (found_BL - plain_BL).norm() <= 1e-5 * plain_BL.norm()


@pytest.mark.parametrize("precision", ["bf16", "amp_bf16"])
def test_a_call_computes_the_plain_model_at_its_precision(precision: str) -> None:
    """At a lower precision all arms have it, and what they return differs by rounding only."""
    model = mixed(precision)
    plain_BL = plain_output(model)
    for blocks in (("baseline",) * 3, ("sdpa", "manual", "block"), ("copy", "math", "mha_weights")):
        found_BL = output(model, Draw(("linear", "baseline"), blocks))
        assert (found_BL - plain_BL).norm() <= 5e-2 * plain_BL.norm()
    assert {each.dtype for each in model.host.module.parameters()} == {
        torch.float32 if precision == "amp_bf16" else torch.bfloat16
    }


def test_the_drawn_arms_are_called(model: MixedModel) -> None:
    """Each place of a call is computed by its arm: the last patcher's output goes on."""
    seen: list[str] = []

    def note(name: str) -> Any:
        return lambda *_: seen.append(name)

    hooks = []
    for name in ("baseline", "linear", "sdpa", "block"):
        part = model._parts[name]
        hooks.append(part.patcher.register_forward_hook(note(f"{name} patcher")))
        for place, block in enumerate(part.blocks):
            for kind in ("attention", "mlp"):
                branch = getattr(block, kind).branch
                hooks.append(branch.register_forward_hook(note(f"{name} {kind} {place}")))
    output(model, Draw(("linear", "baseline"), ("sdpa", "block", "baseline")))
    for hook in hooks:
        hook.remove()
    # The MLP behind an arm's attention is the model's own.
    assert seen == [
        *("linear patcher", "baseline patcher", "sdpa attention 0"),
        *("block attention 1", "block mlp 1", "baseline attention 2", "baseline mlp 2"),
    ]


@given(draw=DRAWS)
@settings(deadline=None)
def test_every_part_has_its_time(model: MixedModel, draw: Draw) -> None:
    """Each patcher has one time and each block one; attention and MLP make a block together."""
    with model.host.surroundings():
        found = model.call(draw, WallMarks())
    times = {key: len(each) for key, each in found.parts_s.items()}
    drawn = Counter(draw.blocks)
    assert {name for place, name in times if place == PATCHER} == set(draw.patchers)
    assert {name: n for (place, name), n in times.items() if place == BLOCK} == dict(drawn)
    drawn.pop("block", None)
    assert {name: n for (place, name), n in times.items() if place == ATTENTION} == dict(drawn)
    for name in drawn:
        pairs = zip(found.parts_s[BLOCK, name], found.parts_s[ATTENTION, name], strict=True)
        assert all(whole_s > part_s for whole_s, part_s in pairs)


def whole_s(found: CallTimes) -> float:
    """Return the seconds of all patchers and blocks, and of the rest."""
    parts = (each for (place, _), each in found.parts_s.items() if place in (PATCHER, BLOCK))
    return sum(chain.from_iterable(parts)) + found.rest_s


@given(draw=DRAWS)
@settings(deadline=None)
def test_the_parts_sum_to_the_whole(model: MixedModel, draw: Draw) -> None:
    """No part is counted twice, and none is lost."""
    with model.host.surroundings():
        found = model.call(draw, WallMarks())
    assert whole_s(found) == pytest.approx(found.total_s)
    assert found.rest_s > 0


def test_each_time_is_that_of_its_own_part(
    model: MixedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that counts the calls of modules, each part takes as many seconds as it has."""
    clock = FakeClock()
    monkeypatch.setattr("bench.timing.clocks.time", clock.as_time())
    seconds = {"linear": 1.0, "baseline": 2.0, "sdpa": 4.0, "manual": 8.0}
    hooks = []

    def tick(seconds: float) -> Any:
        def advance(*_: object) -> None:
            clock.now_s += seconds

        return advance

    for name, takes_s in seconds.items():
        part = model._parts[name]
        hooks.append(part.patcher.register_forward_hook(tick(takes_s)))
        hooks += [b.attention.register_forward_hook(tick(takes_s)) for b in part.blocks]
    host: Any = model.host.module
    hooks += [each.mlp.register_forward_hook(tick(16.0)) for each in host.blocks]
    hooks.append(host.head.register_forward_hook(tick(32.0)))
    with model.host.surroundings():
        found = model.call(Draw(("baseline", "linear"), ("sdpa", "manual", "sdpa")), WallMarks())
    for hook in hooks:
        hook.remove()
    assert found.parts_s == {
        (PATCHER, "baseline"): [2.0],
        (PATCHER, "linear"): [1.0],
        (ATTENTION, "sdpa"): [4.0, 4.0],
        (ATTENTION, "manual"): [8.0],
        (BLOCK, "sdpa"): [20.0, 20.0],
        (BLOCK, "manual"): [24.0],
    }
    assert (found.rest_s, found.total_s) == (32.0, 99.0)


def test_all_arms_hold_one_set_of_weights(model: MixedModel) -> None:
    """A model with many arms needs the memory of one."""

    def addresses(*modules: nn.Module) -> set[int]:
        tensors = chain.from_iterable(each.parameters() for each in modules)
        return {each.untyped_storage().data_ptr() for each in tensors}

    own = addresses(model.host.module)
    for part in model._parts.values():
        assert addresses(part.patcher, *part.blocks) <= own


def test_an_arm_in_another_layout_leaves_the_others_alone() -> None:
    """Only the patcher of a channels-last arm has weights of its own."""
    model = mixed()
    model.add("channels_last", PATCHER, Arm(layout="channels_last"))
    convolutions = (
        model._parts[n].patcher.get_parameter("projection.weight") for n in DRAWN_PATCHERS[:2]
    )
    assert all(each.is_contiguous() for each in convolutions)
    plain_BL = plain_output(model)
    found_BL = output(model, Draw(("channels_last",), ("baseline",) * DEPTH))
    assert (found_BL - plain_BL).norm() <= 1e-5 * plain_BL.norm()


def test_an_arm_that_raises_does_not_disturb_the_next_call(model: MixedModel) -> None:
    """The marks of a call that was cut short are not counted in the next one."""
    marks, draw = WallMarks(), Draw(("baseline",), ("baseline",) * DEPTH)

    def fail(*_: object) -> None:
        raise MemoryError

    hook = model._parts["sdpa"].blocks[1].register_forward_hook(fail)
    hook_too = model._parts["sdpa"].blocks[1].attention.register_forward_hook(fail)
    with model.host.surroundings():
        with pytest.raises(MemoryError):
            model.call(replace(draw, blocks=("sdpa",) * DEPTH), marks)
        hook.remove()
        hook_too.remove()
        found = model.call(draw, marks)
    assert len(found.parts_s[BLOCK, "baseline"]) == DEPTH
    assert whole_s(found) == pytest.approx(found.total_s)


@pytest.mark.parametrize(
    ("name", "place", "component"),
    [
        ("linear", PATCHER, "patcher"),
        ("sdpa", ATTENTION, "attention"),
        ("math", ATTENTION, "attention"),
        ("block", BLOCK, "block"),
        ("baseline", PATCHER, "patcher"),
        ("baseline", ATTENTION, "attention"),
        ("baseline", BLOCK, "block"),
    ],
)
def test_a_part_alone_computes_what_the_baselines_does(
    model: MixedModel, name: str, place: str, component: str
) -> None:
    """The part of an arm by itself has an input of its own, and the weights of the model."""
    alone, baseline = model.alone(name, place), model.alone("baseline", place)
    assert alone.workload.component == component
    expected = baseline.output()
    assert (alone.output() - expected).norm() <= 1e-5 * expected.norm()
    plain = building.random_inputs(replace(WORK, component=component))
    assert torch.equal(alone.inputs.args[0], plain)


def test_arms_are_added_and_dropped() -> None:
    """Names come in the order in which their arms were added; a dropped one is gone."""
    model = mixed()
    assert model.names(EVERYWHERE, PATCHER) == DRAWN_PATCHERS
    assert model.names(EVERYWHERE, ATTENTION, BLOCK) == DRAWN_BLOCKS
    assert model.place("sdpa") == ATTENTION
    model.drop("sdpa")
    model.drop("never added")
    assert "sdpa" not in model
    assert model.names(ATTENTION) == [name for name in ATTENTIONS if name != "sdpa"]


NAMES = st.lists(st.text(max_size=3), min_size=1, max_size=15, unique=True)


@given(patchers=NAMES, blocks=NAMES, depth=st.integers(1, 32), seed=st.integers(0, 2**32))
def test_draws_are_balanced(patchers: list[str], blocks: list[str], depth: int, seed: int) -> None:
    """Every patcher is called once; any two arms differ by one block at most."""
    draw = balanced_draw(patchers, blocks, depth, random.Random(seed))  # noqa: S311 (a draw, not a secret)
    assert sorted(draw.patchers) == sorted(patchers)
    assert len(draw.blocks) == depth
    counts = Counter(dict.fromkeys(blocks, 0))
    counts.update(draw.blocks)
    assert set(counts) == set(blocks)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_over_many_draws_every_arm_is_everywhere_equally_often() -> None:
    """No arm prefers a block, or a place among the patchers."""
    source = random.Random(0)  # noqa: S311 (a draw, not a secret)
    names = ["a", "b", "c", "d"]
    draws = [balanced_draw(names, names, 6, source) for _ in range(2000)]
    places = Counter((name, n) for draw in draws for n, name in enumerate(draw.blocks))
    assert len(places) == 4 * 6
    assert all(400 < count < 600 for count in places.values())
    turns = Counter((name, n) for draw in draws for n, name in enumerate(draw.patchers))
    assert all(400 < count < 600 for count in turns.values())


@pytest.mark.usefixtures("captured_only")
def test_compiled_blocks_compute_the_model() -> None:
    """Compiled and eager blocks can be drawn into one call, and the mark lies behind the block."""
    model = mixed()
    model.add("compiled", BLOCK, Arm(compile="compile_blocks"))
    blocks: Any = model._parts["compiled"].blocks
    assert all(each._compiled_call_impl is not None for each in blocks)
    plain_BL = plain_output(model)
    for drawn in (("compiled",) * 3, ("sdpa", "compiled", "baseline")):
        found_BL = output(model, Draw(("linear",), drawn))
        assert (found_BL - plain_BL).norm() <= 1e-5 * plain_BL.norm()
    with model.host.surroundings():
        found = model.call(Draw(("baseline",), ("compiled", "baseline", "compiled")), WallMarks())
    assert len(found.parts_s[BLOCK, "compiled"]) == 2
    assert (ATTENTION, "compiled") not in found.parts_s
    alone, baseline = model.alone("compiled", BLOCK), model.alone("baseline", BLOCK)
    assert (alone.output() - baseline.output()).norm() <= 1e-5 * baseline.output().norm()
