"""Work of a workload by arithmetic: configuration, parameters, FLOPs, minimum bytes. No torch."""

from typing import Any

from bench.records.comparison import Arm, Workload
from vitcore import costs
from vitcore.config import ViTConfig

# Bytes of a parameter and of an activation element. Autocast halves only the latter.
_BYTES = {
    "fp32": (4, 4),
    "tf32": (4, 4),
    "amp_bf16": (4, 2),
    "amp_fp16": (4, 2),
    "bf16": (2, 2),
}
# Reads and writes of each parameter by an optimizer, those of its own state included.
_ADAMW_PASSES, _SGD_PASSES = 7, 5


def config_for(workload: Workload, **changes: Any) -> ViTConfig:
    """Return the configuration of the model that a workload's component belongs to.

    Raises ValueError for the workload of a user's own arms, which have none.
    """
    if workload.variant is None:
        raise ValueError(f"{workload} is not a part of vitcore")
    return ViTConfig.from_name(workload.variant, image_size=workload.image_size, **changes)


def repeats(variant: str, whole: str, part: str) -> int:
    """Return how often a part occurs in a model or a block."""
    if whole == "model":
        return ViTConfig.from_name(variant).depth if part in ("attention", "block") else 1
    return int(part == "attention")


def parameters(workload: Workload) -> int:
    """Return the number of parameters of a workload's component."""
    return int(getattr(costs, workload.component)(config_for(workload)).parameters)


def flops(workload: Workload) -> float:
    """Return the floating-point operations of one call; recomputation counts once."""
    config, component = config_for(workload), workload.component
    if workload.mode == "train":
        macs = costs.training_macs(config, component)
    else:
        macs = costs.cost_of(config, component).macs
    return 2.0 * macs * (workload.batch_size or 1)


def least_bytes(workload: Workload, arm: Arm) -> float:
    """Return the minimum memory traffic of one call in bytes (see ``costs.moved_bytes``)."""
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
