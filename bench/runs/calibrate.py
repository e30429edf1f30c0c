"""Calibration: measure arms of known cost as a run measures candidates, and score the methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.calibration import Trial, rates
from bench.analysis.uneven_load import is_withheld
from bench.records.calibration import Kind, Rate
from bench.records.comparison import OWN_FACTOR, PLACEBO, USUAL_PIXELS, Comparison
from bench.records.errors import InputError
from bench.runs.checks import check_budget
from bench.runs.run import Progress, execute
from bench.runs.settings import RunSettings, run_folder
from bench.runs.state import RunState, load
from bench.runs.tasks import probe
from bench.suite.availability import check_devices
from bench.suite.placebos import SLOWER, WORKLOADS, comparisons_of, true_speedup, workload_of
from bench.usercode.spec import FunctionRef, parse_arm

# A default run has six workloads. A shorter calibration has fewer, a longer one more: the time of
# each stays that of a run.
_WORKLOADS_PER_S = 6 / 600.0
# Truth of the stacks of layers that earlier versions compared, by the names of their functions.
_STACKS = {
    ("linear_20", "linear_20"): (Kind.SAME_STACK, 1.0),
    ("linear_50", "linear_51"): (Kind.STACK_51, 50 / 51),
    ("linear_20", "linear_21"): (Kind.STACK_21, 20 / 21),
}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A calibration's run and its rates."""

    results: RunState
    rates: tuple[Rate, ...]


def comparisons(
    budget_s: float, device: str, image_size: int = USUAL_PIXELS
) -> tuple[Comparison, ...]:
    """Return the comparisons that the budget covers, with their controls."""
    count = max(round(_WORKLOADS_PER_S * budget_s), 1)
    works = [workload_of(*each, device, image_size) for each in WORKLOADS[:count]]
    return tuple(each for work in works for each in comparisons_of(work))


def calibrate(
    settings: RunSettings, device: str, progress: Progress, image_size: int = USUAL_PIXELS
) -> Calibration:
    """Measure comparisons with known answers, and score every method on them.

    Raises like ``bench.runs.run.run``.
    """
    environment = probe()
    check_devices((device,), environment.devices)
    check_budget(settings.budget_s, settings.passes, environment)
    with run_folder(settings.folder) as folder:
        plan = settings.plan(folder, comparisons(settings.budget_s, device, image_size))
        results = execute(plan, environment, folder, progress, lock=settings.lock)
    return Calibration(results=results, rates=_rates(results))


def read(folder: Path) -> Calibration:
    """Score a calibration again from its journal. Raises InputError for another folder."""
    results = load(folder)
    return Calibration(results=results, rates=_rates(results))


def _rates(results: RunState) -> tuple[Rate, ...]:
    trials: list[Trial] = []
    controls: list[Trial] = []
    for comparison in results.plan.comparisons:
        found = _kind_and_truth(comparison)
        # Some methods compare the first half of one arm's times with the second half of another's.
        samples = tuple(s for s in results.samples if s.key == comparison.key and len(s.arm_s) > 1)
        # Under load that does not cancel a run gives no verdict.
        if found is None or not samples or is_withheld(samples):
            continue
        trial = Trial(comparison=comparison, kind=found[0], truth=found[1], samples=samples)
        if comparison.is_control:
            controls.append(trial)
        if trial.kind is Kind.COPY or not comparison.is_control:
            trials.append(trial)
    return _scored(results.folder, trials, controls)


def _kind_and_truth(comparison: Comparison) -> tuple[Kind, float] | None:
    """Return the kind and the true speed-up of a calibration's comparison; None of any other."""
    if comparison.factor == PLACEBO:
        if comparison.is_control:
            return Kind.COPY, 1.0
        is_slower = comparison.arm.placebo in SLOWER
        return Kind.SLOWER if is_slower else Kind.PLACEBO, true_speedup(comparison)
    if comparison.factor != OWN_FACTOR:
        return None
    # A copy has its function's name, and a stack keeps it when its module moves.
    baseline, arm = (_function(arm.factory) for arm in (comparison.baseline, comparison.arm))
    return (Kind.SAME_STACK, 1.0) if comparison.is_control else _STACKS.get((baseline, arm))


def _function(factory: str | None) -> str:
    code = parse_arm(factory).code if factory else None
    return code.name if isinstance(code, FunctionRef) else ""


def _scored(folder: Path, trials: Sequence[Trial], controls: Sequence[Trial]) -> tuple[Rate, ...]:
    if not trials or not controls:
        raise InputError(
            f"{folder} holds no calibration with measured pairs that load left usable; stop other "
            "programs, then make one with: vitbench calibrate"
        )
    return tuple(rates(trials, controls))
