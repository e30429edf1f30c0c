"""The best cut of a series of runs, of one kind of machine or of several.

A ratio does not cancel all that a kind of machine does, so each kind has a level of its own. A cut
is a shift that all kinds share (one step in an analysis of covariance), and runs are put into
random order within their kind only, since runs of two kinds are not exchangeable (restricted
permutation: Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses"). With one kind
this is the plain two-sample cut.

Rows are series of logarithms, columns are runs; ``codes`` holds the kind of each run.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.intp]


def coded(kinds: Sequence[str]) -> tuple[Codes, tuple[str, ...]]:
    """Return the code of each run's kind, and the kinds by code: the commonest has code 0."""
    names = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
    return np.array([names.index(kind) for kind in kinds], dtype=np.intp), tuple(names)


def counts_before(codes: Codes) -> NDArray[np.int64]:
    """Return how many runs of each kind are among the first 0, 1, … runs: (runs + 1, kinds)."""
    is_kind = codes[:, None] == np.arange(codes.max(initial=0) + 1)
    return np.concatenate([np.zeros((1, is_kind.shape[1]), int), is_kind.cumsum(axis=0)])


def possible_cuts(codes: Codes, least: int) -> tuple[Codes, Values]:
    """Return the places where a series can be cut, and the weight of the shift at each.

    At least ``least`` runs on each side have a counterpart of their kind on the other: where all
    runs before are of one kind and all after of another, nothing can be said.
    """
    before = counts_before(codes)
    after = before[-1] - before
    places = np.flatnonzero(np.minimum(before, after).sum(axis=1) >= least)
    weights = before[places] * after[places] / np.maximum(before[-1], 1)
    return places, weights.sum(axis=1)


def centred(rows: Values, codes: Codes) -> Values:
    """Return rows from which the mean of each kind is taken."""
    found = np.empty_like(rows)
    for code in np.unique(codes):
        own = rows[:, codes == code]
        found[:, codes == code] = own - own.mean(axis=1, keepdims=True)
    return found


def shuffled(generator: np.random.Generator, rows: Values, codes: Codes) -> Values:
    """Return rows in random order within each kind, each row in an order of its own."""
    if not codes.any():
        return generator.permuted(rows, axis=1)
    found = np.empty_like(rows)
    for code in np.unique(codes):
        found[:, codes == code] = generator.permuted(rows[:, codes == code], axis=1)
    return found


def variances(rows: Values, codes: Codes, least: int) -> tuple[Codes, Values, Values]:
    """Return the possible cuts, the variance that each explains of each row, and the total.

    The shift at a place is the weighted mean of the kinds' own shifts; since a kind's values sum to
    zero once centred, it needs only the sum of all values before the place.
    """
    places, weights = possible_cuts(codes, least)
    around = centred(rows, codes)
    explained = around.cumsum(axis=1)[:, places - 1] ** 2 / weights
    return places, explained, (around**2).sum(axis=1)


def best_cuts(rows: Values, codes: Codes, least: int) -> tuple[Codes, Values]:
    """Return each row's best cut and its statistic: explained / remaining variance."""
    places, explained, total = variances(rows, codes, least)
    most = explained.max(axis=1)
    left = np.maximum(total - most, np.finfo(np.float64).tiny)
    return places[explained.argmax(axis=1)], most / left


def levelled(values: Values, codes: Codes, cuts: Sequence[int]) -> Values:
    """Return values as if every run were of the commonest kind.

    The levels between cuts and the distances of the other kinds are fitted together by least
    squares, so that a kind that is seen only after a change does not hide it.
    """
    segments = np.searchsorted(np.asarray(cuts, dtype=np.intp), np.arange(len(values)), "right")
    levels = segments[:, None] == np.arange(len(cuts) + 1)
    others = codes[:, None] == np.arange(1, codes.max(initial=0) + 1)
    design = np.concatenate([levels, others], axis=1).astype(np.float64)
    fitted = np.linalg.lstsq(design, values, rcond=None)[0]
    distances = np.concatenate([[0.0], fitted[len(cuts) + 1 :]])
    return np.asarray(values - distances[codes], dtype=np.float64)
