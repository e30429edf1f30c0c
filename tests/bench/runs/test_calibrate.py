"""bench.runs.calibrate: the comparisons of a calibration, their known speed-up and scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.calibration import JUDGES
from bench.cli.output import progress
from bench.files.run_folder import create_run_folder
from bench.records.calibration import Kind, Method
from bench.records.comparison import Arm, Comparison
from bench.records.errors import InputError
from bench.records.sample import Sample
from bench.runs import calibrate
from bench.runs.calibrate import comparisons
from bench.runs.settings import RunSettings
from bench.suite.placebos import SLOWER, WORKLOADS, true_speedup
from helpers.journals import append_sample
from helpers.records import make_comparison, make_environment, make_plan, make_sample

MINUTE_S = 60.0
KINDS = (Kind.COPY, Kind.PLACEBO, Kind.SLOWER)


def kind_of(comparison: Comparison) -> Kind:
    """Return the kind of a comparison of placebos, by the arm's name."""
    if comparison.is_control:
        return Kind.COPY
    return Kind.SLOWER if comparison.arm.placebo in SLOWER else Kind.PLACEBO


@pytest.mark.parametrize(
    ("minutes", "copies", "placebos", "slower"), [(10, 18, 42, 12), (25, 45, 105, 30)]
)
def test_trials(minutes: int, copies: int, placebos: int, slower: int) -> None:
    """Ten minutes hold as many workloads as a run; 25 over a hundred placebos."""
    found = Counter(map(kind_of, comparisons(minutes * MINUTE_S, "cpu")))
    assert found == {Kind.COPY: copies, Kind.PLACEBO: placebos, Kind.SLOWER: slower}


@pytest.mark.parametrize("budget_s", [10.0, 60.0, 600.0, 3600.0])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_keys_are_unique(budget_s: float, device: str) -> None:
    """At any length all keys are distinct and all comparisons are on the given device."""
    found = comparisons(budget_s, device, 64)
    assert len({each.key for each in found}) == len(found)
    assert {each.workload.device for each in found} == {device}
    assert {each.workload.image_size for each in found} == {64}


@pytest.mark.parametrize(
    ("budget_s", "workloads"), [(5.0, 1), (200.0, 2), (300.0, 3), (600.0, 6), (3600.0, 16)]
)
def test_less_time_is_fewer_workloads(budget_s: float, workloads: int) -> None:
    """The time of each workload stays that of a run, until there are no more workloads."""
    found = comparisons(budget_s, "cpu")
    works = dict.fromkeys((c.workload.variant, c.workload.batch_size) for c in found)
    assert list(works) == list(WORKLOADS[:workloads])


def measured(comparison: Comparison, index: int) -> Sample:
    """Build a sample whose times have the known speed-up, of a part of a third of the model."""
    baseline_s = 0.01 * true_speedup(comparison)
    wave = [1 + 0.001 * ((place * 7 + index) % 5 - 2) for place in range(12)]
    return make_sample(
        comparison,
        index,
        baseline_s=tuple(baseline_s * each for each in wave),
        arm_s=(0.01,) * 12,
        share=1 / 3,
    )


def calibration_in(folder: Path, chosen: Sequence[Comparison], samples: Sequence[Sample]) -> Path:
    """Create a run's folder with these comparisons and samples."""
    create_run_folder(folder, make_plan(comparisons=tuple(chosen)), make_environment())
    for sample in samples:
        append_sample(folder / "journal.jsonl", sample)
    return folder


CALIBRATION = comparisons(200.0, "cpu")
CANDIDATES = [each for each in CALIBRATION if not each.is_control]


def test_a_calibration_is_scored_again_from_its_journal(tmp_path: Path) -> None:
    """Every method's rates for every kind of trial follow from the journal alone."""
    samples = [measured(each, index) for index in range(2) for each in CALIBRATION]
    found = calibrate.read(calibration_in(tmp_path / "run", CALIBRATION, samples))
    *rates, difference = found.rates
    assert [(rate.method, rate.kind) for rate in rates] == [
        (method, kind) for method in JUDGES for kind in KINDS
    ]
    assert difference.kind is Kind.DIFFERENCE
    copies, placebos, slower = rates[:3]
    assert (copies.different, placebos.different) == (0, 0)
    assert slower.slower == slower.trials == 2 * len(SLOWER)
    assert slower.truth == pytest.approx(1 / 1.05, abs=2e-4)
    assert slower.of_whole_truth == pytest.approx(1 / (1 + 0.05 / 3) - 1, abs=1e-4)
    assert slower.of_whole == pytest.approx(slower.of_whole_truth, abs=1e-3)
    assert len(found.results.records) == len(CALIBRATION)


def test_the_verdicts_are_those_of_the_rows(tmp_path: Path) -> None:
    """The first method says of every trial what results.csv says of it."""
    samples = [measured(each, index) for index in range(3) for each in CALIBRATION]
    found = calibrate.read(calibration_in(tmp_path / "run", CALIBRATION, samples))
    rows = zip(map(kind_of, CALIBRATION), found.results.records, strict=True)
    said = Counter((kind, row.verdict) for kind, row in rows)
    for rate in found.rates[:3]:
        assert rate.slower == said[rate.kind, "slower"]
        assert rate.different == rate.slower + said[rate.kind, "faster"]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "crashed", "baseline_s": (), "arm_s": ()},
        {"baseline_s": (0.01,), "arm_s": (0.01,)},
        {"uneven": tuple(range(6))},
    ],
    ids=["crashed", "one pair", "uneven load"],
)
def test_unmeasured_comparisons_are_not_trials(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Failed, skipped and too short comparisons do not count, nor those that get no verdict."""
    placebos = [each for each in CANDIDATES if kind_of(each) is Kind.PLACEBO]
    samples = [measured(each, 0) for each in CALIBRATION if each != placebos[0]]
    lost = make_sample(placebos[0], **changes)
    found = calibrate.read(calibration_in(tmp_path / "run", CALIBRATION, [*samples, lost]))
    same = next(rate for rate in found.rates if rate.kind is Kind.PLACEBO)
    assert same.trials == len(placebos) - 1


def stacks(baseline: str, arm: str) -> Comparison:
    """Return a comparison of an earlier version: stacks of layers, in a module long moved."""
    arms = [Arm(factory=f"old.place:{name}") for name in (baseline, arm)]
    sizes: dict[str, Any] = dict.fromkeys(("variant", "patch_size", "image_size", "batch_size"))
    made = make_comparison(factor="factory", component="callable", inputs="128,256", **sizes)
    return replace(made, baseline=arms[0], arm=arms[1], allow_different=True)


@pytest.mark.parametrize(
    ("baseline", "arm", "kind", "truth"),
    [
        ("linear_20", "linear_20#2", Kind.SAME_STACK, 1.0),
        ("linear_20", "linear_21#3", Kind.STACK_21, 20 / 21),
        ("linear_50", "linear_51#3", Kind.STACK_51, 50 / 51),
        ("linear_20", "linear_22", None, None),
        ("linear_21", "linear_20", None, None),
    ],
)
def test_calibrations_of_earlier_versions(
    tmp_path: Path, baseline: str, arm: str, kind: Kind | None, truth: float | None
) -> None:
    """Their stacks are still scored, the number of a copy ignored; controls are no trials."""
    compared = [
        stacks(baseline, baseline),
        stacks("linear_20", "linear_20#9"),
        stacks(baseline, arm),
    ]
    samples = [make_sample(each, index) for each in compared for index in range(2)]
    found = calibrate.read(calibration_in(tmp_path / "run", compared, samples)).rates
    ours = {rate.kind: rate for rate in found if rate.method is Method.RUN}
    assert ours.keys() == {Kind.SAME_STACK, *([kind] if kind else [])}
    if kind:
        assert ours[kind].trials == 1 + (kind is Kind.SAME_STACK)
        assert ours[kind].truth == truth


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
    tmp_path: Path, chosen: Sequence[Comparison], samples: list[Sample]
) -> None:
    """The error has the command that makes a calibration."""
    folder = calibration_in(tmp_path / "run", chosen, samples)
    with pytest.raises(InputError, match=r"holds no calibration .* with: vitbench calibrate"):
        calibrate.read(folder)


@pytest.mark.slow
@pytest.mark.long
def test_a_small_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh processes measure one small model's placebos inside it, each with its share."""
    # Other tests may load this machine; that is no matter here.
    monkeypatch.setattr(calibrate, "is_withheld", lambda _: False)
    settings = RunSettings(
        budget_s=45.0, passes=2, seed=0, command="test", folder=tmp_path / "run", lock=False
    )
    found = calibrate.calibrate(settings, "cpu", progress(), image_size=32)
    assert [row.status for row in found.results.records] == ["ok"] * len(found.results.records)
    counts = {rate.kind: rate.trials for rate in found.rates if rate.method is Method.RUN}
    # Arms that were drawn for unequal numbers of blocks have no difference from the same calls.
    assert 0 < counts.pop(Kind.DIFFERENCE) <= 5
    assert counts == {Kind.COPY: 3, Kind.PLACEBO: 7, Kind.SLOWER: 2}
    for sample in found.results.samples:
        assert sample.share is not None
        assert len(sample.arm_s) >= 2
    assert calibrate.read(tmp_path / "run").rates == found.rates
