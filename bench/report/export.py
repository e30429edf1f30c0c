"""Formats for other tools: Markdown, CSV, JSON, JUnit, github-action-benchmark."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from bench.analysis.gains import OPEN
from bench.files.csv_rows import csv_text
from bench.records.comparison import SCHEMA
from bench.records.row import COLUMNS, Record
from bench.report.columns import ROW_COLUMNS
from bench.report.labels import factor_name, verdict, workload
from bench.report.provenance import provenance
from bench.report.report_data import ReportData
from bench.report.tables.certificate import has_bound
from bench.report.tables.decision import decision_markdown
from bench.report.tables.markdown import markdown

# Characters that XML forbids, escaped or not.
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], "\N{REPLACEMENT CHARACTER}")
_FAILED = ("wrong", "oom", "timeout", "crashed")


def _name(record: Record) -> str:
    return f"{factor_name(record)} / {workload(record)} / {record.arm}"


def as_markdown(data: ReportData) -> str:
    """Return what to choose, every verdict table and the run's provenance."""
    first = decision_markdown(data.decisions, data.aim)
    own = (data.own_commit, data.has_changes)
    source = provenance(data.environment, data.command, data.started, *own)
    return f"{markdown(data.analysis, first=first)}\n{source}\n"


def as_csv(data: ReportData) -> str:
    """Return the rows, as in ``results.csv``."""
    return csv_text(COLUMNS, map(asdict, data.analysis.records))


def as_json(data: ReportData) -> str:
    """Return one object: the run, its environment, what to choose, and the rows.

    JSON has no infinity: if compiling never pays off the value is the text ``inf``, as in the CSV.
    """
    rows = [_finite(asdict(record)) for record in data.analysis.records]
    run = {"run_id": data.run_id, "command": data.command, "started": data.started}
    whole = {
        "schema": SCHEMA,
        **run,
        "environment": asdict(data.environment),
        "objective": data.aim.objective,
        "max_error": data.aim.max_error,
        "decisions": [*_decisions(data)],
        "rows": rows,
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "inf" if isinstance(value, float) and math.isinf(value) else value
        for name, value in row.items()
    }


def _decisions(data: ReportData) -> Iterator[dict[str, Any]]:
    for each in data.decisions:
        speedup, expected = None if each.is_refuted else each.speedup, each.expected
        chosen = {part.factor: getattr(each.arm, part.factor) for part in each.parts}
        yield {
            **asdict(each.situation),
            "level": each.level,
            "choose": None if each.has_no_data else chosen,
            "given_up": each.combination.choice if each.is_refuted else None,
            "gain": each.gain.value if each.gain and not each.is_refuted else None,
            "speedup": speedup.value if speedup else None,
            "speedup_low": speedup.low if speedup else None,
            "speedup_high": speedup.high if speedup else None,
            "expected_speedup": expected.value if expected else None,
            "differs_from_parts": each.differs,
            "regret_bound": each.regret_bound if has_bound(each) else None,
            "open": {part.factor: part.contenders for part in each.parts if part.status == OPEN},
        }


def as_action_benchmark(data: ReportData) -> str:
    """Return github-action-benchmark's ``customSmallerIsBetter``: latency of every arm, in ms.

    Times depend on the machine; ``vitbench trend`` charts ratios to the yardstick instead.
    """
    speedup, interval = ROW_COLUMNS["speed-up"].text, ROW_COLUMNS["95 % interval"].text
    series = [
        {
            "name": _name(record),
            "unit": "ms",
            "value": record.latency_ms,
            "range": _range(record),
            "extra": f"speed-up {speedup(record)} {interval(record)}, {verdict(record)}",
        }
        for record in data.analysis.records
        if record.latency_ms is not None
    ]
    return json.dumps(series, indent=1, ensure_ascii=False) + "\n"


def _range(record: Record) -> str:
    if record.latency_low_ms is None or record.latency_high_ms is None:
        return ""
    return f"± {(record.latency_high_ms - record.latency_low_ms) / 2:.3g}"


def as_junit(data: ReportData) -> str:
    """Return JUnit XML: a suite for each device and factor, a case for each arm."""
    root = ET.Element("testsuites", name="vitbench", timestamp=data.started)
    rows = data.analysis.records
    for (device, factor), group in groupby(rows, lambda r: (r.device, factor_name(r))):
        records = list(group)
        counts = {
            "tests": len(records),
            "failures": sum(record.status in _FAILED for record in records),
            "skipped": sum(record.status == "skipped" for record in records),
        }
        texts = {name: str(count) for name, count in counts.items()}
        suite = ET.SubElement(root, "testsuite", {"name": f"{device} {factor}", **texts})
        for record in records:
            _case(suite, record)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, record: Record) -> None:
    seconds = "" if record.latency_ms is None else f"{record.latency_ms / 1e3:.6f}"
    names = {"name": f"{workload(record)} / {record.arm}", "classname": suite.attrib["name"]}
    case = ET.SubElement(suite, "testcase", {**_printable(names), "time": seconds})
    reason = _printable({"message": record.error or record.status})
    if record.status in _FAILED:
        ET.SubElement(case, "failure", {"type": record.status, **reason})
    elif record.status == "skipped":
        ET.SubElement(case, "skipped", reason)
    text = f"{verdict(record)} {ROW_COLUMNS['speed-up'].text(record)}".strip()
    ET.SubElement(case, "system-out").text = text


def _printable(texts: dict[str, str]) -> dict[str, str]:
    return {name: text.translate(_CONTROL) for name, text in texts.items()}


FORMATS: dict[str, Callable[[ReportData], str]] = {
    "markdown": as_markdown,
    "github-action-benchmark": as_action_benchmark,
    "junit": as_junit,
    "json": as_json,
    "csv": as_csv,
}
