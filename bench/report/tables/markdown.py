"""The verdict tables as Markdown, for a README or a pull request."""

from collections.abc import Sequence

from bench.analysis.row_costs import kernel_changes
from bench.analysis.rows import Analysis
from bench.records.errors import InputError
from bench.report.labels import baseline_name, by_factor, factor_name, undecided_last
from bench.report.tables.costs import cost_markdown
from bench.report.tables.layout import markdown_table
from bench.report.tables.run_quality import trust
from bench.report.tables.verdicts import remarks, verdict_columns
from bench.report.units import escaped


def markdown(
    analysis: Analysis,
    factors: Sequence[str] | None = None,
    views: Sequence[str] = (),
    first: Sequence[str] = (),
) -> str:
    """Return the verdict tables of all factors or of some, between notes, as Markdown.

    ``views`` names further tables of costs (``report.tables.costs``), ``first`` are the lines at
    the top. Raises InputError for a factor that the run does not have.
    """
    had = list(dict.fromkeys(record.factor for record in analysis.records))
    for name in factors or ():
        if name not in had:
            raise InputError(f"factor {name!r} was not measured; expected some of {', '.join(had)}")
    records = [record for record in analysis.records if record.factor in (factors or had)]
    parts = [*first, *(f"- {line}" for line in trust(analysis)), ""]
    for group in by_factor(records):
        head = group[0]
        name, baseline = factor_name(head), baseline_name(head)
        parts += [f"**{name}**, against `{baseline}`, on {escaped(head.device_name)}:", ""]
        rows = undecided_last(group)
        parts += [*markdown_table(verdict_columns(rows), rows), "", *cost_markdown(group, views)]
    found = (*remarks(records, analysis.notes), *kernel_changes(records))
    notes = [f"- {escaped(each)}" for each in found]
    return "\n".join([*parts, *notes, ""] if notes else parts)
