"""A user's own arms: files with factories, and comparisons of them."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

from bench.records.comparison import Arm, Comparison, Workload
from bench.usercode.spec import inputs_for, read_arm


def write(path: Path, code: str) -> Path:
    """Write a Python file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(code), encoding="utf-8")
    return path


def compare(
    baseline: str,
    arm: str,
    inputs: str | None = "2,8",
    *,
    mode: str = "forward",
    precision: str = "fp32",
    allow_different: bool = False,
    weights: str = "auto",
) -> Comparison:
    """Build a CPU comparison of two named arms; inputs of None are inferred."""
    if inputs is None:
        inputs = inputs_for(None, [read_arm(baseline), read_arm(arm)]).text
    named = Arm(factory=baseline, precision=precision)
    return Comparison(
        factor="factory",
        workload=Workload(component="callable", mode=mode, device="cpu", inputs=inputs),
        baseline=named,
        arm=replace(named, factory=arm),
        cache="warm",
        allow_different=allow_different,
        weights=weights,
    )
