"""Decisions for programs: one object for each situation and level."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.analysis.decision import Decision, both_levels
from bench.analysis.gains import Part
from bench.analysis.regret import Rival


def decisions_as_json(decisions: Sequence[Decision]) -> str:
    """Return a list with one object for each situation and level, as JSON.

    Levels are ``best_full_precision`` and ``best``; where the best of all has full precision, both
    have the same choice. ``choice`` names the levels other than the default's, or is ``plain``;
    it is null where nothing was measured. Bounds and gains are shares of the whole model's speed
    (0.02: the model becomes 2 % faster), at 95 %; null: unknown.
    """
    both = [each for decision in decisions for each in both_levels(decision)]
    return json.dumps([decision_object(each) for each in both], indent=1, allow_nan=False) + "\n"


def decision_object(decision: Decision) -> dict[str, Any]:
    """Return one decision as values of JSON."""
    speedup = None if decision.is_refuted else decision.speedup
    return {
        "situation": asdict(decision.situation),
        "level": decision.level,
        "objective": decision.objective,
        "choice": None if decision.has_no_data else decision.arm.choice,
        "given_up": decision.combination.choice if decision.is_refuted else None,
        "speedup": speedup.value if speedup else None,
        "speedup_low": speedup.low if speedup else None,
        "speedup_high": speedup.high if speedup else None,
        "regret_bound": decision.regret_bound,
        "cells": {part.factor: _cell(part) for part in decision.parts},
    }


def _cell(part: Part) -> dict[str, Any]:
    return {
        "choice": part.level,
        "status": part.status,
        "bound_of_whole": part.bound_of_whole,
        "contenders": [_contender(each, len(part.rivals)) for each in part.rivals],
    }


def _contender(rival: Rival, rivals: int) -> dict[str, Any]:
    """Return an arm that was not chosen with its gain of the whole over the choice."""
    is_known = math.isfinite(rival.error)
    return {
        "arm": rival.arm,
        "gain_of_whole": math.expm1(rival.log_gain) if is_known else None,
        "at_most": math.expm1(rival.upper(rivals)) if is_known else None,
    }
