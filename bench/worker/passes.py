"""Passes: measure each group of comparisons of a task, within the time of the pass."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from threading import Event
from zlib import crc32

from bench.machine.calm import Patience
from bench.machine.load import watch_for
from bench.records.sample import Sample
from bench.records.task import Ending, PassJob, Task
from bench.timing.clocks import clock_for
from bench.timing.device import forget_imports
from bench.timing.rounds import MAX_OWN_ROUNDS, MAX_ROUNDS
from bench.timing.yardstick import YardstickTimes
from bench.worker.budget import BudgetSpentError, TimeBudget
from bench.worker.group import measure_group
from bench.worker.group_session import GroupSession
from bench.worker.inside import measure_inside
from bench.worker.losers import Losers
from bench.worker.process import (
    announce,
    finish_on_interrupt,
    keep,
    keep_sample,
    patience_for,
    sign_of_life,
)


def run(task: Task[PassJob]) -> None:
    """Measure the groups of a pass in order; after an interrupt, end with the round under way."""
    interrupt, budget = Event(), TimeBudget.of(task)
    finish_on_interrupt(interrupt)
    patience, losers = patience_for(task, interrupt.is_set), Losers()
    forget_imports()
    for job in task.jobs:
        if interrupt.is_set():
            return
        announce(task, job)
        left, samples = losers.without(job)
        if left is None:
            budget.leave_out(job.key)
        else:
            allotted = partial(budget.measuring, job.key)
            samples += _samples(task, left, allotted, patience, interrupt)
        losers.note(job, samples)
        for sample in samples:
            is_empty = sample.status == "ok" and not sample.arm_s
            if not (interrupt.is_set() and is_empty):
                keep_sample(task, job, sample)
        if not interrupt.is_set():
            keep(task, job, Ending())


def _samples(
    task: Task[PassJob],
    job: PassJob,
    allotted: Callable[[], Callable[[float], float]],
    patience: Patience,
    interrupt: Event,
) -> Iterable[Sample]:
    """Return the samples of a group; ``allotted`` takes its time from the budget."""
    try:
        measuring_s = allotted()
    except BudgetSpentError as error:
        return job.samples("skipped", str(error))
    session = GroupSession(
        comparisons=job.comparisons,
        clock=clock_for(job.device),
        watch=watch_for(job.device),
        measuring_s=measuring_s,
        checked=job.checked,
        most_rounds=MAX_ROUNDS if job.measure_s is None else MAX_OWN_ROUNDS,
        seed=crc32(job.key.encode()) + job.pass_index,
        stop=interrupt.is_set,
        is_alive=sign_of_life(task),
        failed=traceback.print_exception,
        compiled=task.compiled,
        yardstick=YardstickTimes(job.device),
        await_calm=lambda: patience.await_calm(job.device).waited_s,
    )
    found = _apart(session, measure_inside if job.comparisons[0].is_inside else measure_group)
    return (replace(sample, pass_index=job.pass_index) for sample in found)


def _apart(session: GroupSession, measure: Callable[[GroupSession], list[Sample]]) -> list[Sample]:
    """Measure a group; an arm that found no memory beside the others is measured without them."""
    samples = {each.key: each for each in measure(session)}
    candidates = [each for each in session.comparisons if not each.is_control]
    controls = tuple(each for each in session.comparisons if each.is_control)
    if len(candidates) > 1:
        part = replace(session, measuring_s=lambda s: session.measuring_s(s) / len(candidates))
        for each in candidates:
            if samples[each.key].status == "oom":
                alone = measure(replace(part, comparisons=(*controls, each)))
                # A control that found no memory is measured beside the first arm that leaves some.
                samples |= {s.key: s for s in alone if samples[s.key].status == "oom"}
    return list(samples.values())
