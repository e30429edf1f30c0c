"""Placebos: arms of known cost, with which ``vitbench calibrate`` tests the suite itself. No torch.

A placebo computes the same mathematics with the same kernels on the same shapes as the baseline, in
other Python code: its true speed-up is 1, but unlike a copy of the baseline it represents a
candidate. A slower arm computes 5 % more products than the baseline's attention. Its truth is
the ratio of the two numbers of floating-point operations; its time also has one more kernel call.

``bench.arms.placebos`` builds them. No other command takes them, and no part of vitcore is one.
"""

from collections.abc import Iterator
from dataclasses import replace

from bench.records.comparison import MODEL, PLACEBO, Arm, Comparison, Workload
from bench.suite.work import config_for
from vitcore.config import VARIANTS, ViTConfig

# Placebos by the part of the model in which they stand.
PLACEBOS = {
    "patcher": ("patcher_functions", "patcher_wrapped"),
    "attention": ("attention_functions", "attention_rows", "attention_wrapped"),
    "block": ("block_functions", "block_wrapped"),
}
# Arms of the attention with more products: before its own ones, and after them.
SLOWER = ("attention_slower_before", "attention_slower_after")
EXTRA_SHARE = 0.05
# All placebos are this arm in other code.
BASELINE = Arm(attention="sdpa")

# Variant and batch size, cheap ones among expensive ones, so that any first few are a mixture. Of a
# default run's workloads those of the highest cost are left out: H/14 and L/16 at batch 8.
WORKLOADS = (
    ("B/16", 1),
    ("L/16", 1),
    ("B/32", 4),
    ("H/14", 1),
    ("B/16", 4),
    ("L/32", 2),
    ("B/32", 1),
    ("B/16", 2),
    ("L/32", 1),
    ("L/16", 2),
    ("B/32", 8),
    ("B/16", 3),
    ("L/32", 4),
    ("B/32", 2),
    ("L/32", 3),
    ("B/32", 6),
)


def workload_of(variant: str, batch_size: int, device: str, image_size: int) -> Workload:
    """Return the forward call of a variant's model."""
    return Workload(
        component="model",
        variant=variant,
        patch_size=VARIANTS[variant]["patch_size"],
        image_size=image_size,
        batch_size=batch_size,
        mode="forward",
        device=device,
    )


def comparisons_of(workload: Workload) -> Iterator[Comparison]:
    """Yield for each part of a model its control, its placebos and its slower arms."""
    for component, placebos in PLACEBOS.items():
        slower = SLOWER if component == "attention" else ()
        for name in (BASELINE.placebo, *placebos, *slower):
            yield Comparison(
                factor=PLACEBO,
                workload=replace(workload, component=component),
                baseline=BASELINE,
                arm=replace(BASELINE, placebo=name),
                cache=MODEL,
            )


def extra_features(config: ViTConfig) -> int:
    """Return the features that a slower arm projects every token to, beyond the attention's own.

    An attention multiplies each of N tokens of D features with 4 D columns of its projections, and
    with N keys and N values: N D (4 D + 2 N) products. A further column is N D more.
    """
    return round(EXTRA_SHARE * _columns(config))


def true_speedup(comparison: Comparison) -> float:
    """Return baseline time / arm time of a comparison of placebos, by floating-point operations."""
    if comparison.arm.placebo not in SLOWER:
        return 1.0
    config = config_for(comparison.workload)
    return 1 / (1 + extra_features(config) / _columns(config))


def _columns(config: ViTConfig) -> int:
    return 4 * config.width + 2 * config.tokens
