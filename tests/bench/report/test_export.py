"""bench.report.export: every format conforms to its readers, without invented values."""

import csv
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench.cli import report as exporting
from bench.records.comparison import CHOICE
from bench.records.errors import InputError
from bench.records.row import COLUMNS
from bench.report.export import FORMATS, as_action_benchmark, as_csv, as_json, as_junit, as_markdown
from helpers.decisions import arm, control, failed, run
from helpers.disks import files_of_at_most
from helpers.pages import HOSTILE, make_report_data, rows
from helpers.records import make_record


def parsed_json(text: str) -> Any:
    """Parse strictly: NaN and infinity are errors."""

    def refuse(name: str) -> float:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_the_formats_are_those_of_the_command() -> None:
    """The formats have the names and the order of the command's option."""
    assert tuple(FORMATS) == exporting._FORMATS


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """An export is written whole or not at all."""
    with files_of_at_most(100), pytest.raises(InputError, match="File too large"):
        exporting._write_new(tmp_path / "out.csv", "row\n" * 100)
    assert not list(tmp_path.iterdir())


def test_an_export_overwrites_nothing(tmp_path: Path) -> None:
    """A file of this name stays, and so does a link without a target."""
    (tmp_path / "out.csv").write_text("mine", "utf-8")
    (tmp_path / "link.csv").symlink_to("nowhere")
    for name in ("out.csv", "link.csv"):
        with pytest.raises(InputError, match="exists; give --out a new name"):
            exporting._write_new(tmp_path / name, "rows")
    assert (tmp_path / "out.csv").read_text("utf-8") == "mine"
    assert (tmp_path / "link.csv").is_symlink()


def test_json_holds_everything() -> None:
    """JSON has the environment, the decisions and all columns of all rows."""
    found = parsed_json(as_json(make_report_data(rows())))
    assert [list(row) for row in found["rows"]] == [list(COLUMNS)] * len(rows())
    assert found["environment"]["torch"] == "2.9.0"
    full, decision = found["decisions"]
    assert (full["level"], decision["level"]) == ("best_full_precision", "best")
    assert 0 < decision["regret_bound"] < 0.05
    # Judged at full precision only, though bf16 was chosen.
    assert decision["open"] == {"patcher": [], "attention": [], "compile": []}
    assert decision["choose"] == {
        "patcher": "linear",
        "attention": "mha",
        "compile": "compile_blocks",
        "precision": "bf16",
    }
    assert (decision["speedup"], decision["variant"], decision["batch_size"]) == (1.9, "B/16", 1)
    assert (found["run_id"], found["objective"]) == ("20260102-030405", "latency")


def test_json_decisions_follow_the_table() -> None:
    """A rejected whole is in the decision; an unknown choice is null."""
    whole = failed(CHOICE, "linear+bf16", "oom")
    _, found = parsed_json(as_json(make_report_data(run(control(CHOICE), whole))))["decisions"]
    assert set(found["choose"].values()) == {"conv", "mha", "fp32"}
    assert (found["given_up"], found["speedup"]) == ("linear+bf16", None)
    assert found["regret_bound"] is None
    (found,) = parsed_json(as_json(make_report_data([failed("patcher", "conv", "crashed")])))[
        "decisions"
    ]
    assert found["choose"] is None


def test_json_has_no_infinity() -> None:
    """An infinite break-even is the text of the CSV; a missing one is null."""
    told = make_report_data([arm("compile", "compile", 0.9, break_even_images=math.inf)])
    (row,) = parsed_json(as_json(told))["rows"]
    assert float(row["break_even_images"]) == math.inf
    assert row["break_even_low_images"] is None


def test_csv_is_results_csv() -> None:
    """CSV has the header and rows of results.csv; a missing value is an empty cell."""
    header, *lines = csv.reader(as_csv(make_report_data(rows())).splitlines())
    assert header == list(COLUMNS)
    assert len(lines) == len(rows())
    assert dict(zip(header, lines[0], strict=True))["wall_ms"] == ""


def test_markdown_begins_with_the_decision() -> None:
    """Markdown begins with the decision and ends with the provenance."""
    text = as_markdown(make_report_data(rows()))
    assert text.startswith("**What to choose by latency")
    assert "**precision**, against `fp32`" in text
    assert text.endswith("2026-01-02\nvitbench run\n")


def test_action_benchmark_reads_smaller_as_better() -> None:
    """Each measured arm has a unique name, a latency in ms, a range and the speed-up."""
    found = parsed_json(as_action_benchmark(make_report_data(rows())))
    assert len(found) == sum(row.latency_ms is not None for row in rows())
    names = [each["name"] for each in found]
    assert len(set(names)) == len(names)
    linear = next(each for each in found if each["name"].endswith("linear"))
    assert linear["name"] == "patcher / B/16 patcher b1 forward / linear"
    assert linear["unit"] == "ms"
    assert linear["value"] == pytest.approx(2.0 / 1.1)
    assert linear["range"] == "± 0.25"
    assert linear["extra"].startswith("speed-up ×1.10")
    alone = as_action_benchmark(make_report_data([make_record(latency_low_ms=None)]))
    assert parsed_json(alone)[0]["range"] == ""


def test_junit_counts_failures() -> None:
    """Each factor has a suite; a failure has its status as type and its reason as message."""
    told = make_report_data([*rows(), failed("precision", "tf32", "skipped")])
    root = ET.fromstring(as_junit(told))  # noqa: S314 (made here)
    suites = {suite.attrib["name"]: suite for suite in root}
    assert list(suites) == [
        f"cpu {f}" for f in ("patcher", "attention", "precision", "compile")
    ] + [
        "cpu precision",
        f"cpu {CHOICE}",
    ] or set(suites) >= {"cpu patcher", "cpu precision"}
    cases = [case for suite in root for case in suite]
    assert len(cases) == len(told.analysis.records)
    assert sum(int(suite.attrib["tests"]) for suite in root) == len(cases)
    (failure,) = [each for case in cases for each in case.findall("failure")]
    assert failure.attrib == {"type": "oom", "message": "why"}
    assert sum(int(suite.attrib["failures"]) for suite in root) == 1
    assert len([each for case in cases for each in case.findall("skipped")]) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_hostile_names_stay_names(kind: str) -> None:
    """Every format stays readable with a hostile name; XML has no control characters."""
    text = FORMATS[kind](
        make_report_data([control("precision"), make_record(arm=HOSTILE + "\x00\x1b[2J")])
    )
    if kind == "junit":
        names = [case.attrib["name"] for case in ET.fromstring(text).iter("testcase")]  # noqa: S314
        assert any(HOSTILE in name for name in names)
    elif kind in ("json", "github-action-benchmark"):
        assert HOSTILE in json.dumps(parsed_json(text), ensure_ascii=False).replace(
            "\\\\", "\\"
        ).replace('\\"', '"')
    else:
        assert "onerror" in text


def test_failed_run_is_exported() -> None:
    """A run without measurements is exported with its failures."""
    told = make_report_data([failed("precision", "bf16", "crashed")])
    assert parsed_json(as_action_benchmark(told)) == []
    assert "crashed" in as_junit(told)
    assert "crashed" in as_markdown(told)
