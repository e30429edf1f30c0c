"""Shares of the limit: time of a row's matrix products alone / time of its arm."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.estimates import Interval
from bench.records.arm_costs import Limit, Survey, computed_in
from bench.records.row import Record

# A share above this is beyond the limit where no interval was measured.
_BEYOND = 1.02
# Workload and number format.
_Key = tuple[Any, ...]


def limit_columns(record: Record, survey: Survey, baseline: Survey) -> dict[str, Any]:
    """Return the limit in the arm's number format, and its time / the arm's with its interval.

    A limit measured beside the arm itself comes first. Otherwise both were measured against the
    baseline's call: the product of the two ratios is independent of changes of the machine's speed.
    The share may exceed 1 here (see ``within_limits``).
    """
    name = computed_in(record.precision)
    own, shared = survey.limits.get(name), baseline.limits.get(name)
    limit, share = own or shared, None
    if own:
        share = _ratio(own)
    elif shared and record.speedup:
        speedup = Interval(record.speedup, record.speedup_low, record.speedup_high)
        share = product(_ratio(shared), speedup)
    return {
        "limit_gflop_per_s": limit.gflop_per_s if limit else None,
        "limit_library": limit.library if limit else None,
        "limit_share": share.value if share else None,
        "limit_share_low": share.low if share else None,
        "limit_share_high": share.high if share else None,
    }


def _ratio(limit: Limit) -> Interval:
    return Interval(limit.time_ratio, limit.time_ratio_low, limit.time_ratio_high)


def product(one: Interval, other: Interval) -> Interval:
    """Return the product of two independent estimates: relative half-widths add in squares.

    Without bounds if one of the two has none.
    """
    value, bounds = one.value * other.value, (one.low, one.high, other.low, other.high)
    if None in bounds:
        return Interval(value)
    low, high = (
        math.hypot(*(math.log(each / estimate.value) for each, estimate in ends))
        for ends in (
            ((one.low or 0.0, one), (other.low or 0.0, other)),
            ((one.high or 0.0, one), (other.high or 0.0, other)),
        )
    )
    return Interval(value, value * math.exp(-low), value * math.exp(high))


def is_beyond(record: Record) -> bool:
    """Return whether an arm is faster than its limit beyond the noise of both.

    Rows of earlier versions have no interval: theirs is the case above 102 %.
    """
    if record.limit_share_low is None:
        return record.limit_share is not None and record.limit_share > _BEYOND
    return record.limit_share_low > 1


def within_limits(records: Sequence[Record]) -> list[Record]:
    """Return the rows with limits that none of them exceeds.

    An arm that does its products and more in less time than the libraries tried need for the
    products alone proves that this machine is faster than they are: its own speed is then the limit
    of all arms of its workload and number format. That takes a share whose interval lies above 1
    (see ``is_beyond``); a share above 1 by noise alone is 1, since none can be more. A limit in
    GFLOP/s is the speed reached in the passes / the share, so that the three agree.
    """
    fastest: dict[_Key, Record] = {}
    for record in records:
        if record.status == "ok" and is_beyond(record):
            known = fastest.setdefault(_key(record), record)
            if (record.limit_share or 0.0) > (known.limit_share or 0.0):
                fastest[_key(record)] = record
    return [_within(record, fastest.get(_key(record))) for record in records]


def _key(record: Record) -> _Key:
    shape = (record.variant, record.patch_size, record.image_size, record.batch_size)
    where = (record.device, record.component, record.mode, record.inputs)
    return *where, *shape, computed_in(record.precision)


def _within(record: Record, fastest: Record | None) -> Record:
    """Return the row with its share of the limit, or of the speed of the fastest arm."""
    raised = (fastest.limit_share if fastest else None) or 1.0
    names = ("limit_share", "limit_share_low", "limit_share_high")
    found: dict[str, Any] = {
        name: min(share / raised, 1.0)
        for name in names
        if (share := getattr(record, name)) is not None
    }
    if record.limit_gflop_per_s is not None:
        found["limit_gflop_per_s"] = record.limit_gflop_per_s * raised
        if fastest is not None:
            found["limit_library"] = f"the arm {fastest.arm}"
    if record.gflop_per_s and found.get("limit_share"):
        # At the machine's speed in the passes, where it may differ from that in the survey.
        found["limit_gflop_per_s"] = record.gflop_per_s / found["limit_share"]
    return replace(record, **found)
