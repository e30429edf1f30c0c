"""Lines on the quality of a run: controls, false verdicts, disturbances, trends."""

from bench.analysis.rows import Analysis
from bench.analysis.uneven_load import REMEDY, UnevenLoad
from bench.analysis.verdicts import ALIKE_SHARE, FALSE_SHARE, Controls
from bench.records.row import Record
from bench.report.units import counted, digits

# A smaller widening of the intervals is not worth a word.
_LEAST_SHOWN = 1.005


def trust(analysis: Analysis) -> list[str]:
    """Return the lines above the tables: controls, expected false verdicts, disturbances."""
    lines = [
        _controls(found, f" on {device}" if len(analysis.controls) > 1 else "")
        for device, found in analysis.controls.items()
    ]
    if analysis.decided:
        expected = digits(analysis.expected_false, 2)
        verdicts = counted(analysis.decided, "verdict")
        lines.append(
            f"Of {verdicts} at most {expected} are expected to be false (share of false "
            f"discoveries held to {100 * FALSE_SHARE:.0f} % of differences, "
            f"{100 * ALIKE_SHARE:.0f} % of equivalences)."
        )
    short = sum(map(_falls_short, analysis.records))
    if short:
        lines.append(
            f"{counted(short, 'undecided row')} would have a verdict without the adjustment for "
            "the number of comparisons."
        )
    return [*lines, *_uneven_load(analysis.uneven), *_disturbances(analysis)]


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


def _disturbances(analysis: Analysis) -> list[str]:
    """Lines on disturbed pairs and what became of them, and on unsteady rows."""
    lines, records = [], analysis.records
    rounds, disturbed = sum(r.rounds for r in records), sum(r.disturbed or 0 for r in records)
    if disturbed:
        causes = ", ".join(f"{cause} {count}" for cause, count in analysis.causes.items())
        kept = disturbed - analysis.left_out
        why = (
            f", {kept} kept where less than half of a pass was calm (the median is robust to them)"
        )
        lines.append(
            f"{disturbed} of {rounds} pairs were disturbed by foreign load ({causes}): "
            f"{analysis.left_out} were left out{why if kept else ''}."
        )
    unsteady = sum(record.unsteady is not None for record in records)
    if unsteady:
        rows = "row is" if unsteady == 1 else "rows are"
        lines.append(f"{unsteady} {rows} unsteady: times moved while they were measured.")
    return lines
