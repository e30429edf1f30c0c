"""bench.costs.flops: arithmetic against torch's counter, and the report of a difference."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from bench.arms.candidate import Candidate
from bench.arms.inputs import Inputs
from bench.costs import flops as counting
from bench.costs.flops import counted_by_running, counted_flops, disagreement
from bench.records.comparison import Arm, Workload
from bench.suite.work import config_for
from vitcore import costs
from vitcore.config import ATTENTIONS, PATCHERS, VARIANTS

pytestmark = pytest.mark.usefixtures("tiny")
# Four patches of two narrow layers.
SMALL = Workload(
    component="model",
    mode="forward",
    device="cpu",
    variant="Ti/16",
    patch_size=16,
    image_size=32,
    batch_size=3,
)
TRAIN = replace(SMALL, mode="train")


def said(arm: Arm, workload: Workload) -> str | None:
    """Return the line on an arm's FLOPs, if the counter disagrees with arithmetic."""
    return disagreement(workload, counted_flops(arm, workload))


@pytest.mark.parametrize("mode", costs.MODES)
@pytest.mark.parametrize("component", costs.COMPONENTS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("patcher", PATCHERS)
def test_every_arm_agrees(component: str, mode: str, attention: str, patcher: str) -> None:
    """Arithmetic and counter agree for every patcher and attention, forward and in training."""
    workload = replace(SMALL, component=component, mode=mode)
    assert said(Arm(patcher=patcher, attention=attention), workload) is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_agrees_at_its_own_size(variant: str) -> None:
    """The table's models agree at 224 pixels."""
    patch_size = VARIANTS[variant]["patch_size"]
    workload = replace(SMALL, variant=variant, patch_size=patch_size, image_size=224, batch_size=1)
    assert said(Arm(), workload) is None


def test_the_count_is_the_published_one() -> None:
    """B/16 has torchvision's 17.564 GMAC, which the counter has as two FLOPs each."""
    workload = replace(SMALL, variant="B/16", patch_size=16, image_size=224, batch_size=1)
    assert f"{counted_flops(Arm(), workload) / 2e9:.3f}" == "17.564"


@pytest.mark.parametrize("workload", [SMALL, TRAIN], ids=lambda w: w.mode)
def test_a_batch_counts_for_each_image(workload: Workload) -> None:
    """Three images take three times the FLOPs of one."""
    one = replace(workload, batch_size=1)
    assert counted_flops(Arm(), workload) == 3 * counted_flops(Arm(), one)
    assert said(Arm(), one) is None


@pytest.mark.parametrize("levels", [{"checkpoint": "blocks"}, {"compile": "compile_blocks"}])
def test_recomputation_and_compiling_do_not_count(levels: dict[str, str]) -> None:
    """Recomputed operators are not useful work, and compiling is left out."""
    assert counted_flops(Arm(**levels), TRAIN) == counted_flops(Arm(), TRAIN)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_any_device_is_counted_anywhere(device: str) -> None:
    """Counting needs neither a GPU nor memory for the batch."""
    workload = replace(TRAIN, device=device, batch_size=10**9)
    assert said(Arm(), workload) is None


def test_a_wrong_training_count_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference of one multiply-accumulate gives a line with both exact counts."""
    macs = costs.training_macs(config_for(TRAIN), "model")
    monkeypatch.setattr(costs, "training_macs", lambda *_: macs - 1)
    right, wrong = 6 * macs, 6 * (macs - 1)
    told = f"FLOPs: {wrong:,} by arithmetic, {right:,} by FlopCounterMode"
    assert said(Arm(), TRAIN) == told


def test_a_wrong_forward_count_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of another model is reported as a difference."""
    other = costs.model(config_for(replace(SMALL, image_size=48)))
    monkeypatch.setattr(costs, "cost_of", lambda *_: other)
    told = said(Arm(), SMALL)
    assert told is not None
    assert told.startswith(f"FLOPs: {3 * other.flops:,} by arithmetic, ")


@pytest.mark.parametrize("enabled", [True, False])
def test_the_fast_path_is_left_as_it_was(
    enabled: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller's fast-path setting is restored, even after a failed count."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        counted_flops(Arm(attention="mha"), SMALL)
        monkeypatch.setattr(counting, "random_inputs", lambda _: torch.empty(1, 3, 16, 16))
        with pytest.raises(ValueError, match="image has shape"):
            counted_flops(Arm(), SMALL)
        assert torch.backends.mha.get_fastpath_enabled() is enabled
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def test_counting_leaves_the_callers_random_numbers_alone() -> None:
    """Counting does not advance the global generator."""
    before = torch.random.get_rng_state()
    counted_flops(Arm(), SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_users_own_arms_are_not_counted() -> None:
    """A user's own arm has no arithmetic and is not compared."""
    own = Workload(component="own", mode="forward", device="cpu", inputs="1,197,768")
    with pytest.raises(ValueError, match="not a part of vitcore"):
        disagreement(own, 0)


@pytest.mark.parametrize("mode", costs.MODES)
def test_modules_with_parametrizations_are_counted_as_they_run(mode: str) -> None:
    """A computed weight costs products as another does, in inference and in training."""
    module = weight_norm(nn.Linear(8, 4, bias=False))
    workload = Workload(component="callable", mode=mode, device="cpu", inputs="3,8")
    arm = Candidate(Arm(), workload, module, Inputs(args=(torch.ones(3, 8),)))
    arm.rehearse()
    # Backward has one more: the inputs need no gradient.
    assert counted_by_running(arm) == 2 * 3 * 8 * 4 * (2 if mode == "train" else 1)
