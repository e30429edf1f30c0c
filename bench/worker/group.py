"""Measure a group of comparisons: build the arms, check them, warm up, let them take turns."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

from bench.arms.groups import ArmGroup, arm_group
from bench.arms.own_check import called
from bench.arms.rotation import Rotation, copies_for, needed_gradients, surroundings_of
from bench.records.comparison import Comparison
from bench.records.sample import Sample
from bench.timing.device import peak_bytes
from bench.timing.rounds import burst, timed, without_collector
from bench.timing.turns import Turns, has_enough
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

# Maximum share of a group's time for settling, or these seconds if that is more.
_SETTLE_SHARE = 0.1
_SETTLE_S = 0.3
# Bursts of queued calls of each arm, an even number, since each order is followed by its reverse;
# their seconds, and the limits of their calls.
_BURSTS = 4
_BURST_S = 0.05
_BURST_CALLS = (2, 20)


@dataclass(kw_only=True)
class _Prepared:
    """Arms ready to take turns: by name in the rounds, and each comparison's sample so far."""

    group: ArmGroup
    arms: dict[str, Rotation] = field(default_factory=dict)
    samples: dict[str, Sample] = field(default_factory=dict)
    firsts_s: dict[str, list[float]] = field(default_factory=dict)


def measure_group(session: GroupSession) -> list[Sample]:
    """Measure the comparisons of a group; an exception becomes the status of its sample.

    An exception of the baseline is the status of all of them.
    """
    return measured(session, _measure)


def _measure(session: GroupSession, samples: dict[str, Sample]) -> Iterator[Sample]:
    start_s = time.perf_counter()
    made = _Prepared(group=arm_group(session.comparisons[0]), samples=samples)
    _prepare(session, made)
    ready = [each for each in session.comparisons if made.samples[each.key].status == "ok"]
    if ready:
        prepare_s = time.perf_counter() - start_s
        waited_s = session.await_calm()
        left_s = session.measuring_s(prepare_s)
        for part in _parts(made, ready):
            share = len(part) / len(ready)
            spent_s = (share * prepare_s, share * waited_s, share * left_s)
            _take_turns(session, made, part, spent_s)
    yield from made.samples.values()


def _parts(made: _Prepared, ready: Sequence[Comparison]) -> Iterator[list[Comparison]]:
    """Yield the comparisons that are timed in one gradient mode: that which both arms can run in.

    An arm that needs gradients inside a call changes nothing for the others.
    """
    found: dict[int, list[Comparison]] = defaultdict(list)
    baseline = made.arms[BASELINE].first
    for each in ready:
        arm = made.arms[name_in_group(each)].first
        found[max(baseline.forward.level, arm.forward.level)].append(each)
    yield from (found[level] for level in sorted(found))


def _prepare(session: GroupSession, made: _Prepared) -> None:
    """Build every arm once and check it; the samples of those that fail get the reason."""
    first = session.comparisons[0]
    copies = copies_for(session.comparisons, made.group)
    made.arms[BASELINE] = Rotation.of(made.group, first.baseline, copies)
    # Calls that leave the weights as they are: a training step would change what is checked.
    rehearse = partial(timed, made.arms[BASELINE].first.rehearse, session.clock)
    is_own = first.baseline.factory is not None
    made.firsts_s[BASELINE] = [called("baseline", rehearse) if is_own else rehearse()]
    for each in session.comparisons:
        name, sample = name_in_group(each), made.samples[each.key]
        is_new = name not in made.arms
        try:
            if is_new:
                made.arms[name] = Rotation.of(made.group, each.arm, copies)
            made.samples[each.key] = _ready(session, made, each, sample)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it is the arm's result)
            made.samples[each.key] = failed(session, sample, error)
        if is_new and made.samples[each.key].status != "ok":
            made.arms.pop(name, None)
        session.is_alive()


def _ready(
    session: GroupSession, made: _Prepared, comparison: Comparison, sample: Sample
) -> Sample:
    """Make the first call of an arm and check it."""
    name = name_in_group(comparison)
    arm = made.arms[name].first
    is_new = name not in made.firsts_s
    if is_new:
        sample = with_first_call(session, sample, arm.arm, arm.workload, arm.rehearse)
    if comparison.key not in session.checked:
        found = made.group.check(comparison, made.arms[BASELINE].first, arm)
        sample = with_agreement(sample, found)
    if is_new and sample.status == "ok":
        made.firsts_s[name] = [timed(arm.rehearse, session.clock)]
    return sample


def _take_turns(
    session: GroupSession,
    made: _Prepared,
    ready: Sequence[Comparison],
    spent_s: tuple[float, float, float],
) -> None:
    """Time arms that are ready, and complete their samples.

    ``spent_s``: their part of the seconds of preparing, of waiting, and that are left to measure.
    """
    prepare_s, waited_s, left_s = spent_s
    start_s = time.perf_counter()
    names = dict.fromkeys((BASELINE, *map(name_in_group, ready)))
    arms = [made.arms[name].first for name in names]
    with surroundings_of(arms):
        turns = Turns(
            calls={name: made.arms[name].once for name in names},
            first=BASELINE,
            clock=session.clock,
            watch=session.watch,
            seed=session.seed,
            before=lambda name: made.arms[name].before(),
        )
        with without_collector():
            _run(session, turns, made, left_s)
        queued_s = _queue(session, made, turns)
    measure_s = time.perf_counter() - start_s
    shared: dict[str, Any] = {
        "measure_s": measure_s / len(ready),
        "prepare_s": prepare_s / len(ready),
        "calm_wait_s": waited_s / len(ready),
        "yardstick_s": session.yardstick_s(),
        "called_s": turns.called_s / len(ready),
        "peak_memory_bytes": peak_bytes(session.device),
    }
    for each in ready:
        name = name_in_group(each)
        sample = made.samples[each.key]
        shared["notes"] = (*sample.notes, *needed_gradients(arms))
        sample = replace(sample, arm_queued_s=queued_s.get(name), **shared)
        if name in turns.errors:
            made.samples[each.key] = failed(session, sample, turns.errors[name])
        else:
            made.samples[each.key] = _with_times(sample, session, turns, name)


def _run(session: GroupSession, turns: Turns, made: _Prepared, left_s: float) -> None:
    """Settle, then measure rounds for the seconds that are left."""
    start_s = time.perf_counter()
    limit_s = max(_SETTLE_SHARE * left_s, _SETTLE_S)
    session.watch.begin()
    round_s = sum(made.firsts_s[name][-1] for name in turns.calls)
    while not turns.are_settled(made.firsts_s) and not session.stop():
        if time.perf_counter() - start_s + round_s > limit_s:
            break
        turns.round()
        session.is_alive()
    turns.begin()
    session.watch.begin()
    start_s, left_s = time.perf_counter(), left_s - (time.perf_counter() - start_s)
    while not session.stop():
        spent_s = time.perf_counter() - start_s
        if has_enough(len(turns.orders), spent_s, left_s, session.most_rounds):
            break
        turns.round()
        turns.drop_hopeless()
        session.after_round()


def _with_times(sample: Sample, session: GroupSession, turns: Turns, name: str) -> Sample:
    rounds = len(turns.times_s[name])
    take = partial(to_ns, rounds)
    return replace(
        sample,
        group=session.comparisons[0].group,
        late=turns.late(name),
        baseline_s=take(turns.times_s[BASELINE]),
        arm_s=take(turns.times_s[name]),
        baseline_wall_s=take(turns.walls_s[BASELINE]),
        arm_wall_s=take(turns.walls_s[name]),
        disturbed=tuple(index for index in session.watch.disturbed if index < rounds),
        uneven=tuple(index for index in session.watch.uneven if index < rounds),
        causes=session.watch.causes,
        resolution_s=session.clock.resolution_s,
    )


def _queue(session: GroupSession, made: _Prepared, turns: Turns) -> dict[str, float]:
    """Return by name the seconds of a call while the device's queue is never empty; none on a CPU.

    The arms take turns burst by burst. One that raises gets an error in ``turns``; the baseline's
    exception propagates.
    """
    if session.clock.last_wall_s is None or session.stop():
        return {}
    left = [name for name in turns.calls if name not in turns.errors]
    calls = {name: _calls_of(turns.times_s[name][-1]) for name in left}
    bursts = Turns(
        calls={name: burst(made.arms[name].once, count) for name, count in calls.items()},
        first=BASELINE,
        clock=session.clock,
        watch=session.watch,
        seed=session.seed,
    )
    for _ in range(_BURSTS):
        bursts.round()
        session.is_alive()
    turns.errors |= bursts.errors
    kept = calls.keys() - bursts.errors
    return {name: median(bursts.times_s[name]) / calls[name] for name in kept}


def _calls_of(call_s: float) -> int:
    """Return the number of calls of a burst."""
    least, most = _BURST_CALLS
    return min(max(int(_BURST_S / max(call_s, 1e-9)), least), most)
