"""A run in the formats that other tools read: records in, text out."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from bench.records.comparison import SCHEMA
from bench.records.row import COLUMNS, Record
from bench.report.labels import factor_name, workload
from bench.report.report_data import Told
from bench.report.tables.decision import decision_markdown
from bench.report.tables.markdown import markdown
from bench.report.tables.verdicts import provenance, verdict
from bench.report.units import bounds, times

# What XML cannot hold, however it is escaped.
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], "\N{REPLACEMENT CHARACTER}")
_FAILED = ("wrong", "oom", "timeout", "crashed")


def _name(record: Record) -> str:
    return f"{factor_name(record)} / {workload(record)} / {record.arm}"


def as_markdown(told: Told) -> str:
    """What to choose and every verdict table, with its source."""
    first = decision_markdown(told.decisions, told.aim)
    own = (told.own_commit, told.has_changes)
    source = provenance(told.environment, told.command, told.started, *own)
    return f"{markdown(told.analysis, first=first)}\n{source}\n"


def as_csv(told: Told) -> str:
    """The rows, as in ``results.csv``."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in told.analysis.records)
    return file.getvalue()


def as_json(told: Told) -> str:
    """One object: the run, its environment, what to choose, and the rows.

    JSON knows no infinity: where compiling never pays off stands the text ``inf``, as in the CSV.
    """
    rows = [_finite(asdict(record)) for record in told.analysis.records]
    run = {"run_id": told.run_id, "command": told.command, "started": told.started}
    whole = {
        "schema": SCHEMA,
        **run,
        "environment": asdict(told.environment),
        "objective": told.aim.objective,
        "max_error": told.aim.max_error,
        "decisions": [*_decisions(told)],
        "rows": rows,
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "inf" if isinstance(value, float) and math.isinf(value) else value
        for name, value in row.items()
    }


def _decisions(told: Told) -> Iterator[dict[str, Any]]:
    for each in told.decisions:
        found, expected = None if each.is_refuted else each.speedup, each.expected
        chosen = {part.factor: getattr(each.arm, part.factor) for part in each.parts}
        yield {
            **asdict(each.situation),
            "choose": None if each.is_blind else chosen,
            "given_up": each.combination.choice if each.is_refuted else None,
            "gain": each.gain.value if each.gain and not each.is_refuted else None,
            "speedup": found.value if found else None,
            "speedup_low": found.low if found else None,
            "speedup_high": found.high if found else None,
            "expected_speedup": expected.value if expected else None,
            "differs_from_parts": each.differs,
            "may_be_better": {part.factor: part.rivals for part in each.parts if part.rivals},
        }


def as_action_benchmark(told: Told) -> str:
    """For github-action-benchmark's ``customSmallerIsBetter``: latency of every arm, in ms.

    Times of another machine are another series; ``vitbench trend`` charts what is free of that.
    """
    found = [
        {
            "name": _name(record),
            "unit": "ms",
            "value": record.latency_ms,
            "range": _range(record),
            "extra": f"speed-up {times(record.speedup)} "
            f"{bounds(record.speedup_low, record.speedup_high)}, {verdict(record)}",
        }
        for record in told.analysis.records
        if record.latency_ms is not None
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _range(record: Record) -> str:
    if record.latency_low_ms is None or record.latency_high_ms is None:
        return ""
    return f"± {(record.latency_high_ms - record.latency_low_ms) / 2:.3g}"


def as_junit(told: Told) -> str:
    """A suite for each device and factor, a case for each arm; what failed is a failure there."""
    root = ET.Element("testsuites", name="vitbench", timestamp=told.started)
    rows = told.analysis.records
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
    case = ET.SubElement(suite, "testcase", {**_plain(names), "time": seconds})
    reason = _plain({"message": record.error or record.status})
    if record.status in _FAILED:
        ET.SubElement(case, "failure", {"type": record.status, **reason})
    elif record.status == "skipped":
        ET.SubElement(case, "skipped", reason)
    said = f"{verdict(record)} {times(record.speedup)}".strip()
    ET.SubElement(case, "system-out").text = said


def _plain(texts: dict[str, str]) -> dict[str, str]:
    return {name: text.translate(_CONTROL) for name, text in texts.items()}


FORMATS: dict[str, Callable[[Told], str]] = {
    "markdown": as_markdown,
    "github-action-benchmark": as_action_benchmark,
    "junit": as_junit,
    "json": as_json,
    "csv": as_csv,
}
