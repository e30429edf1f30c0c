"""Work of a workload by arithmetic: configuration, parameters, FLOPs, least bytes."""

from typing import Any

from bench.records.comparison import (
    Arm,
    Workload,
)
from vitcore import costs
from vitcore.config import ViTConfig

# Bytes of a parameter and of an activation's value. Autocast keeps the first, and halves the other.
_BYTES = {
    "fp32": (4, 4),
    "tf32": (4, 4),
    "amp_bf16": (4, 2),
    "amp_fp16": (4, 2),
    "bf16": (2, 2),
}
# How often an optimizer reads or writes each parameter, or as many numbers of its own.
_ADAMW_PASSES, _SGD_PASSES = 7, 5


def config_for(workload: Workload, **changes: Any) -> ViTConfig:
    """The model that a workload's component is part of.

    Raises ValueError for the workload of a user's own arms, which is part of none.
    """
    if workload.variant is None:
        raise ValueError(f"{workload} is no part of vitcore")
    return ViTConfig.from_name(workload.variant, image_size=workload.image_size, **changes)


def repeats(variant: str, whole: str, part: str) -> int:
    """How often a part stands in a model or a block."""
    if whole == "model":
        return ViTConfig.from_name(variant).depth if part == "attention" else 1
    return int(part == "attention")


def parameters(workload: Workload) -> int:
    """Parameters of a workload's component, by arithmetic."""
    return int(getattr(costs, workload.component)(config_for(workload)).parameters)


def flops(workload: Workload) -> float:
    """Floating-point operations of one call, by arithmetic; what is computed twice counts once."""
    config, component = config_for(workload), workload.component
    if workload.mode == "train":
        macs = costs.training_macs(config, component)
    else:
        macs = costs.cost_of(config, component).macs
    return 2.0 * macs * (workload.batch_size or 1)


def least_bytes(workload: Workload, arm: Arm) -> float:
    """Bytes that one call of an arm must read and write at least (see ``costs.moved_bytes``)."""
    parameter_bytes, value_bytes = _BYTES[arm.precision]
    return float(
        costs.moved_bytes(
            config_for(workload),
            workload.component,
            batch_size=workload.batch_size or 1,
            mode=workload.mode,
            parameter_bytes=parameter_bytes,
            value_bytes=value_bytes,
            optimizer_passes=_SGD_PASSES if arm.optimizer == "sgd" else _ADAMW_PASSES,
        )
    )
