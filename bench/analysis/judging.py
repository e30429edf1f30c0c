"""Judge the comparisons of a run on one device: families, strata of the spread, controls."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from bench.analysis.estimates import PassEstimate
from bench.analysis.replication import Effect, effect
from bench.analysis.spread import Spreads, fit_spreads
from bench.analysis.verdicts import Controls, Judgement, check_controls, judge
from bench.records.comparison import CHOICE, Comparison


def judge_run(
    comparisons: Sequence[Comparison], passes: Mapping[str, list[PassEstimate]], delta: float
) -> tuple[Controls, dict[str, Judgement]]:
    """Return the controls of a device's comparisons, and a verdict for each that was measured.

    ``passes`` are the estimates of each comparison by its key.
    """
    measured = [each for each in comparisons if passes[each.key]]
    # Combinations chosen by the verdicts must not change them.
    chosen = {each.key for each in measured if each.factor == CHOICE}
    copies = {each.key for each in measured if each.is_control}
    effects = _effects(measured, passes)
    found = check_controls([effects[key] for key in effects if key in copies - chosen], delta)
    # Controls are judged one by one: they must not be adjusted for their number.
    alarms = [judge({key: effects[key]}, found, delta) for key in effects if key in copies]
    families = (effects.keys() - copies - chosen, chosen - copies)
    others = [
        judge({key: effects[key] for key in effects if key in family}, found, delta)
        for family in families
    ]
    return found, {key: each for part in (*alarms, *others) for key, each in part.items()}


def _effects(
    comparisons: Sequence[Comparison], passes: Mapping[str, list[PassEstimate]]
) -> dict[str, Effect]:
    """Return the effect of each comparison by the spread of alike ones: copies, or a factor's arms.

    The spread of chosen combinations is found with all others, that of the others without them.
    """
    chosen = [each for each in comparisons if each.factor == CHOICE]
    others = [each for each in comparisons if each.factor != CHOICE]
    found = {}
    for group, used in ((others, others), (chosen, comparisons)):
        spreads = _spreads(used, passes)
        for each in group:
            spread = spreads.controls if each.is_control else spreads.of(each.stratum)
            found[each.key] = effect(passes[each.key], spread)
    return {each.key: found[each.key] for each in comparisons}


def _spreads(
    comparisons: Sequence[Comparison], passes: Mapping[str, list[PassEstimate]]
) -> Spreads:
    strata: dict[str, list[list[PassEstimate]]] = defaultdict(list)
    for each in comparisons:
        if not each.is_control:
            strata[each.stratum].append(passes[each.key])
    return fit_spreads(strata, [passes[each.key] for each in comparisons if each.is_control])
