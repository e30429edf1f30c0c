"""Agreement of runs for programs."""

import json
from dataclasses import asdict, replace
from typing import Any

from bench.analysis.regret import Rival, interval_of
from bench.analysis.run_agreement import ChoicePair, Coverage, RunAgreement
from bench.report.report_data import AgreementData


def agreement_as_json(data: AgreementData) -> str:
    """Return one object: the runs, and the agreement of every two of them, as JSON.

    ``runs`` of a pair are places among the runs; 1 is the first. Gains are those of the whole by
    the second run's choice over the first's (0.02: the model becomes 2 % faster), by both runs
    together and ``by_run``, with 95 % intervals; null: not measured. ``choices`` name the levels
    other than the default's, or are ``plain``; null: nothing was measured.
    """
    pairs = [
        {"runs": [first + 1, second + 1], **_pair(found)}
        for (first, second), found in data.pairs.items()
    ]
    whole = {
        "runs": [asdict(each) for each in data.runs],
        "warnings": list(data.warnings),
        "delta": data.delta,
        "pairs": pairs,
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _pair(found: RunAgreement) -> dict[str, Any]:
    return {
        "agreed": found.agreed,
        "situations_in_one_run": found.only_once,
        "choices": [_choice(each) for each in found.choices],
        "intervals": [_coverage(each) for each in found.coverages],
        "contradicting": [one.key for one, _ in found.opposite],
    }


def _choice(found: ChoicePair) -> dict[str, Any]:
    return {
        "situation": asdict(found.situation),
        "level": found.level,
        "choices": [None if arm is None else arm.choice for arm in found.arms],
        "outcome": found.outcome,
        "difference": found.difference,
        "at_most": found.bound,
        "gain": _gain(found.gain),
        "by_run": [_gain(each) for each in found.gains],
    }


def _gain(found: Rival | None) -> dict[str, float | None] | None:
    """Return a gain with its 95 % interval."""
    # That of the second choice over the first: as of a choice over a rival with the opposite gain.
    interval = interval_of(replace(found, log_gain=-found.log_gain)) if found else None
    if interval is None or interval.low is None or interval.high is None:
        return None
    return {
        "gain_of_whole": interval.value - 1,
        "gain_low": interval.low - 1,
        "gain_high": interval.high - 1,
    }


def _coverage(found: Coverage) -> dict[str, float | None]:
    return {
        "rows": found.rows,
        "held": found.held,
        "expected": found.expected,
        "of_expected": found.of_expected,
    }
