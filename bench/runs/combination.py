"""Combinations chosen from the rows of a run, and the comparisons that measure them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.analysis.aim import Aim, situation_of
from bench.analysis.decision import Decision, decide
from bench.analysis.gains import WHOLES
from bench.records.comparison import CHOICE, DEFAULT_ARM, DELTA, MODEL, Comparison, Workload
from bench.records.plan import Choice, Plan
from bench.records.row import Record
from bench.suite.grid import choose_component
from bench.suite.work import flops, repeats
from bench.worker.budget import TimeEstimate

# Objectives that only the survey measures.
SURVEYED_OBJECTIVES = ("memory", "energy")
# Six pairs and settling, in multiples of a pair's estimated work, which is too large.
_LEAST_WORK = 4.0


def decisions(records: Sequence[Record], aim: Aim, delta: float = DELTA) -> list[Decision]:
    """Return the decisions from the rows of a run: one or two for each situation."""
    return decide(records, aim, _repeats, delta)


def _repeats(whole: Record, part: str) -> int:
    return repeats(str(whole.variant), whole.component, part)


def aim_of(plan: Plan) -> Aim:
    """Return the aim of a plan."""
    return Aim(objective=plan.objective, max_error=plan.max_error)


def wanted(plan: Plan, records: Sequence[Record]) -> list[Comparison]:
    """Return the comparisons of chosen combinations that the plan lacks, the cheapest first.

    The default arm needs no measurement, nor does a combination that is a row already.
    """
    known = {each.key for each in plan.comparisons}
    found = [each for each in decisions(records, aim_of(plan), plan.delta) if not each.combined]
    found.sort(key=lambda each: flops(_workload(each, plan)))
    pairs = (pair for each in found if each.arm != DEFAULT_ARM for pair in _pair(each, plan))
    return list(dict.fromkeys(each for each in pairs if each.key not in known))


def _pair(decision: Decision, plan: Plan) -> Iterator[Comparison]:
    workload = _workload(decision, plan)
    is_inside = _is_mixable(decision, plan)
    if is_inside:
        workload = replace(workload, component="block")
    chosen = decision.arm.as_part(workload.component)
    if chosen == DEFAULT_ARM:
        return
    caches = (c.cache for c in plan.comparisons if c.cache != MODEL)
    cache = MODEL if is_inside or workload.component == "model" else next(caches, "cold")
    for arm in (DEFAULT_ARM, chosen):
        yield Comparison(
            factor=CHOICE, workload=workload, baseline=DEFAULT_ARM, arm=arm, cache=cache
        )


def _is_mixable(decision: Decision, plan: Plan) -> bool:
    """Return whether a combination can be measured in blocks of a model of default arms.

    It has the default's precision, and parts of its situation are measured so.
    """
    inside = (c.workload for c in plan.comparisons if c.is_inside and c.baseline == DEFAULT_ARM)
    has_parts = any(situation_of(work) == decision.situation for work in inside)
    return has_parts and decision.arm.precision == DEFAULT_ARM.precision


def _workload(decision: Decision, plan: Plan) -> Workload:
    """Return the block or model of the situation's own rows, else that of ``auto``."""
    place = decision.situation
    workload = Workload(
        component="model",
        mode=place.mode,
        device=place.device,
        variant=place.variant,
        patch_size=place.patch_size,
        image_size=place.image_size,
        batch_size=place.batch_size,
    )
    works = (
        each.workload
        for each in plan.comparisons
        if each.workload.component in WHOLES and not each.is_inside
    )
    known = (work for work in works if replace(work, component="model") == workload)
    return next(known, None) or choose_component(workload, "auto")


def affordable(
    comparisons: Sequence[Comparison], seconds: float, startup_s: float, most_passes: int
) -> Choice | None:
    """Return the first comparisons that fit into one pass of ``seconds``, and the passes that fit.

    None if one control and its candidate do not fit.
    """
    chosen, pass_s = 0, startup_s
    for count in range(2, len(comparisons) + 1):
        need_s = startup_s + sum(map(_least_s, comparisons[:count]))
        if need_s <= seconds and not comparisons[count - 1].is_control:
            chosen, pass_s = count, need_s
    if not chosen:
        return None
    passes = min(int(seconds / pass_s), most_passes)
    return Choice(comparisons=tuple(comparisons[:chosen]), passes=passes)


def _least_s(comparison: Comparison) -> float:
    """Estimate the minimum seconds of a comparison."""
    estimate = TimeEstimate.of(comparison)
    return estimate.ready_s + _LEAST_WORK * estimate.work


def with_choices(plan: Plan, choices: Sequence[Choice]) -> Plan:
    """Add choices to a plan: each comparison once."""
    found = {each.key: each for choice in choices for each in choice.comparisons}
    return replace(
        plan,
        comparisons=(*plan.comparisons, *found.values()),
        choice_passes=max((c.passes for c in choices if _has_wholes(c)), default=0),
    )


def _has_wholes(choice: Choice) -> bool:
    """Return whether a choice measures combinations, not parts at another precision."""
    return any(each.factor == CHOICE for each in choice.comparisons)
