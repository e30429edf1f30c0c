"""Outcome of the gate as Markdown for a pull request, the verdict first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from bench.analysis.gate import METRICS, SURVEYED_METRICS, Check, worst_outcome
from bench.report.columns import Column, words
from bench.report.tables.layout import markdown_table
from bench.report.units import (
    bounded,
    counted,
    duration,
    escaped,
    gigaflop,
    memory,
    milliseconds,
    scientific,
    seconds,
    signed_percent,
    whole_number,
)

# The checks of one target by their metric.
TargetChecks = dict[str, Check]
_SIGNS = {"ok": "✓", "worse": "✗", "undecided": "?", "unknown": "!", "new": "+"}
_SENTENCES = {
    "ok": "No target is worse than at {base}.",
    "worse": "Worse than at {base}: {names}.",
    "undecided": "Undecided against {base}: {names}.",
    "unknown": "Could not be measured against {base}: {names}.",
    "new": "Nothing at {base} to compare with: {names}.",
}


def _gigaflops(value: float | None) -> str:
    return f"{gigaflop(value)} GFLOP" if value is not None else ""


_SHOWN: dict[str, Callable[[float | None], str]] = {
    "latency": milliseconds,
    "memory": memory,
    "flops": _gigaflops,
    "parameters": whole_number,
    "compile time": seconds,
    "numeric error": scientific,
}


def gate_markdown(
    checks: Sequence[Check],
    base: str,
    *,
    survey: bool = True,
    moved: Mapping[str, str] | None = None,
) -> str:
    """Return the verdict in a sentence, a row for each target, and notes on what is not ok.

    Each metric shows its change, or the error; metrics that no target has are left out. ``moved``
    maps targets to their other names at the base. Without a survey the last line names the
    metrics that were not gated.
    """
    result = worst_outcome(checks)
    names = dict.fromkeys(f"{c.target} ({c.metric})" for c in checks if c.outcome == result)
    first = _SENTENCES[result].format(base=f"`{base}`", names=", ".join(names))
    targets: dict[str, TargetChecks] = {}
    for check in checks:
        targets.setdefault(check.target, {})[check.metric] = check
    metrics = [name for name in METRICS if any(name in found for found in targets.values())]
    lines = [
        f"**{_SIGNS[result]} {first}**",
        "",
        *markdown_table(_columns(metrics), targets.values()),
        "",
        *(f"- {escaped(note)}" for note in gate_notes(checks)),
    ]
    lines += [f"- {escaped(now)}: at the base {escaped(old)}" for now, old in (moved or {}).items()]
    if allowed := ", ".join(_allowed(checks)):
        lines.append(f"- Allowed: {allowed}.")
    if not survey:
        lines.append(f"- Not gated, without a survey (--no-survey): {', '.join(SURVEYED_METRICS)}.")
    return "\n".join(lines).rstrip()


def _allowed(checks: Sequence[Check]) -> Iterator[str]:
    """Allowed growth of each metric that has a threshold."""
    found = {check.metric: check for check in checks if check.threshold is not None}
    for metric in METRICS:
        if metric in found:
            is_error = metric == "numeric error"
            show = scientific if is_error else signed_percent
            yield f"{metric} {show(found[metric].threshold)}"


def _columns(metrics: Sequence[str]) -> list[Column[TargetChecks]]:
    """Columns of a target's checks: its latency in full, of other metrics the outcome."""
    latency = METRICS[0]
    return [
        words("target", lambda checks: f"`{checks[latency].target}`"),
        Column(heading="base", text=lambda checks: milliseconds(checks[latency].before)),
        Column(heading="this tree", text=lambda checks: milliseconds(checks[latency].after)),
        Column(heading=latency, text=partial(_outcome_of, latency)),
        Column(heading="95 % interval", text=lambda checks: _interval(checks[latency])),
        *(Column(heading=name, text=partial(_outcome_of, name)) for name in metrics[1:]),
    ]


def _interval(check: Check) -> str:
    return bounded(signed_percent, check.low, check.high)


def _outcome_of(metric: str, checks: TargetChecks) -> str:
    return _outcome(checks[metric]) if metric in checks else ""


def _outcome(check: Check) -> str:
    is_error = check.metric == "numeric error"
    value = scientific(check.after) if is_error else signed_percent(check.change)
    return f"{_SIGNS[check.outcome]} {value}".rstrip()


def gate_notes(checks: Sequence[Check]) -> list[str]:
    """Return what is not ok in numbers, and the time that undecided targets need."""
    shown = (check for check in checks if check.reason or check.outcome in ("worse", "undecided"))
    found = [f"{_SIGNS[c.outcome]} {c.target}, {c.metric}: {_why(c)}" for c in shown]
    open_ = [check for check in checks if check.outcome == "undecided"]
    needs_s = [check.need_s for check in open_ if check.need_s is not None]
    if needs_s:
        found.append(
            f"About {duration(sum(needs_s))} more of --budget would decide "
            f"{counted(len(needs_s), 'undecided target')}."
        )
    others = [check for check in open_ if check.need_s is None]
    if wide := sum(check.is_wide for check in others):
        found.append(
            f"{counted(wide, 'target')}: not enough data to estimate the time to a decision; use a "
            "larger --budget."
        )
    if near := len(others) - wide:
        found.append(
            f"{counted(near, 'target')}: too close to the threshold to decide within a day; choose "
            "another threshold."
        )
    return found


def _why(check: Check) -> str:
    """Reason why a check is unknown, or its numbers before and now, and the threshold."""
    if check.reason is not None:
        return check.reason
    show, allowed = _SHOWN[check.metric], signed_percent(check.threshold)
    if check.metric == "numeric error":
        return f"{show(check.after) or 'not measured'}, allowed {show(check.threshold)}"
    change = f"{signed_percent(check.change)}, allowed {allowed}"
    return f"{show(check.before)} before, {show(check.after)} now: {change}"
