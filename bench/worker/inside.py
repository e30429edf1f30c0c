"""Measure parts of a model inside its calls: each block of a call draws its arm."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median

from bench.arms import building
from bench.arms.building import Expected
from bench.arms.mixed_model import (
    ATTENTION,
    BLOCK,
    EVERYWHERE,
    PATCHER,
    CallTimes,
    Draw,
    MixedModel,
    balanced_draw,
)
from bench.records.comparison import Comparison
from bench.records.sample import Sample
from bench.suite.work import config_for, flops, repeats
from bench.timing.clocks import Marks, marks_for
from bench.timing.device import peak_bytes
from bench.timing.rounds import without_collector
from bench.timing.turns import has_enough
from bench.worker.group_session import (
    BASELINE,
    GroupSession,
    failed,
    measured,
    name_in_group,
    to_ns,
    with_agreement,
    with_first_call,
)
from bench.worker.part_times import levelled, pairs_of, places_of, whole_s

# A call has as many blocks as these floating-point operations allow, and one for each arm at least:
# deeper calls would take longer, and observe no more in a second.
_CALL_FLOPS = {"cpu": 60e9, "cuda": 2e13}
# Every arm has been called in one block; whole calls warm up only where they are this short.
_WARM_UP_CALLS = 2
_WARM_UP_SHARE = 0.05


@dataclass(kw_only=True)
class _Inside:
    """A model with its arms, the samples so far, and the times of its calls."""

    model: MixedModel
    marks: Marks
    samples: dict[str, Sample]
    calls: list[CallTimes] = field(default_factory=list)
    expected: dict[str, Expected] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)


def measure_inside(session: GroupSession) -> list[Sample]:
    """Measure the comparisons of a group inside a model; an exception becomes a status."""
    return measured(session, _measure)


def _measure(session: GroupSession, samples: dict[str, Sample]) -> Iterator[Sample]:
    start_s = time.perf_counter()
    first = session.comparisons[0]
    model = MixedModel(first.workload, first.baseline, _depth(session.comparisons))
    made = _Inside(model=model, marks=marks_for(session.device), samples=samples)
    with model.host.surroundings():
        _prepare(session, made)
        ready = [each for each in session.comparisons if made.samples[each.key].status == "ok"]
        if ready:
            prepare_s = time.perf_counter() - start_s
            waited_s, start_s = session.await_calm(), time.perf_counter()
            _call(session, made, session.measuring_s(prepare_s))
            measure_s = time.perf_counter() - start_s
            _complete(session, made, ready, (prepare_s, waited_s, measure_s))
    yield from made.samples.values()


def _depth(comparisons: Sequence[Comparison]) -> int:
    """Return the number of blocks of a call."""
    work = comparisons[0].workload
    arms = {name_in_group(each) for each in comparisons if each.workload.component != PATCHER}
    block = replace(work, component=BLOCK)
    fitting = int(_CALL_FLOPS[work.device] / flops(block))
    return min(max(fitting, len(arms) + 1), config_for(work).depth)


def _prepare(session: GroupSession, made: _Inside) -> None:
    """Add every arm and check it; the samples of those that fail get the reason."""
    baseline = session.comparisons[0].baseline
    made.model.add(BASELINE, EVERYWHERE, baseline)
    _run_once(made, BASELINE, images=1)
    for each in session.comparisons:
        name, sample = name_in_group(each), made.samples[each.key]
        is_new = name not in made.model
        try:
            if is_new:
                place = EVERYWHERE if each.is_control else each.workload.component
                made.model.add(name, place, each.arm)
                sample = _with_first_call(session, made, each, sample)
            made.samples[each.key] = _checked(session, made, each, sample)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the arm's result)
            made.samples[each.key] = failed(session, sample, error)
        if is_new and made.samples[each.key].status != "ok":
            made.model.drop(name)
        session.is_alive()


def _run_once(made: _Inside, name: str, images: int | None = None) -> float:
    """Call the model's first block, or its patcher, with one arm; return the seconds.

    On the first ``images`` of the batch; None: all of them.
    """
    is_patcher = made.model.place(name) == PATCHER
    patcher = name if made.model.place(name) in (PATCHER, EVERYWHERE) else BASELINE
    draw = Draw((patcher,), (BASELINE if is_patcher else name,))
    return made.model.call(draw, made.marks, images).total_s


def _with_first_call(
    session: GroupSession, made: _Inside, comparison: Comparison, sample: Sample
) -> Sample:
    name = name_in_group(comparison)
    levels, workload = comparison.arm, comparison.workload
    sample = with_first_call(session, sample, levels, workload, partial(_run_once, made, name))
    # A compiled arm would compile again for another number of images.
    _run_once(made, name, images=1 if levels.compile == "eager" else None)
    return sample


def _checked(
    session: GroupSession, made: _Inside, comparison: Comparison, sample: Sample
) -> Sample:
    """Check the part of an arm alone."""
    name, place = name_in_group(comparison), comparison.workload.component
    if comparison.key in session.checked:
        return sample
    if place not in made.expected:
        baseline = made.model.alone(BASELINE, place)
        made.expected[place] = building.expected_of(
            replace(comparison, workload=baseline.workload), baseline
        )
    arm = made.model.alone(name, place)
    return with_agreement(sample, building.agreement_with(made.expected[place], arm))


def _call(session: GroupSession, made: _Inside, left_s: float) -> None:
    """Call the model with drawn arms for the seconds that are left."""
    source = random.Random(session.seed)  # noqa: S311 (a draw, not a secret)
    start_s = time.perf_counter()
    with without_collector():
        warm_up_s = made.model.depth * _run_once(made, BASELINE)
        for _ in range(_WARM_UP_CALLS if warm_up_s < _WARM_UP_SHARE * left_s else 0):
            _drawn(session, made, source)
        left_s -= time.perf_counter() - start_s
        start_s = time.perf_counter()
        session.watch.begin()
        while not session.stop():
            spent_s = time.perf_counter() - start_s
            if has_enough(len(made.calls), spent_s, left_s, session.most_rounds):
                break
            if found := _drawn(session, made, source):
                made.calls.append(found)
                session.watch.pair()
            session.after_round()


def _drawn(session: GroupSession, made: _Inside, source: random.Random) -> CallTimes | None:
    """Call the model with drawn arms; None if one raised, which is then left out.

    An exception of the baseline propagates.
    """
    model = made.model
    has_patchers = any(each.workload.component == PATCHER for each in session.comparisons)
    patchers = model.names(EVERYWHERE, PATCHER) if has_patchers else [BASELINE]
    blocks = model.names(EVERYWHERE, ATTENTION, BLOCK)
    try:
        return model.call(balanced_draw(patchers, blocks, model.depth, source), made.marks)
    except (Exception, SystemExit) as error:
        if model.running in ("", BASELINE):
            raise
        made.errors[model.running] = error
        model.drop(model.running)
        return None


def _complete(
    session: GroupSession,
    made: _Inside,
    ready: Sequence[Comparison],
    spent_s: tuple[float, float, float],
) -> None:
    """Complete the samples with their times and what they share."""
    depth = config_for(ready[0].workload).depth
    model_s, calls = whole_s(made.calls, depth), levelled(made.calls)
    prepare_s, waited_s, measure_s = (each / len(ready) for each in spent_s)
    called_s = sum(call.total_s for call in made.calls) / len(ready)
    yardstick_s, peak = session.yardstick_s(), peak_bytes(session.device)
    for each in ready:
        if error := made.errors.get(name_in_group(each)):
            made.samples[each.key] = failed(session, made.samples[each.key], error)
            continue
        found = list(pairs_of(calls, each))
        numbers, pairs = [number for number, _ in found], [pair for _, pair in found]
        count = repeats(str(each.workload.variant), "model", each.workload.component)
        parts_s = count * median(pair[0] for pair in pairs) if pairs else 0.0
        made.samples[each.key] = replace(
            made.samples[each.key],
            group=each.group,
            late=(),
            whole_s=model_s,
            share=min(parts_s / model_s, 1.0) if model_s else None,
            baseline_s=to_ns(len(pairs), [pair[0] for pair in pairs]),
            arm_s=to_ns(len(pairs), [pair[1] for pair in pairs]),
            disturbed=places_of(numbers, session.watch.disturbed),
            uneven=places_of(numbers, session.watch.uneven),
            causes=session.watch.causes,
            resolution_s=session.clock.resolution_s,
            prepare_s=prepare_s,
            calm_wait_s=waited_s,
            measure_s=measure_s,
            called_s=called_s,
            yardstick_s=yardstick_s,
            peak_memory_bytes=peak,
        )
