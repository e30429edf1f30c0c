"""Merge the samples of all passes into the rows of ``results.csv``."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.analysis.estimates import Interval, PassEstimate, estimate_pass
from bench.analysis.judging import judge_run
from bench.analysis.limit_shares import within_limits
from bench.analysis.notes import row_notes, status_and_error, unsteady
from bench.analysis.pooling import with_pooled
from bench.analysis.ratios import with_throughput, with_yardstick
from bench.analysis.replication import Effect, effect
from bench.analysis.row_costs import with_costs
from bench.analysis.row_times import effect_of_whole, times_of
from bench.analysis.spread import fit_spread
from bench.analysis.uneven_load import UnevenLoad, causes, is_withheld, usable
from bench.analysis.verdicts import (
    ALIKE_SHARE,
    FALSE_SHARE,
    Controls,
    Judgement,
)
from bench.records.arm_costs import Survey
from bench.records.comparison import DELTA, SCHEMA, Comparison
from bench.records.environment import Environment
from bench.records.notes import Note, joined
from bench.records.row import Record
from bench.records.sample import Sample


@dataclass(frozen=True)
class Analysis:
    """The results of a run: its rows, the controls of each device, widths and disturbances.

    ``widths`` holds, for each comparison that was measured, the half-width of its interval to stop
    by (of the logarithm: 0.01 is about one percent either way). ``causes`` counts the pairs that
    foreign load disturbed, by cause; a pair may have several. ``left_out`` counts pairs not used.
    """

    records: list[Record]
    controls: dict[str, Controls]
    widths: dict[str, float]
    causes: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    """The notes on each row, by key of its comparison; ``Record.note`` is their text."""
    effects: Mapping[str, Effect] = field(default_factory=dict)
    """The widened effect of each comparison that was measured, by key."""
    uneven: UnevenLoad = field(default_factory=UnevenLoad)

    @property
    def decided(self) -> int:
        """Number of candidates with a verdict other than undecided."""
        return sum(
            not record.is_control and record.verdict not in (None, "undecided")
            for record in self.records
        )

    @property
    def expected_false(self) -> float:
        """Upper bound on the expected number of false verdicts among these."""
        alike = sum(not each.is_control and each.verdict == "equivalent" for each in self.records)
        return FALSE_SHARE * (self.decided - alike) + ALIKE_SHARE * alike


def analyse(
    run_id: str,
    comparisons: Sequence[Comparison],
    samples: Iterable[Sample],
    environment: Environment,
    delta: float = DELTA,
    surveys: Mapping[str, Survey] | None = None,
) -> Analysis:
    """Merge the passes of a run: one row for each comparison, in their order.

    ``surveys`` are by key of the case; comparisons never reached are ``skipped``. Each device is
    judged by its own controls, since devices differ in their noise.
    """
    by_key: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_key[sample.key].append(sample)
    passes = {each.key: estimates(by_key[each.key]) for each in comparisons}
    withheld = {each.key for each in comparisons if is_withheld(by_key[each.key])}
    judged: dict[str, Judgement] = {}
    controls: dict[str, Controls] = {}
    for device in dict.fromkeys(each.workload.device for each in comparisons):
        here = [each for each in comparisons if each.workload.device == device]
        even = [each for each in here if each.key not in withheld]
        controls[device], verdicts = judge_run(even, passes, delta)
        # What load distorted lends no spread to the others, and vouches for none of them.
        _, others = judge_run([each for each in here if each.key in withheld], passes, delta)
        judged |= verdicts | others
    rows: list[Record] = []
    notes: dict[str, tuple[Note, ...]] = {}
    for each in comparisons:
        own = by_key[each.key]
        row = _row(run_id, each, own, judged.get(each.key), environment)
        row = with_yardstick(row, usable(own))
        row, costs = with_costs(with_throughput(row, each, by_key), each, own, surveys or {})
        notes[each.key] = (*row_notes(each, own, environment), *costs)
        rows.append(replace(row, note=joined(notes[each.key])))
    # A row without a verdict is measured again before all others.
    widths = {
        key: math.inf if key in withheld else each.effect.stopping_width
        for key, each in judged.items()
    }
    left_out = sum(each.left_out for group in passes.values() for each in group)
    effects = {key: each.effect for key, each in judged.items() if key not in withheld}
    uneven = UnevenLoad.of({each.key: by_key[each.key] for each in comparisons})
    found = with_pooled(within_limits(rows), effects)
    return Analysis(found, controls, widths, causes(by_key), left_out, notes, effects, uneven)


def estimates(samples: Iterable[Sample]) -> list[PassEstimate]:
    """Return the estimate of each pass that measured a comparison."""
    return [
        estimate_pass(
            sample.baseline_s, sample.arm_s, sample.disturbed, sample.resolution_s, sample.late
        )
        for sample in usable(samples)
        if sample.status == "ok"
    ]


def is_beyond_doubt(record: Record, band: float) -> bool:
    """Return whether a speed-up lies so far outside a band around 1 that no pass would move it in.

    ``band`` is its half-width, of the logarithm. The distance is twice the interval's half-width,
    about four standard errors: also after several looks a false decision is rare.
    """
    if record.speedup is None or record.speedup_low is None or record.speedup_high is None:
        return False
    half = math.log(record.speedup_high / record.speedup_low) / 2
    return abs(math.log(record.speedup)) - band > 2 * half


def speedup(samples: Sequence[Sample]) -> Interval | None:
    """Return baseline time / arm time by these samples alone; None if no pass measured it."""
    passes = estimates(samples)
    if not passes:
        return None
    found = effect(passes, fit_spread([passes])).interval
    return found if len(passes) > 1 else Interval(found.value)


def _row(
    run_id: str,
    comparison: Comparison,
    samples: list[Sample],
    judgement: Judgement | None,
    environment: Environment,
) -> Record:
    workload, measured = comparison.workload, usable(samples)
    status, error = status_and_error(samples)
    return Record(
        schema=SCHEMA,
        run_id=run_id,
        commit=environment.commit,
        device=workload.device,
        device_name=environment.device_name(workload.device),
        factor=comparison.factor,
        component=workload.component,
        variant=workload.variant,
        patch_size=workload.patch_size,
        image_size=workload.image_size,
        batch_size=workload.batch_size,
        mode=workload.mode,
        precision=comparison.arm.precision,
        cache=comparison.cache,
        baseline=comparison.baseline_name,
        arm=comparison.arm_name,
        status=status,
        passes=len(measured),
        rounds=sum(len(sample.arm_s) for sample in measured),
        output_error=_first(sample.output_error for sample in samples),
        largest_error=_first(sample.largest_error for sample in samples),
        gradient_error=_first(sample.gradient_error for sample in samples),
        disturbed=sum(len(sample.disturbed) for sample in measured) if measured else None,
        unsteady=unsteady(measured),
        inputs=workload.inputs,
        error=error,
        **(times_of(comparison, measured, judgement) if measured else {}),
        **(_judged(judgement, status, withheld=is_withheld(samples)) if judgement else {}),
        **(effect_of_whole(comparison, samples, judgement) if judgement else {}),
    )


def _judged(judgement: Judgement, status: str, *, withheld: bool) -> dict[str, Any]:
    interval = judgement.effect.interval
    if withheld:
        # The interval shows how passes differ, not by how much load slowed one arm more.
        return {"speedup": interval.value, "verdict": "undecided" if status == "ok" else None}
    return {
        "speedup": interval.value,
        "speedup_low": interval.low,
        "speedup_high": interval.high,
        "verdict": judgement.verdict if status == "ok" else None,
        "detectable_effect": judgement.detectable,
        "p_value": judgement.p_value,
    }


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
