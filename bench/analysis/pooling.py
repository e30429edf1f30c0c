"""Pool one arm's effect over workloads: what several measurements of alike work say together.

A normal-normal model: the effect of each workload scatters about a common one with a standard
deviation tau, and its measurement about that with its standard error. Tau is not estimated but
averaged over its posterior (Gelman et al. 2013, "Bayesian data analysis", section 5.4, with its
uniform prior of tau): few workloads say little about it, and an estimate of 0 would make the
intervals too narrow. On three reference runs of one plan, each against the
mean of the two others, pooling made the error of attentions a third smaller (2.8 to 1.9 %) and that
of compile modes an eighth. Precisions gained nothing and their intervals held less, and the effects
of patchers are those of a workload and an occasion: these are not pooled.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from bench.analysis.estimates import CONFIDENCE, Floats, Interval
from bench.analysis.replication import Effect
from bench.records.row import Record

# Factors whose arms do alike work in every workload.
POOLED = ("attention", "compile")
# Workloads from which on there is something to pool.
_LEAST_WORKLOADS = 2
# Values of tau: from 0 to several times the scatter of the effects.
_POINTS = 200
_LARGEST = 3.0
_BISECTIONS = 60


def pooled(effects: Sequence[Effect]) -> list[Interval]:
    """Return the speed-up of each workload with its 95 % interval, by all of them together.

    A single one keeps its own. An error with few degrees of freedom counts as a normal one of the
    same 95 % interval.
    """
    if len(effects) < _LEAST_WORKLOADS:
        return [each.interval for each in effects]
    logs = np.array([each.log_ratio for each in effects])
    errors = np.array([each.half_width for each in effects]) / float(ndtri(0.5 + CONFIDENCE / 2))
    taus = np.linspace(0.0, _LARGEST * float(np.ptp(logs) + errors.max()), _POINTS)
    shares, means, sds = _posterior(logs, errors, taus)
    return [_interval(shares, means[:, place], sds[:, place]) for place in range(len(effects))]


def _posterior(logs: Floats, errors: Floats, taus: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the probability of each tau, and with it mean and sd of each effect (tau, effect)."""
    variances = errors**2 + taus[:, None] ** 2
    precision = (1 / variances).sum(axis=1)
    common = (logs / variances).sum(axis=1) / precision
    squares = ((logs - common[:, None]) ** 2 / variances).sum(axis=1)
    likelihood = -0.5 * (np.log(variances).sum(axis=1) + np.log(precision) + squares)
    shares = np.exp(likelihood - likelihood.max())
    # An effect lies between its own measurement and the common value, which is uncertain itself.
    own = taus[:, None] ** 2 / variances
    means = own * logs + (1 - own) * common[:, None]
    spread = own * errors**2 + (1 - own) ** 2 / precision[:, None]
    return shares / shares.sum(), means, np.sqrt(spread)


def _interval(shares: Floats, means: Floats, sds: Floats) -> Interval:
    """Return the mean and the equal-tailed interval of a mixture of normal distributions."""
    tail = (1 - CONFIDENCE) / 2
    low, high = (_quantile(shares, means, sds, each) for each in (tail, 1 - tail))
    mean = min(max(float(shares @ means), low), high)
    return Interval(math.exp(mean), math.exp(low), math.exp(high))


def _quantile(shares: Floats, means: Floats, sds: Floats, probability: float) -> float:
    reach = 10 * sds
    low, high = float((means - reach).min()), float((means + reach).max())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = float(shares @ ndtr((middle - means) / sds))
        low, high = (middle, high) if below < probability else (low, middle)
    return (low + high) / 2


def with_pooled(records: Sequence[Record], effects: Mapping[str, Effect]) -> list[Record]:
    """Return the rows with the pooled speed-ups of the arms of ``POOLED`` factors.

    ``effects`` are by key of the comparison. Workloads of one arm are alike for the same part on
    the same device, in the same mode, precision and state of the caches, against the same baseline.
    """
    alike: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for each in records:
        if each.factor in POOLED and each.status == "ok" and not each.is_control:
            names = (
                each.factor,
                each.component,
                each.device,
                each.mode,
                each.precision,
                each.cache,
            )
            alike[*names, each.baseline, each.arm].append(each)
    found: dict[str, Interval] = {}
    for group in alike.values():
        measured = [each for each in group if each.key in effects]
        if len(measured) >= _LEAST_WORKLOADS:
            keys = [each.key for each in measured]
            found |= zip(keys, pooled([effects[key] for key in keys]), strict=True)
    return [_filled(each, found.get(each.key)) for each in records]


def _filled(record: Record, interval: Interval | None) -> Record:
    if interval is None:
        return record
    return replace(
        record,
        pooled_speedup=interval.value,
        pooled_low=interval.low,
        pooled_high=interval.high,
    )
