"""Variance between the processes of a run, learned from all of its comparisons.

Two to five passes of one comparison give a poor estimate of their spread. Therefore that spread is
moderated by the spread of like comparisons: an inverse chi-square prior, fitted by the moments of
the logarithms (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", section 6.2). A comparison borrows at most the degrees of
freedom of the others, and one whose passes spread further than the prior explains borrows fewer,
down to none (Phipson et al. 2016, "Robust hyperparameter estimation protects against hypervariable
genes").

Which comparisons are alike: a copy of a baseline repeats its memory layout and its kernels from
process to process better than other code does, so controls say little about candidates. They are
fitted apart, and can only widen a candidate's interval: a candidate has at least the process effect
of a copy. If candidates spread less than controls, that is chance, and both are fitted together
(Thompson 1962, "The problem of negative estimates of variance components"). Of the candidates each
stratum, such as the arms of one factor, has a variance of its own, shrunk to that of all
candidates, and all share the prior's degrees of freedom, as where a prior follows a trend (Law et
al. 2014, "voom: precision weights unlock linear model analysis tools for RNA-seq read counts").
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.special import digamma, fdtrc

from bench.analysis.dispersion_prior import PRIOR_DEGREES, offset, prior_degrees
from bench.analysis.estimates import Floats, PassEstimate, log_correction

# Standard deviation between processes (of the logarithm) without repeated comparisons: cautious
# beside the values that calibrations found.
PRIOR_SD = 0.02
# Weight of a comparison's noise over all passes, in pairs of one pass.
_LENT_PAIRS = 12.0
# Weight of all candidates in the variance of one stratum, in comparisons: the logarithm of a
# dispersion of three passes has a variance of about 2, the strata of the reference runs differ by a
# standard deviation of about 0.7.
_COMMON_WEIGHT = 4.0
LEAST_VARIANCE = 1e-12
LEAST_RATIO = 1e-6
# Tolerance of spreads that differ only by rounding.
_SAME = 1 + 1e-9
_BISECTIONS = 40
# A single stratum is all candidates.
_LEAST_STRATA = 2
# The prior's degrees of freedom and the variances of strata follow from each other.
_ROUNDS = 4

Group = Sequence[PassEstimate]


@dataclass(frozen=True)
class Spread:
    """Variance between processes, learned from all comparisons of a run.

    ``variance`` is that of logarithms; ``degrees`` are the prior's degrees of freedom (few:
    comparisons differ widely), ``total_degrees`` those of all comparisons together. ``tails`` are
    the sorted probabilities of a spread as large as that of each comparison's passes.
    """

    variance: float
    degrees: float
    total_degrees: float
    tails: tuple[float, ...] = ()

    def lent(self, own: float, dispersion: float) -> float:
        """Return the degrees of freedom that a comparison may borrow.

        ``own`` are its own, ``dispersion`` is the spread of its passes. The loan shrinks by the
        probability of that spread under the prior / the share of comparisons with such a spread.
        """
        borrowed = min(self.degrees, max(self.total_degrees - own, 0.0))
        if not self.tails or not own:
            return borrowed
        tail = float(fdtrc(own, self.degrees, dispersion))
        as_rare = max(bisect_right(self.tails, tail * _SAME) - 0.5, 0.5) / len(self.tails)
        return borrowed * min(1.0, tail / as_rare)

    @property
    def is_guess(self) -> bool:
        """Whether no comparison was repeated, so that the spread is assumed."""
        return math.isinf(self.total_degrees)


@dataclass(frozen=True)
class Spreads:
    """Spread of the controls of a run, of all its candidates, and of those of each stratum."""

    controls: Spread
    candidates: Spread
    strata: Mapping[str, Spread]

    def of(self, stratum: str) -> Spread:
        """Return the spread of a stratum; of all candidates if it has no repeated comparison."""
        return self.strata.get(stratum, self.candidates)


@dataclass(frozen=True)
class _Repeated:
    """The repeated comparisons of a stratum, as arrays of (comparisons, passes).

    ``is_pass`` is 0 where a comparison has fewer passes than another.
    """

    log_ratios: Floats
    variances: Floats
    is_pass: Floats

    @cached_property
    def degrees(self) -> Floats:
        """Degrees of freedom of each comparison's dispersion."""
        return np.asarray(self.is_pass.sum(axis=1) - 1.0)

    @cached_property
    def bias(self) -> Floats:
        """Mean logarithm of each comparison's dispersion, if its expected value is 1."""
        return np.asarray(digamma(self.degrees / 2) - np.log(self.degrees / 2))

    def dispersions(self, variance: float) -> Floats:
        """Return the weighted spread of passes / its expected value: 1 on average."""
        weights = self.is_pass / (variance + self.variances)
        means = (weights * self.log_ratios).sum(axis=1) / weights.sum(axis=1)
        squares = weights * (self.log_ratios - means[:, None]) ** 2
        return np.asarray(squares.sum(axis=1) / self.degrees)

    def logs(self, variance: float) -> Floats:
        """Return the logarithms of the dispersions without the bias of few passes."""
        ratios = np.maximum(self.dispersions(variance), LEAST_RATIO)
        return np.asarray(np.log(ratios) - self.bias)


def arrays(passes: Group) -> tuple[Floats, Floats]:
    """Return ratios and variances of passes; few pairs estimate their noise badly: it is pooled.

    A pass whose variance is underestimated would dominate the mean. The pooled noise is a geometric
    mean, which one disturbed pass does not move far, without its bias.
    """
    ratios = np.array([each.log_ratio for each in passes])
    rounds = np.array([each.rounds for each in passes])
    own = np.array([max(each.variance, LEAST_VARIANCE) for each in passes]) * rounds
    bias = [log_correction(each.rounds) for each in passes]
    shared = math.exp(float(np.mean(np.log(own) + bias)))
    return ratios, (rounds * own + _LENT_PAIRS * shared) / (rounds + _LENT_PAIRS) / rounds


def fit_spread(groups: Iterable[Group]) -> Spread:
    """Fit the variance between processes to the passes of alike comparisons."""
    found = _repeated(groups)
    if found is None:
        return Spread(PRIOR_SD**2, PRIOR_DEGREES, math.inf)

    def scale(variance: float) -> tuple[float, float]:
        logs = found.logs(variance)
        prior = prior_degrees(logs, found.degrees, 1.0)
        return float(logs.mean()) + offset(prior), prior

    variance = _largest(lambda middle: scale(middle)[0] > 0)
    return _spread([(found, variance)], scale(variance)[1])[0]


def fit_spreads(candidates: Mapping[str, Sequence[Group]], controls: Sequence[Group]) -> Spreads:
    """Fit the variance between processes to a run: to its controls, and to each stratum.

    ``candidates`` are the passes of the candidates by stratum.
    """
    copies = fit_spread(controls)
    pooled = [group for groups in candidates.values() for group in groups]
    common = fit_spread(pooled)
    if not copies.is_guess and common.variance < copies.variance:
        pooled += controls
        common = copies = fit_spread(pooled)
    strata = {name: each for name, groups in candidates.items() if (each := _repeated(groups))}
    everything = _repeated(pooled)
    if everything is None or len(strata) < _LEAST_STRATA:
        return Spreads(copies, common, {})
    least = LEAST_VARIANCE if copies.is_guess else copies.variance
    found = _stratified(list(strata.values()), everything, common, least)
    return Spreads(copies, common, dict(zip(strata, found, strict=True)))


def _stratified(
    strata: Sequence[_Repeated], everything: _Repeated, common: Spread, least: float
) -> list[Spread]:
    """Return the spread of each stratum, shrunk to the ``common`` one of ``everything``."""
    counts = [len(each.degrees) for each in strata]
    own = np.array(counts) / (np.array(counts) + _COMMON_WEIGHT)
    # Means that the strata take from the data, each in part.
    taken = float(own.sum() + (1 - own) @ counts / sum(counts))
    prior, variances = common.degrees, [common.variance] * len(strata)
    for _ in range(_ROUNDS):
        variances = [
            max(_largest(partial(_is_above, each, everything, share, offset(prior))), least)
            for each, share in zip(strata, own, strict=True)
        ]
        logs = [each.logs(at) for each, at in zip(strata, variances, strict=True)]
        degrees = np.concatenate([each.degrees for each in strata])
        prior = prior_degrees(np.concatenate(logs), degrees, taken)
    return _spread(list(zip(strata, variances, strict=True)), prior)


def _is_above(
    stratum: _Repeated, everything: _Repeated, share: float, offset: float, variance: float
) -> bool:
    """Return whether passes spread more than a variance between processes predicts."""
    found, common = (float(each.logs(variance).mean()) for each in (stratum, everything))
    return share * found + (1 - share) * common + offset > 0


def _spread(fitted: Sequence[tuple[_Repeated, float]], prior: float) -> list[Spread]:
    """Return the spread of each of several strata, which share the prior."""
    degrees = np.concatenate([each.degrees for each, _ in fitted])
    dispersions = np.concatenate([each.dispersions(variance) for each, variance in fitted])
    tails = tuple(sorted(float(tail) for tail in fdtrc(degrees, prior, dispersions)))
    return [Spread(variance, prior, float(degrees.sum()), tails) for _, variance in fitted]


def _repeated(groups: Iterable[Group]) -> _Repeated | None:
    """Return the comparisons of at least two passes as arrays; None if there are none."""
    repeated = [arrays(group) for group in groups if len(group) > 1]
    if not repeated:
        return None
    shape = len(repeated), max(len(ratios) for ratios, _ in repeated)
    found = _Repeated(np.zeros(shape), np.ones(shape), np.zeros(shape))
    for place, (ratios, variances) in enumerate(repeated):
        count = len(ratios)
        found.log_ratios[place, :count] = ratios
        found.variances[place, :count] = variances
        found.is_pass[place, :count] = 1.0
    return found


def _largest(is_above: Callable[[float], bool]) -> float:
    """Return the variance at which the passes stop to spread more than it predicts, by bisection.

    It is the least variance if they never do.
    """
    low, high = LEAST_VARIANCE, 1.0
    if is_above(low):
        for _ in range(_BISECTIONS):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if is_above(middle) else (low, middle)
    return low
