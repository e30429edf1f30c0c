"""Calibration: measure comparisons with known answers like any others, and score the methods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.calibration import Trial, rates
from bench.records.calibration import Rate
from bench.records.comparison import OWN_FACTOR, Arm, Comparison, Workload
from bench.records.errors import InputError
from bench.runs.checks import check_budget
from bench.runs.run import Progress, execute
from bench.runs.settings import RunSettings, run_folder
from bench.runs.state import RunState, load
from bench.runs.tasks import probe
from bench.suite.availability import check_devices
from bench.usercode.spec import FunctionRef, parse_arm


@dataclass(frozen=True)
class StackPair:
    """Two stacks with a known speed-up, their number of comparisons in ten minutes, and a weight.

    ``weight`` is the time of one comparison / the time of one of identical arms.
    """

    truth: float
    baseline: str
    arm: str
    in_ten_minutes: int
    weight: float


# In nine minutes of measuring, identical arms get about 3 s each, slow-downs of 5 % 18 s and of 2 %
# 52 s: less than the 20 and 60 s in which they should be found.
_STACKS = "bench.suite.stacks"
STACK_PAIRS = (
    StackPair(1.0, "linear_20", "linear_20", 40, 1.0),
    StackPair(20 / 21, "linear_20", "linear_21", 8, 5.5),
    StackPair(50 / 51, "linear_50", "linear_51", 4, 16.0),
)
_TEN_MINUTES_S = 600.0
# Rows of the input: several sizes, so that the result does not depend on one.
_ROWS = (128, 160, 192, 224, 256)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A calibration's run and its rates."""

    results: RunState
    rates: tuple[Rate, ...]


def comparisons(budget_s: float, device: str) -> Iterator[tuple[Comparison, float]]:
    """Yield the comparisons that the budget covers, including controls, with their weights."""
    for kind in STACK_PAIRS:
        count = max(round(kind.in_ten_minutes * budget_s / _TEN_MINUTES_S), 2)
        for place in range(count):
            rows = _ROWS[place % len(_ROWS)]
            if place < len(_ROWS) and kind.truth != STACK_PAIRS[1].truth:
                yield _comparison(kind, kind.baseline, rows, device), STACK_PAIRS[0].weight
            yield _comparison(kind, f"{kind.arm}#{place + 2}", rows, device), kind.weight


def _comparison(kind: StackPair, arm: str, rows: int, device: str) -> Comparison:
    return Comparison(
        factor=OWN_FACTOR,
        workload=Workload(
            component="callable", mode="forward", device=device, inputs=f"{rows},256"
        ),
        baseline=Arm(factory=f"{_STACKS}:{kind.baseline}"),
        arm=Arm(factory=f"{_STACKS}:{arm}"),
        cache="warm",
        # Stacks of different length compute different things; their relative cost is what counts.
        allow_different=True,
    )


def calibrate(settings: RunSettings, device: str, progress: Progress) -> Calibration:
    """Measure comparisons with known answers, and score every method on them.

    Raises like ``bench.runs.run.run``.
    """
    environment = probe()
    check_devices((device,), environment.devices)
    check_budget(settings.budget_s, settings.passes, environment)
    weights = dict(comparisons(settings.budget_s, device))
    with run_folder(settings.folder) as folder:
        plan = replace(
            settings.plan(folder, tuple(weights)),
            weights={each.key: weight for each, weight in weights.items()},
        )
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
        truth = _truth(comparison)
        # Some methods compare the first half of one arm's times with the second half of another's.
        samples = tuple(s for s in results.samples if s.key == comparison.key and len(s.arm_s) > 1)
        if truth is not None and samples:
            group = controls if comparison.is_control else trials
            group.append(Trial(key=comparison.key, truth=truth, samples=samples))
    return _scored(results.folder, trials, controls)


def _truth(comparison: Comparison) -> float | None:
    """Return the known speed-up of a comparison of stacks; None of any other."""
    if comparison.factor != OWN_FACTOR:
        return None
    if comparison.is_control:
        return 1.0
    # A stack keeps its function's name when its module moves, so that old journals still count.
    names = [_function(arm.factory) for arm in (comparison.baseline, comparison.arm)]
    return next((kind.truth for kind in STACK_PAIRS if [kind.baseline, kind.arm] == names), None)


def _function(factory: str | None) -> str | None:
    code = parse_arm(factory).code if factory else None
    return code.name if isinstance(code, FunctionRef) else None


def _scored(folder: Path, trials: Sequence[Trial], controls: Sequence[Trial]) -> tuple[Rate, ...]:
    if not trials or not controls:
        raise InputError(
            f"{folder} holds no calibration with measured pairs; make one with: vitbench calibrate"
        )
    return tuple(rates(trials, controls))
