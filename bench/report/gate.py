"""The gate's answer for a pull request: Markdown, the verdict first."""

from collections.abc import Callable, Sequence

from bench.analysis.gate import Check, outcome
from bench.report.units import (
    bounded,
    counted,
    duration,
    gigaflop,
    memory,
    milliseconds,
    scientific,
    seconds,
    signed_percent,
)

_SIGNS = {"ok": "✓ ok", "worse": "✗ worse", "undecided": "? undecided", "unknown": "! unknown"}
_SAYS = {
    "ok": "No target is worse than at {base}.",
    "worse": "Worse than at {base}: {names}.",
    "undecided": "Undecided against {base}: {names}.",
    "unknown": "Could not be measured against {base}: {names}.",
}
_HEADINGS = (
    "target",
    "metric",
    "base",
    "this tree",
    "change",
    "95 % interval",
    "allowed",
    "outcome",
)


def _gigaflops(value: float | None) -> str:
    return f"{gigaflop(value)} GFLOP" if value is not None else ""


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}".replace(",", "\N{THIN SPACE}")


_SHOWN: dict[str, Callable[[float | None], str]] = {
    "latency": milliseconds,
    "memory": memory,
    "flops": _gigaflops,
    "parameters": _whole,
    "compile time": seconds,
    "numeric error": scientific,
}


def gate_markdown(checks: Sequence[Check], base: str) -> str:
    """The verdict in a sentence, a table of all checks, and what would decide what is not."""
    said = outcome(checks)
    names = dict.fromkeys(f"{c.target} ({c.metric})" for c in checks if c.outcome == said)
    first = _SAYS[said].format(base=f"`{base}`", names=", ".join(names))
    lines = [
        f"**{_SIGNS[said].partition(' ')[0]} {first}**",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "|---|---|---:|---:|---:|---:|---:|---|",
        *(f"| {' | '.join(_cells(check))} |" for check in checks),
        "",
    ]
    return "\n".join([*lines, *(f"- {note}" for note in gate_notes(checks))]).rstrip()


def gate_notes(checks: Sequence[Check]) -> list[str]:
    """Why something is not known, and how long deciding the rest would take."""
    found = [f"{c.target}, {c.metric}: {c.reason}" for c in checks if c.reason]
    open_ = [check for check in checks if check.outcome == "undecided"]
    told = [check.need_s for check in open_ if check.need_s is not None]
    if told:
        found.append(
            f"About {duration(sum(told))} more of --budget would decide "
            f"{counted(len(told), 'undecided target')}."
        )
    if len(told) < len(open_):
        found.append(
            f"{counted(len(open_) - len(told), 'target')} so near to what is allowed that no day "
            "would decide it: allow more, or less."
        )
    return found


def _cells(check: Check) -> tuple[str, ...]:
    show = _SHOWN[check.metric]
    return (
        f"`{check.target}`",
        check.metric,
        show(check.before),
        show(check.after),
        signed_percent(check.change),
        bounded(signed_percent, check.low, check.high),
        signed_percent(check.threshold),
        _SIGNS[check.outcome],
    )
