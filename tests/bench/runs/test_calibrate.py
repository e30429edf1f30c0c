"""bench.runs.calibrate: the comparisons of a calibration, their known speed-up and scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.calibration import JUDGES
from bench.files.run_folder import create_run_folder
from bench.records.calibration import Method
from bench.records.comparison import Arm, Comparison, Sample
from bench.records.errors import InputError
from bench.runs import calibrate
from bench.runs.calibrate import STACK_PAIRS, comparisons
from helpers.journals import append_sample
from helpers.records import (
    make_comparison,
    make_environment,
    make_plan,
    make_sample,
)

TEN_MINUTES_S = 600.0


def truth_of(comparison: Comparison) -> float | None:
    """Return the speed-up by the stacks' names; None for a control."""
    if comparison.is_control:
        return None
    layers = [
        int(name.partition("#")[0].rpartition("_")[2])
        for name in (comparison.baseline_name, comparison.arm_name)
    ]
    return layers[0] / layers[1]


@pytest.mark.parametrize(
    "kind", STACK_PAIRS, ids=lambda kind: f"{kind.arm}-against-{kind.baseline}"
)
def test_truths_are_those_of_the_stacks(kind: calibrate.StackPair) -> None:
    """The known speed-up of a kind is the ratio of its layer counts."""
    layers = [int(name.rpartition("_")[2]) for name in (kind.baseline, kind.arm)]
    assert kind.truth == layers[0] / layers[1]


def test_ten_minutes() -> None:
    """Ten minutes hold each kind's stated number of comparisons, and a control per baseline."""
    found = Counter(truth_of(each) for each, _ in comparisons(TEN_MINUTES_S, "cpu"))
    assert {kind.truth: found[kind.truth] for kind in STACK_PAIRS} == {
        kind.truth: kind.in_ten_minutes for kind in STACK_PAIRS
    }
    controls = [each for each, _ in comparisons(TEN_MINUTES_S, "cpu") if each.is_control]
    baselines = {f"bench.suite.stacks:{kind.baseline}" for kind in STACK_PAIRS}
    assert {each.baseline_name for each in controls} == baselines
    assert found[None] == len(controls) >= 5


@pytest.mark.parametrize("budget_s", [60.0, 600.0, 3600.0])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_keys_are_unique(budget_s: float, device: str) -> None:
    """At any length all keys are distinct and all comparisons are on the given device."""
    found = [each for each, _ in comparisons(budget_s, device)]
    assert len({each.key for each in found}) == len(found)
    assert {each.workload.device for each in found} == {device}
    assert {each.allow_different for each in found} == {True}


def test_more_time_is_more_comparisons() -> None:
    """An hour has six times the comparisons of each kind; ten seconds still have two of each."""
    hour, minute = (
        Counter(truth_of(each) for each, _ in comparisons(budget_s, "cpu"))
        for budget_s in (3600.0, 10.0)
    )
    for kind in STACK_PAIRS:
        assert hour[kind.truth] == 6 * kind.in_ten_minutes
        assert minute[kind.truth] == 2


def test_small_differences_get_more_time() -> None:
    """A comparison has its kind's weight; a control has the weight of identical arms."""
    weights = {kind.truth: kind.weight for kind in STACK_PAIRS}
    for each, weight in comparisons(TEN_MINUTES_S, "cpu"):
        assert weight == weights[truth_of(each) or 1.0]
    assert weights[1.0] < weights[20 / 21] < weights[50 / 51]


def measured(comparison: Comparison, index: int) -> Sample:
    """Build a sample whose times have the known speed-up of the stacks."""
    baseline_s = 0.01 * (truth_of(comparison) or 1.0)
    wave = [1 + 0.001 * ((place * 7 + index) % 5 - 2) for place in range(12)]
    return make_sample(
        comparison,
        index,
        baseline_s=tuple(baseline_s * each for each in wave),
        arm_s=(0.01,) * 12,
    )


def calibration_in(folder: Path, chosen: Sequence[Comparison], samples: Sequence[Sample]) -> Path:
    """Create a run's folder with these comparisons and samples."""
    create_run_folder(folder, make_plan(comparisons=tuple(chosen)), make_environment())
    for sample in samples:
        append_sample(folder / "journal.jsonl", sample)
    return folder


def test_a_calibration_is_scored_again_from_its_journal(tmp_path: Path) -> None:
    """Every method's rates for every kind of trial follow from the journal alone."""
    chosen = [each for each, _ in comparisons(60.0, "cpu")]
    samples = [measured(each, index) for index in range(2) for each in chosen]
    found = calibrate.read(calibration_in(tmp_path / "run", chosen, samples))
    assert {(rate.method, rate.truth) for rate in found.rates} == {
        (method, kind.truth) for method in JUDGES for kind in STACK_PAIRS
    }
    ours = {rate.truth: rate for rate in found.rates if rate.method == next(iter(JUDGES))}
    assert ours[1.0].different == 0
    assert ours[20 / 21].slower == ours[20 / 21].trials == 2
    assert len(found.results.records) == len(chosen)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "crashed", "baseline_s": (), "arm_s": ()},
        {"baseline_s": (0.01,), "arm_s": (0.01,)},
    ],
    ids=["crashed", "one pair"],
)
def test_unmeasured_comparisons_are_not_trials(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Failed, skipped and too short comparisons do not count in any rate."""
    chosen = [each for each, _ in comparisons(60.0, "cpu")]
    candidates = [each for each in chosen if not each.is_control]
    samples = [measured(each, 0) for each in chosen if each not in candidates[:1]]
    lost = make_sample(candidates[0], **changes)
    found = calibrate.read(calibration_in(tmp_path / "run", chosen, [*samples, lost]))
    same = next(rate for rate in found.rates if rate.truth == 1.0)
    assert same.trials == sum(truth_of(each) == 1.0 for each in candidates) - 1


@pytest.mark.parametrize(
    ("baseline", "arm", "trials"),
    [("linear_20", "linear_22", 0), ("linear_21", "linear_20", 0), ("linear_20", "linear_21#3", 1)],
)
def test_only_stacks_of_known_speed_up_are_trials(
    tmp_path: Path, baseline: str, arm: str, trials: int
) -> None:
    """Other pairs of stacks are not trials; the number of a copy is ignored."""
    arms = [Arm(factory=f"old.place:{name}") for name in (baseline, arm)]
    other = replace(CANDIDATES[0], baseline=arms[0], arm=arms[1])
    samples = [measured(each, 0) for each in CALIBRATION] + [make_sample(other)]
    folder = calibration_in(tmp_path / "run", [*CALIBRATION, other], samples)
    ours = [rate for rate in calibrate.read(folder).rates if rate.method is Method.RUN]
    assert sum(rate.trials for rate in ours) == len(CANDIDATES) + trials


CALIBRATION = [each for each, _ in comparisons(60.0, "cpu")]
CANDIDATES = [each for each in CALIBRATION if not each.is_control]
OTHERS = [make_comparison("mha"), make_comparison("manual")]


@pytest.mark.parametrize(
    ("chosen", "samples"),
    [
        (CALIBRATION, []),
        (CALIBRATION, [measured(each, 0) for each in CANDIDATES]),
        (OTHERS, [make_sample(each) for each in OTHERS]),
    ],
    ids=["nothing measured", "no controls", "another run"],
)
def test_a_run_without_a_calibration_is_refused(
    tmp_path: Path, chosen: list[Comparison], samples: list[Sample]
) -> None:
    """The error has the command that makes a calibration."""
    folder = calibration_in(tmp_path / "run", chosen, samples)
    with pytest.raises(InputError, match=r"holds no calibration .*make one with: vitbench calibr"):
        calibrate.read(folder)
