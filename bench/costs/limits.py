"""Measure upper limits of this machine: matrix products by the fastest libraries, and copying."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, groupby

import torch

from bench.analysis.estimates import Interval, within_process
from bench.costs.libraries import AnyProduct, Step, libraries, steps
from bench.timing.clocks import Clock
from bench.timing.device import last_level_cache_bytes
from bench.timing.rounds import Call, timed, without_collector
from vitcore.costs import Core

# Rounds of a race, and pairs of a call and its limit: the least, those in a long time, the most.
_LEAST, _LEAST_LONG, _MOST = 6, 2, 200
# A time is long if it is this multiple of the seconds that were given: a race is for one product.
_PATIENCE, _RACE_PATIENCE = 8.0, 16.0
# A library that may be faster than the leader by at most this share is not worth more rounds; one
# whose only call, or best call, takes this multiple of the leader's is given up at once.
_TIE, _FAR_ONCE, _FAR = 0.01, 8.0, 2.0
_COPIES = 5
_LEAST_COPY_BYTES = 256 * 2**20
_MOST_COPY_BYTES = 2**30


class Chain:
    """The matrix products of a component, each with its library, in order, as one call.

    ``flops`` counts their operations, and ``library`` names their libraries, the one that does most
    of the work first. Each weight has memory of its own, so that the caches are as cold as inside
    the model. Raises RuntimeError and AttributeError as ``steps`` does.
    """

    def __init__(
        self,
        products: Sequence[tuple[AnyProduct, str]],
        *,
        batch_size: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        make = partial(steps, batch_size=batch_size, dtype=dtype, device=device)
        self.flops = 2 * batch_size * sum(product.macs for product, _ in products)
        work = Counter[str]()
        for product, name in products:
            work[name] += product.macs
        self.library = ", ".join(name for name, _ in work.most_common())
        turns = [list(turn) for _, turn in groupby(products, lambda each: each[0].count)]
        with torch.inference_mode():
            self.steps: list[Step] = [
                step
                for turn in turns
                for in_turn in zip(*(make(*each) for each in turn), strict=True)
                for step in in_turn
            ]

    def __call__(self) -> None:
        """Compute every product once and drop the results."""
        with torch.inference_mode():
            for step in self.steps:
                step()


def fastest(
    products: Sequence[AnyProduct],
    *,
    batch_size: int,
    dtype: torch.dtype,
    device: str,
    clock: Clock,
    seconds: float,
) -> Chain:
    """Return a warm chain in which each product is by the library that is fastest for it.

    The libraries race for each product alone, with weights as cold as inside the model, for about
    ``seconds`` altogether; the weights of one race are freed before the next.
    """
    make = partial(steps, batch_size=batch_size, dtype=dtype, device=device)
    chosen: dict[AnyProduct, str] = {}
    with torch.inference_mode():
        for product in dict.fromkeys(products):
            names = libraries(product, dtype, device)
            copies = _copies(product, len(names) * dtype.itemsize)
            calls = {name: _in_turn(make(product, name, copies=copies)) for name in names}
            chosen[product] = race(calls, clock, seconds=seconds / len(products))
            del calls
    named = [(product, chosen[product]) for product in products]
    chain = Chain(named, batch_size=batch_size, dtype=dtype, device=device)
    chain()
    return chain


def _copies(product: AnyProduct, bytes_per_number: int) -> int:
    """Return the weights needed to fill the caches twice, at most as many as the model has."""
    if isinstance(product, Core):
        return 1
    size = product.inputs * product.outputs * bytes_per_number
    return min(product.count, math.ceil(2 * (last_level_cache_bytes() or 2**25) / size))


def _in_turn(copies: Iterable[Step]) -> Call:
    """Return a function that calls the next copy each time."""
    turns = cycle(copies)

    def call() -> object:
        return next(turns)()

    return call


def race(rivals: Mapping[str, Call], clock: Clock, *, seconds: float) -> str:
    """Return the name of the fastest call.

    After a call each to warm up, all are timed in turns, in reversed order every other round. A
    rival is out once the 95 % interval of its paired ratio to the leader holds no gain of more than
    1 %. The race ends when one is left or after about ``seconds``, and at least six rounds, or two
    if these take 16 times as long; the least median wins.
    """
    for call in rivals.values():
        call()
    times_s: dict[str, list[float]] = {name: [] for name in rivals}
    rounds, spent_s, look = 0, 0.0, 1
    with without_collector():
        while len(times_s) > 1 and (
            rounds % 2 or _goes_on(rounds, spent_s, seconds, _RACE_PATIENCE)
        ):
            for name in list(times_s)[:: -1 if rounds % 2 else 1]:
                times_s[name].append(timed(rivals[name], clock))
            rounds += 1
            spent_s += sum(each[-1] for each in times_s.values())
            if rounds == look:
                times_s = _still_racing(times_s)
                # Few looks take little time, and rarely give up the fastest by chance.
                look += max(rounds // 8 * 2, min(rounds, 2))
    return _leader(times_s)


def _leader(times_s: Mapping[str, Sequence[float]]) -> str:
    return min(times_s, key=lambda name: statistics.median(times_s[name] or [0.0]))


def _still_racing(times_s: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the times of the leader and of all that it has not beaten."""
    leader = _leader(times_s)
    return {
        name: each
        for name, each in times_s.items()
        if name == leader or not _is_beaten(each, times_s[leader])
    }


def _is_beaten(times_s: Sequence[float], leader_s: Sequence[float]) -> bool:
    """Return whether more rounds are of no use to a rival of the leader."""
    if min(times_s) > (_FAR if len(times_s) > 1 else _FAR_ONCE) * min(leader_s):
        return True
    gain = within_process(leader_s, times_s).high
    return gain is not None and gain < 1 + _TIE


def _goes_on(rounds: int, spent_s: float, seconds: float, patience: float) -> bool:
    least = _LEAST if spent_s < patience * seconds else _LEAST_LONG
    return rounds < least or (rounds < _MOST and spent_s < seconds)


@dataclass(frozen=True, kw_only=True)
class LimitRatio:
    """A call compared with its limit: ``ratio`` is the limit's time / the call's time.

    Its interval covers the noise of this process (see ``within_process``). ``limit_s`` is the
    limit's median in seconds; a chain's FLOPs / ``limit_s`` is the speed limit of the machine.
    """

    ratio: Interval
    limit_s: float
    pairs: int


def paired_ratio(call: Call, limit: Call, clock: Clock, *, seconds: float) -> LimitRatio:
    """Time a call and its limit, usually a Chain, in alternating pairs for about ``seconds``.

    Minimum 6 pairs, or 2 if these take eight times as long; maximum 200. The limit goes first in
    pairs of even index. Drift of the machine cancels in the ratio. Both must be warm.
    """
    limit_s: list[float] = []
    call_s: list[float] = []
    with without_collector():
        while _goes_on(len(call_s), sum(limit_s) + sum(call_s), seconds, _PATIENCE):
            turns = [(limit, limit_s), (call, call_s)]
            for each, times_s in turns if len(call_s) % 2 == 0 else reversed(turns):
                times_s.append(timed(each, clock))
    ratio = within_process(limit_s, call_s)
    return LimitRatio(ratio=ratio, limit_s=statistics.median(limit_s), pairs=len(call_s))


def copy_bytes(device: str) -> int:
    """Return the bytes of a buffer beyond any cache: 1 GiB on CUDA, on a CPU 4 x its cache.

    Minimum 256 MiB, also if the size of the cache is unknown; maximum 1 GiB.
    """
    if device != "cpu":
        return _MOST_COPY_BYTES
    return min(max(4 * (last_level_cache_bytes() or 0), _LEAST_COPY_BYTES), _MOST_COPY_BYTES)


def copy_bytes_per_s(device: str, clock: Clock) -> float:
    """Return the bytes per second that ``Tensor.copy_`` reads and writes, median of five copies.

    Counted as in STREAM's Copy (McCalpin 1995): without reads for write-allocate.
    """
    size = copy_bytes(device)
    # Ones: untouched pages would all map to the same page of zeros.
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    copy = partial(target.copy_, source)
    copy()
    return 2 * size / statistics.median(timed(copy, clock) for _ in range(_COPIES))
