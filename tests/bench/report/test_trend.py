"""bench.report.trend and the command: what a history says, of its own noise too."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import cli
from bench.files.history_csv import append
from bench.report.trend import noise_lines, trend_line
from bench.report.trend_series import by_series, changes_of
from helpers.histories import SLOWER, history, point

SERIES = by_series(history())
FOUND = changes_of(SERIES)


def test_the_line_has_the_counts() -> None:
    """The line counts series, runs and changes, and how many of these may be false."""
    assert trend_line(SERIES, FOUND, 0.05) == (
        "2 series over 20 runs: 1 lasting change; at most 0.050 of them false."
    )
    assert trend_line(SERIES, [], 0.05) == "2 series over 20 runs: no lasting change."
    assert trend_line(SERIES, [], 0.05, 21) == (
        "2 series over 20 runs (too few: a change can be found from 21 on): no lasting change."
    )


def test_the_noise_of_the_history_is_said() -> None:
    """The lines have the noise, the published line that applies, and what can be found."""
    noise, power = noise_lines(SERIES)
    assert noise.startswith("Noise from run to run: 0.7 % in the median series; the lines of 2.0 %")
    assert "is found in 95 % of such histories, one of 5.0 % in 100.0 %" in power


def test_kinds_of_machine_are_counted() -> None:
    """With two kinds a line counts the runs of each."""
    first, *_ = noise_lines(by_series(history(second=1.4)))
    assert "AMD EPYC, 2 threads, avx512_bf16 (12 runs); Intel Xeon" in first
    assert "amx_bf16 (8 runs)" in first


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([1.0] * 5, "Noise from run to run: unknown (a series needs 6 runs on one kind"),
        ([1.0, 1.3] * 3, "more than the 8.0 % of the last line of vitbench trend --simulate"),
        ([1.0, 1.05] * 3, "the lines of 8.0 % of vitbench trend --simulate apply"),
    ],
)
def test_the_line_that_applies(ratios: list[float], said: str) -> None:
    """Few runs have no noise, noisy ones a noisier line, and noise beyond the last is said."""
    points = [point("a", day + 1, ratio) for day, ratio in enumerate(ratios)]
    assert said in " ".join(noise_lines(by_series(points)))


def test_a_short_history_finds_nothing() -> None:
    """A history of six runs says that no change can be found in it."""
    points = [point(f"{name}", day, 1 + day / 100) for day in range(1, 7) for name in range(9)]
    assert "No change half-way" in list(noise_lines(by_series(points)))[-1]


@pytest.fixture(name="kept")
def _kept(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    append(path, history())
    return path


def test_command_prints_and_draws(kept: Path) -> None:
    """The command prints changes and noise, and writes two pictures beside the history."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept)])
    assert done.exit_code == 0
    assert "1 lasting change" in done.stdout
    assert "Noise from run to run" in done.stdout
    assert "mermaid" not in done.stdout
    assert {path.name for path in kept.parent.iterdir()} == {
        "history.csv",
        "trend.png",
        "trend.svg",
    }


def test_the_command_prints_markdown(kept: Path) -> None:
    """With --markdown the output is a job's summary with a chart; files are named beside it."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--markdown"])
    assert done.stdout.startswith("**2 series over 20 runs: 1 lasting change")
    assert "```mermaid\n" in done.stdout
    assert "Written" not in done.stdout
    assert "Written" in done.stderr
    assert (kept.parent / "trend.png").exists()


def test_the_command_prints_json(kept: Path) -> None:
    """With --json the command prints an object per change and draws nothing."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--json"])
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["series"], told["index"], told["against"]) == (SLOWER, 10, "yardstick")
    assert told["change"] == pytest.approx(0.1, abs=0.02)
    assert told["commits"] == "1010101010..1111111111"
    assert [each["holds"] for each in told["by_kind"]] == [True]
    assert [path.name for path in kept.parent.iterdir()] == ["history.csv"]


def test_a_pattern_chooses_series(kept: Path) -> None:
    """--series selects by a shell pattern; a pattern without a match is an error."""
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--series", "patcher*"])
    assert "1 series over 20 runs: no lasting change." in done.stdout
    done = CliRunner().invoke(cli, ["trend", "--file", str(kept), "--series", "nothing*"])
    assert "has no series like 'nothing*'" in str(done.exception)
