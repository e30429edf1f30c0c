"""Checks the arithmetic's FLOPs against what torch's FlopCounterMode sees of the built module.

The module is built and called on torch's meta device, which has shapes and no numbers: there no
fused kernel hides a product, so that every torch and every machine counts alike.
"""

from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.arms.building import build_module, random_inputs
from bench.arms.candidate import Candidate
from bench.arms.levels import pinned_kernel
from bench.records.comparison import Arm, Workload
from bench.suite.work import flops


def counted_flops(arm: Arm, workload: Workload) -> int:
    """FLOPs of one call, counted: forward, or in mode ``train`` forward and backward.

    Of the arm only patcher and attention count: nothing is compiled, nothing is computed twice for
    want of memory, and the optimizer has no products. Raises ValueError for a user's own arms.
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
    """FLOPs of one call of any arm as it runs.

    Without the fast path of nn.MultiheadAttention, which the counter does not see into; what is
    compiled hides its products as well. Raises ValueError where nothing is seen that has any.
    """
    counter = FlopCounterMode(display=False)
    with pinned_kernel("no_fast_path")(), counter:
        arm.rehearse()
    if not counter.get_total_flops():
        raise ValueError("FlopCounterMode knows no operation of it")
    return int(counter.get_total_flops())


def disagreement(arm: Arm, workload: Workload) -> str | None:
    """One line where arithmetic and counter differ, by however little; None where they agree.

    Raises ValueError for a user's own arms.
    """
    expected, counted = flops(workload), counted_flops(arm, workload)
    if expected == float(counted):
        return None
    return f"FLOPs: {expected:,.0f} by arithmetic, {counted:,} by FlopCounterMode"
