"""Lines on the quality of a run: controls, false verdicts, disturbances, trends."""

from collections import Counter
from collections.abc import Sequence

from bench.analysis.rows import Analysis
from bench.analysis.uneven_load import REMEDY, UnevenLoad
from bench.analysis.verdicts import ALIKE_SHARE, FALSE_SHARE, Controls
from bench.records.row import Record
from bench.report.report_data import ReportData
from bench.report.units import counted, digits, duration

# Statuses of arms without a measurement.
_UNMEASURED = ("oom", "timeout", "crashed", "skipped")

# A smaller widening of the intervals is not worth a word.
_LEAST_SHOWN = 1.005


def trust(analysis: Analysis) -> list[str]:
    """Return the lines above the tables: controls, expected false verdicts, disturbances."""
    uneven, unsteady = _uneven_load(analysis.uneven), _unsteady(analysis.records)
    return [*_reliable(analysis), *uneven, *_load(analysis), *unsteady]


def trust_lines(data: ReportData) -> list[str]:
    """Return three lines: controls, load, and how the time was spent with what was not measured."""
    spent = duration(data.spent_s)
    share = f"{100 * (data.timed_share or 0.0):.0f} % of {spent} in timed calls"
    return [
        " ".join(_reliable(data.analysis, short=True)),
        " ".join([f"Load: {_short_load(data.analysis)}.", *_uneven_load(data.analysis.uneven)]),
        f"Time: {'; '.join([share, *_missing(data)])}.",
    ]


def _reliable(analysis: Analysis, *, short: bool = False) -> list[str]:
    """Sentences on the controls and on false verdicts; ``short`` has less on these."""
    lines = [
        _controls(found, f" on {device}" if len(analysis.controls) > 1 else "")
        for device, found in analysis.controls.items()
    ]
    if analysis.decided:
        expected = digits(analysis.expected_false, 2)
        why = (
            f" (share of false discoveries held to {100 * FALSE_SHARE:.0f} % of differences, "
            f"{100 * ALIKE_SHARE:.0f} % of equivalences)"
        )
        verdicts = counted(analysis.decided, "verdict")
        is_short = "" if short else why
        lines.append(f"Of {verdicts} at most {expected} are expected to be false{is_short}.")
    near = sum(map(_falls_short, analysis.records))
    if near and not short:
        lines.append(
            f"{counted(near, 'undecided row')} would have a verdict without the adjustment for "
            "the number of comparisons."
        )
    return lines


def _missing(data: ReportData) -> list[str]:
    """What was not measured, if anything."""
    counts = Counter(each.status for each in data.analysis.records if each.status in _UNMEASURED)
    arms = sum(counts.values())
    why = ", ".join(f"{status} {count}" for status, count in counts.items())
    found = [
        *([f"{counted(arms, 'arm')} ({why})"] if arms else []),
        *([counted(data.left, "planned measurement")] if data.left else []),
    ]
    return [f"not measured: {', '.join(found)}"] if found else []


def _controls(controls: Controls, where: str) -> str:
    if not controls.count:
        return f"Controls{where}: none measured."
    message = f"Controls{where}: {controls.strayed} of {controls.count} copies of a baseline were "
    message += "called different"
    if controls.withheld:
        return (
            f"{message}; they differ {controls.widening:.1f} times as much as their intervals "
            "allow, so no verdict is given: stop other programs or give more time, and measure "
            "again."
        )
    if controls.widening >= _LEAST_SHOWN:
        return (
            f"{message}; by how far they stray, every interval was widened to "
            f"{controls.widening:.2f} times its width."
        )
    return f"{message}."


def _falls_short(record: Record) -> bool:
    """Whether a candidate's interval excludes 1 although it is undecided."""
    low, high = record.speedup_low, record.speedup_high
    if record.is_control or record.verdict != "undecided" or low is None or high is None:
        return False
    return low > 1 or high < 1


def _uneven_load(load: UnevenLoad) -> list[str]:
    """Line on measurements under load that does not cancel, and on waits for its end."""
    waited = f"{digits(load.calm_wait_s, 2)} s went into waiting for a calm machine"
    if not load.passes:
        return [f"{waited}."] if load.calm_wait_s else []
    made = "was made" if load.passes == 1 else "were made"
    line = (
        f"{load.passes} of {counted(load.measured, 'measurement')} {made} while another program "
        "held a core, which does not slow all arms alike: "
    )
    if load.withheld:
        line += f"{counted(load.withheld, 'row')} without a verdict; {REMEDY}"
    else:
        line += "left out, since every row has others"
    return [f"{line} ({waited})." if load.calm_wait_s else f"{line}."]


def _short_load(analysis: Analysis) -> str:
    """Disturbed rounds and unsteady rows, in a few words."""
    records = analysis.records
    rounds, disturbed = sum(r.rounds for r in records), sum(r.disturbed or 0 for r in records)
    causes = ", ".join(f"{cause} {count}" for cause, count in analysis.causes.items())
    found = "no round was disturbed"
    if disturbed:
        found = f"{disturbed} of {rounds} rounds disturbed ({causes}), {analysis.left_out} left out"
    unsteady = sum(record.unsteady is not None for record in records)
    return found + (f"; {counted(unsteady, 'row')} unsteady" if unsteady else "")


def _load(analysis: Analysis) -> list[str]:
    """A sentence on disturbed rounds and what became of them; none if there were none."""
    records = analysis.records
    rounds, disturbed = sum(r.rounds for r in records), sum(r.disturbed or 0 for r in records)
    if not disturbed:
        return []
    causes = ", ".join(f"{cause} {count}" for cause, count in analysis.causes.items())
    kept = disturbed - analysis.left_out
    why = f", {kept} kept where less than half of a pass was calm (the median is robust to them)"
    line = f"{disturbed} of {rounds} rounds were disturbed by foreign load ({causes})"
    return [f"{line}: {analysis.left_out} were left out{why if kept else ''}."]


def _unsteady(records: Sequence[Record]) -> list[str]:
    """A sentence on rows whose times moved; none if no row's did."""
    unsteady = sum(record.unsteady is not None for record in records)
    if not unsteady:
        return []
    rows = "row is" if unsteady == 1 else "rows are"
    return [f"{unsteady} {rows} unsteady: times moved while they were measured."]


def share_line(share: float | None, spent_s: float) -> str:
    """Return a sentence on the share of time inside timed calls."""
    if share is None:
        return "Nothing was measured."
    return (
        f"Timed calls took {100 * share:.0f} % of the run's {duration(spent_s)}; imports, builds, "
        "checks, compiling, warm-up and the survey took the rest."
    )
