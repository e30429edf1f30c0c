"""bench.report.trend: changes with their dates and ranges of commits, and the chart."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from bench.__main__ import cli
from bench.analysis.change_points import changes
from bench.files.history_csv import Point, append
from bench.report.trend import by_series, commits, moved, trend_figure, trend_line, trend_table
from bench.report.units import signed_percent
from helpers.figures import drawn_figure, texts_of

SLOWER, STEADY = (
    "precision B/16 model b1 forward cpu bf16",
    "patcher B/16 patcher b1 forward cpu conv",
)


def point(series: str, day: int, ratio: float, **others: str) -> Point:
    """Return a series' point in the run of one day."""
    made = Point(
        schema=1,
        time=f"2026-01-{day:02}T00:00:00+00:00",
        commit=f"{day:02}" * 20,
        run_id=f"run-{day:02}",
        device="cpu",
        device_name="AMD EPYC",
        torch="2.9.0",
        series=series,
        ratio=ratio,
        low=0.98 * ratio,
        high=1.02 * ratio,
    )
    return replace(made, **others)  # type: ignore[arg-type]


def history() -> list[Point]:
    """Return twenty days: one series is 10 % slower from the eleventh, on a new machine."""
    noise = np.random.default_rng(0).normal(1, 0.01, (2, 20))
    return [
        point(
            series,
            day + 1,
            float(factor * noise[row, day]),
            device_name="AMD EPYC" if day < 10 else "Intel Xeon",
        )
        for row, series in enumerate((SLOWER, STEADY))
        for day in range(20)
        for factor in [1.1 if series == SLOWER and day >= 10 else 1.0]
    ]


SERIES = by_series(history())
FOUND = changes({name: [each.ratio for each in each_] for name, each_ in SERIES.items()})


def test_series_are_in_the_order_of_time() -> None:
    """A series is in the order of time, whatever the order of the runs."""
    assert by_series(history()[::-1]) == SERIES
    assert [len(each) for each in SERIES.values()] == [20, 20]


def test_the_table_names_the_commits() -> None:
    """The table has the size, date, commits and environment changes; the line has the counts."""
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(trend_table(SERIES, FOUND))
    text = captured.get()
    for said in (
        SLOWER,
        "2026-01-11",
        "1010101010..1111111111",
        "machine: AMD EPYC to Intel Xeon",
    ):
        assert said in text
    assert signed_percent(FOUND[0].change) in text
    assert STEADY not in text
    assert trend_line(SERIES, FOUND, 0.05) == (
        "2 series over 20 runs: 1 lasting change; at most 0.050 of them false."
    )
    assert trend_line(SERIES, [], 0.05) == "2 series over 20 runs: no lasting change."
    assert trend_line(SERIES, [], 0.05, 21) == (
        "2 series over 20 runs (too few: a change can be found from 21 on): no lasting change."
    )


def test_a_change_lies_within_a_range() -> None:
    """A change has a range of commits and the likeliest one; the chart shades the range."""
    (found,) = FOUND
    wide = replace(found, earliest=9, latest=12)
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(trend_table(SERIES, [wide]))
    assert "0909090909..1313131313" in captured.get()
    assert "1010101010..1111111111" in captured.get()
    (shade,) = drawn_figure(trend_figure(SERIES, [wide], "source")).axes[0].patches
    assert shade.get_extents().width > 0


def test_chart_of_a_subset_gives_the_total() -> None:
    """A chart with some of the series gives their total number."""
    points = [point(f"series {n}", day, 1.0) for n in range(30) for day in (1, 2, 3)]
    figure = drawn_figure(trend_figure(by_series(points), [], "source"))
    assert any("24 of 30 series" in text for text in texts_of(figure))
    assert not any(" of 2 series" in text for text in texts_of(trend_figure(SERIES, [], "source")))


def test_environment_changes() -> None:
    """A change of torch is named, no change is empty, and a missing commit is "unknown"."""
    one, other = point("a", 1, 1.0), point("a", 2, 1.0, torch="2.10.0")
    assert moved([one, other], 1) == "torch: 2.9.0 to 2.10.0"
    assert moved([one, one], 1) == ""
    assert commits([replace(one, commit=None), other], 1) == "unknown..0202020202"


def test_the_chart_marks_changes_first() -> None:
    """The changed series has the first panel, with a dashed line and the change."""
    figure = drawn_figure(trend_figure(SERIES, FOUND, "source"))
    first, second = figure.axes
    assert "bf16" in first.get_title()
    marks = [line for line in first.lines if line.get_linestyle() == "--"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marks] == [9.5]
    assert not [line for line in second.lines if line.get_linestyle() == "--"]
    assert signed_percent(FOUND[0].change) in texts_of(figure)


@pytest.fixture(name="kept")
def _kept(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    append(path, history())
    return path


def test_command_prints_and_draws(kept: Path) -> None:
    """The command prints the number of changes and writes two pictures beside the history."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept)])
    assert done.exit_code == 0
    assert "1 lasting change" in done.stdout
    assert {path.name for path in kept.parent.iterdir()} == {
        "history.csv",
        "trend.png",
        "trend.svg",
    }


def test_the_command_prints_json(kept: Path) -> None:
    """With --json the command prints an object per change and draws nothing."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--json"])
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["series"], told["index"]) == (SLOWER, 10)
    assert told["change"] == pytest.approx(0.1, abs=0.02)
    assert told["commits"] == "1010101010..1111111111"
    assert [path.name for path in kept.parent.iterdir()] == ["history.csv"]


def test_a_pattern_chooses_series(kept: Path) -> None:
    """--series selects by a shell pattern; a pattern without a match is an error."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--series", "patcher*"])
    assert "1 series over 20 runs: no lasting change." in done.stdout
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--series", "nothing*"])
    assert "has no series like 'nothing*'" in str(done.exception)
