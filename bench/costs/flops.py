"""Check the FLOPs from arithmetic against torch's FlopCounterMode on the built module.

The module is built and called on torch's meta device, which has shapes but no data: no fused kernel
hides a product there, so that the count is the same for every torch and machine.
"""

from contextlib import nullcontext
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.arms.building import build_module, random_inputs
from bench.arms.candidate import Candidate
from bench.arms.levels import pinned_kernel
from bench.records.comparison import Arm, Workload
from bench.suite.work import flops


def counted_flops(arm: Arm, workload: Workload) -> int:
    """Count the FLOPs of one call: forward, or in mode ``train`` forward and backward.

    Only the arm's patcher and attention matter: nothing is compiled or recomputed, and the
    optimizer has no products. Raises ValueError for a user's own arms.
    """
    on_meta, trains = replace(workload, device="meta"), workload.mode == "train"
    module = build_module(arm, on_meta).train(trains)
    with torch.device("meta"):
        input_BX = random_inputs(on_meta)
    counter = FlopCounterMode(display=False)
    with pinned_kernel("no_fast_path")(), torch.set_grad_enabled(trains), counter:
        output = module(input_BX)
        if trains:
            output.sum().backward()
    return int(counter.get_total_flops())


def counted_by_running(arm: Candidate) -> int:
    """Count the FLOPs of one call of any arm as it runs.

    The fast path of nn.MultiheadAttention, which hides its products, is off; compiled code hides
    its products, too. Raises ValueError if the counter recognises no operator.
    """
    counter = FlopCounterMode(display=False)
    # The counter loses modules with parametrizations in inference mode.
    gradients = nullcontext() if arm.trains or arm.forward.level else torch.no_grad()
    with pinned_kernel("no_fast_path")(), gradients, counter:
        arm.rehearse() if arm.trains else arm.once()
    if not counter.get_total_flops():
        raise ValueError("FlopCounterMode recognises none of its operators")
    return int(counter.get_total_flops())


def disagreement(workload: Workload, counted: int) -> str | None:
    """Return one line if arithmetic and the counter's FLOPs differ by any amount, else None.

    Raises ValueError for a user's own arms.
    """
    expected = flops(workload)
    if expected == float(counted):
        return None
    return f"FLOPs: {expected:,.0f} by arithmetic, {counted:,} by FlopCounterMode"
