"""Runs side by side: whether they can be compared, and how far every two of them agree."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from bench.analysis.aim import Aim
from bench.analysis.run_agreement import RunAgreement, RunResult, agreement
from bench.records.environment import machine_differences, version_differences
from bench.records.errors import InputError
from bench.report.report_data import AgreementData, RunLabel
from bench.runs.state import RunState


def side_by_side(states: Sequence[RunState], aim: Aim) -> AgreementData:
    """Return how far every two of several runs agree; ``aim`` is that of all choices.

    Delta is the first run's. Raises InputError for one run given twice, for runs of other machines,
    and for two that measured nothing in common.
    """
    for first, second in combinations(states, 2):
        _check(first, second)
    results = [_result(each, aim) for each in states]
    delta = states[0].plan.delta
    pairs = {
        (one, two): agreement(results[one], results[two], delta)
        for one, two in combinations(range(len(results)), 2)
    }
    for (one, two), found in pairs.items():
        _check_common(states[one], states[two], found)
    return AgreementData(
        runs=tuple(map(_label, states)),
        pairs=pairs,
        delta=delta,
        warnings=tuple(dict.fromkeys(_warnings(states))),
    )


def _result(state: RunState, aim: Aim) -> RunResult:
    found = state.analysis
    return RunResult(records=found.records, decisions=state.decisions(aim), effects=found.effects)


def _label(state: RunState) -> RunLabel:
    found = state.environment
    return RunLabel(
        folder=str(state.folder),
        commit=found.commit,
        has_changes=bool(found.dirty),
        started=state.plan.started,
    )


def _check(first: RunState, second: RunState) -> None:
    """Raise InputError for two folders of one run, or of different machines."""
    if (first.plan.started, first.plan.seed) == (second.plan.started, second.plan.seed):
        raise InputError(
            f"{first.folder} and {second.folder} are one run, started at {first.plan.started}; "
            "expected another run of the same machine after --beside"
        )
    if found := machine_differences(first.environment, second.environment):
        raise InputError(
            f"{second.folder} was measured on another machine than {first.folder}, which differs "
            f"in {', '.join(found)}; expected runs of one kind of machine"
        )


def _check_common(first: RunState, second: RunState, found: RunAgreement) -> None:
    if found.is_empty:
        raise InputError(
            f"{first.folder} and {second.folder} measured nothing in common; expected runs with "
            "some of the same comparisons"
        )


def _warnings(states: Sequence[RunState]) -> Iterator[str]:
    """Yield what differs between the first run and the others, other than by chance."""
    first = states[0]
    for place, other in enumerate(states[1:], start=2):
        found = version_differences(first.environment, other.environment)
        if first.plan.delta != other.plan.delta:
            found.append(f"delta ({first.plan.delta:g} against {other.plan.delta:g})")
        if found:
            yield f"run 1 and run {place} differ in {', '.join(found)}"
