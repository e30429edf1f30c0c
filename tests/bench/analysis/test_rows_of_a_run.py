"""bench.analysis.rows: a run judged as a whole, by its controls and device by device."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.replication import effect
from bench.analysis.rows import analyse, estimates
from bench.analysis.spread import fit_spread, fit_spreads
from bench.records.comparison import CHOICE, DEFAULT_ARM, Comparison
from bench.records.sample import Sample
from helpers.records import (
    make_analysis,
    make_comparison,
    make_environment,
    make_record,
    make_sample,
)

CONTROL = make_comparison("mha")
CANDIDATES = [make_comparison(name) for name in ("manual", "sdpa")]
ENVIRONMENT = make_environment(gpus=("H200",))


def passes_at(comparison: Comparison, *ratios: float) -> list[Sample]:
    """A pass of equal pairs at each ratio."""
    return [
        make_sample(comparison, index, baseline_s=(0.01 * ratio,) * 6, arm_s=(0.01,) * 6)
        for index, ratio in enumerate(ratios)
    ]


def scattered(comparison: Comparison, seed: int, truth: float = 1.0) -> list[Sample]:
    """Three passes around a speed-up, from processes that differ by half a percent."""
    ratios = truth * np.exp(np.random.default_rng(seed).normal(0, 0.005, 3))
    return passes_at(comparison, *ratios.tolist())


def test_comparisons_lend_each_other_their_spread() -> None:
    """A row's interval uses the spread of all candidates, or of all controls."""
    run = [CONTROL, *CANDIDATES]
    samples = [s for place, each in enumerate(run) for s in scattered(each, place)]
    groups = {each.key: estimates(s for s in samples if s.key == each.key) for each in run}
    copy, *others = groups.values()
    spreads = fit_spreads({"attention": others}, [copy])
    analysis = analyse("run", run, samples, ENVIRONMENT)
    for comparison, row in zip(run, analysis.records, strict=True):
        spread = spreads.controls if comparison.is_control else spreads.of("attention")
        expected = effect(groups[comparison.key], spread)
        assert row.speedup_low == pytest.approx(expected.interval.low)
        assert analysis.widths[comparison.key] == pytest.approx(expected.stopping_width)


def test_stray_controls_widen_every_row() -> None:
    """Stray controls are counted and widen the intervals of candidates too."""
    samples = [*passes_at(CONTROL, 1.1, 1.1, 1.1), *passes_at(CANDIDATES[0], 1.05, 1.05, 1.05)]
    run = [CONTROL, CANDIDATES[0]]
    stray = analyse("run", run, samples, ENVIRONMENT)
    quiet = analyse("run", run, [*passes_at(CONTROL, 1, 1, 1), *samples[3:]], ENVIRONMENT)
    widening = stray.controls["cpu"].widening
    assert (stray.controls["cpu"].strayed, stray.controls["cpu"].count) == (1, 1)
    assert widening > 1
    assert quiet.controls["cpu"].widening == 1
    widths = [math.log((r.speedup_high or 0) / (r.speedup_low or 1)) for r in stray.records[1:]]
    before = [math.log((r.speedup_high or 0) / (r.speedup_low or 1)) for r in quiet.records[1:]]
    assert widths == pytest.approx([widening * each for each in before])


def test_far_stray_controls_withhold_every_verdict() -> None:
    """Controls that stray too far make every measured row undecided."""
    copies = [make_comparison("mha", batch_size=size) for size in (1, 2, 4, 8)]
    samples = [s for each in copies for s in passes_at(each, 1.5, 1.5, 1.5)]
    samples += passes_at(CANDIDATES[0], 3.0, 3.0, 3.0)
    analysis = analyse("run", [*copies, CANDIDATES[0]], samples, ENVIRONMENT)
    assert analysis.controls["cpu"].withheld
    assert {row.verdict for row in analysis.records} == {"undecided"}
    assert analysis.decided == 0


def test_controls_are_not_adjusted_with_candidates() -> None:
    """Controls and candidates do not affect each other's adjustment."""
    copies = [make_comparison("mha", batch_size=size) for size in range(1, 20)]
    samples = [s for place, each in enumerate(copies) for s in scattered(each, place)]
    samples += scattered(CANDIDATES[0], 99, truth=0.9)
    found = analyse("run", [*copies, CANDIDATES[0]], samples, ENVIRONMENT)
    groups = [estimates(s for s in samples if s.key == key) for key in found.widths]
    spreads = fit_spreads({"attention": groups[19:]}, groups[:19])
    for comparison, row in zip([*copies, CANDIDATES[0]], found.records, strict=True):
        spread = spreads.controls if comparison.is_control else spreads.of("attention")
        own = effect(estimates(s for s in samples if s.key == comparison.key), spread)
        widened = own.widened(found.controls["cpu"].widening)
        assert row.p_value == pytest.approx(widened.p_value)


def test_candidates_are_a_family() -> None:
    """The p-values of candidates are adjusted for their number."""
    names = [make_comparison("manual", batch_size=size) for size in range(1, 11)]
    samples = [s for place, each in enumerate(names) for s in scattered(each, place)]
    found = analyse("run", names, samples, ENVIRONMENT)
    alone = analyse("run", names[:1], samples[:3], ENVIRONMENT)
    spread = fit_spread([estimates(samples[i : i + 3]) for i in range(0, 30, 3)])
    raw = [effect(estimates(samples[i : i + 3]), spread).p_value for i in range(0, 30, 3)]
    lowest = min(range(10), key=raw.__getitem__)
    assert raw[lowest] < (found.records[lowest].p_value or 0) <= 10 * raw[lowest] * (1 + 1e-9)
    assert alone.records[0].p_value is not None


def test_factors_have_their_own_spread() -> None:
    """Restless arms of one factor widen the intervals of another far less than their own."""
    arms = [make_comparison("sdpa", batch_size=size) for size in range(1, 9)]
    levels = [make_comparison("bf16", factor="precision", batch_size=n) for n in range(1, 9)]
    calm = [s for place, each in enumerate(arms) for s in scattered(each, place)]
    numbers = np.random.default_rng(0)
    wild = [s for each in levels for s in passes_at(each, *np.exp(numbers.normal(0, 0.1, 3)))]
    widths = analyse("run", [*arms, *levels], [*calm, *wild], ENVIRONMENT).widths
    found = [np.median([widths[each.key] for each in group]) for group in (arms, levels)]
    alone = analyse("run", arms, calm, ENVIRONMENT).widths
    assert found[1] > 5 * found[0]
    assert found[0] < 2.5 * np.median(list(alone.values()))


def test_chosen_combinations_change_no_other_row() -> None:
    """Rows of combinations have a spread of their own, which no other row shares."""
    run = [CONTROL, *CANDIDATES]
    samples = [s for place, each in enumerate(run) for s in scattered(each, place)]
    chosen = [
        Comparison(
            factor=CHOICE,
            workload=CONTROL.workload,
            baseline=DEFAULT_ARM,
            arm=replace(DEFAULT_ARM, precision=precision),
        )
        for precision in ("fp32", "bf16")
    ]
    wild = [s for each in chosen for s in passes_at(each, 1.8, 2.2, 2.0)]
    alone = analyse("run", run, samples, ENVIRONMENT)
    both = analyse("run", [*run, *chosen], [*samples, *wild], ENVIRONMENT)
    assert both.records[:3] == alone.records
    assert both.widths[chosen[1].key] > 3 * both.widths[CANDIDATES[0].key]


def test_devices_are_judged_apart() -> None:
    """Noise and stray controls of one device change nothing on another."""
    here = [CONTROL, *CANDIDATES]
    there = [replace(each, workload=replace(each.workload, device="cuda")) for each in here]
    samples = [s for place, each in enumerate(here) for s in scattered(each, place, 1.001)]
    wild = [s for each in there for s in passes_at(each, 0.5, 1.7, 3.0)]
    alone = analyse("run", here, samples, ENVIRONMENT)
    both = analyse("run", [*here, *there], [*samples, *wild], ENVIRONMENT)
    assert both.records[:3] == alone.records
    assert both.controls["cpu"] == alone.controls["cpu"]
    assert list(both.controls) == ["cpu", "cuda"]


def test_widths_of_measured_comparisons() -> None:
    """A comparison without a pass has no width; a device without controls has none for them."""
    samples = passes_at(CANDIDATES[0], 1.1, 1.2)
    analysis = analyse("run", CANDIDATES, samples, ENVIRONMENT)
    assert list(analysis.widths) == [CANDIDATES[0].key]
    assert analysis.controls["cpu"].count == 0


def test_another_delta() -> None:
    """The band of equivalence is the run's."""
    samples = [s for each in (CONTROL, CANDIDATES[0]) for s in passes_at(each, 1.0, 1.0, 1.0)]
    samples[3:] = passes_at(CANDIDATES[0], 1.05, 1.05, 1.05)
    verdicts = [
        analyse("run", [CONTROL, CANDIDATES[0]], samples, ENVIRONMENT, delta).records[1].verdict
        for delta in (0.02, 0.2)
    ]
    assert verdicts == ["faster", "equivalent"]


def test_decided_verdicts_are_counted() -> None:
    """Verdicts of candidates are counted; 2 % of differences, 5 % of equivalences may be false."""
    verdicts = ["faster", "slower", "equivalent", "undecided", None]
    records = [make_record(verdict=each) for each in verdicts]
    analysis = make_analysis([*records, make_record(arm="mha", verdict="equivalent")])
    assert analysis.decided == 3
    assert analysis.expected_false == pytest.approx(2 * 0.02 + 0.05)
