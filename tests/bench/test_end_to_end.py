"""The real program: a small run from the command line to the plots, and plain pytest."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import bench
from bench.files.results_csv import read_csv
from bench.files.run_folder import read_environment
from bench.records.row import COLUMNS
from helpers.journals import read_samples
from helpers.processes import SMALLEST, called, ended, environment, started, vitbench
from helpers.runs import FinishedRun

pytestmark = pytest.mark.slow
PACKAGE = Path(bench.__path__[0])


def test_every_arm_has_its_row(finished: FinishedRun) -> None:
    """Eleven comparisons, three of them controls, are measured in both planned passes."""
    records = read_csv(finished.folder / "results.csv")
    named = {(record.factor, record.arm) for record in records}
    assert named == {
        *(("patcher", arm) for arm in ("conv", "unfold", "linear")),
        *(("attention", arm) for arm in ("mha", "mha_weights", "manual", "sdpa")),
        *(("precision", arm) for arm in ("fp32", "amp_bf16", "amp_fp16", "bf16")),
    }
    assert {record.status for record in records} == {"ok"}
    assert min(record.passes for record in records) >= 2
    assert sum(record.is_control for record in records) == 3
    assert all(r.speedup and r.latency_ms and r.output_error for r in records)


def test_the_folder_has_the_documented_files(finished: FinishedRun) -> None:
    """CSV with the frozen columns, environment, log and task of each pass, each plot twice."""
    header, *_ = (finished.folder / "results.csv").read_text().splitlines()
    assert header == ",".join(COLUMNS)
    assert read_environment(finished.folder).threads > 0
    passes = {path.name for path in (finished.folder / "passes").iterdir()}
    assert {f"pass-{number}.{kind}" for number in (1, 2) for kind in ("log", "plan.json")} <= passes
    names = {path.name for path in (finished.folder / "plots").iterdir()}
    stems = (
        *(f"speedup-cpu-{factor}" for factor in ("patcher", "attention", "precision")),
        *("latency", "error"),
        *("memory-cpu", "roofline-cpu"),
    )
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}


def test_parts_are_measured_inside_the_model(finished: FinishedRun) -> None:
    """Patchers and attentions share the calls of a model and its control; blocks are alone."""
    samples = [each for each in read_samples(finished.folder) if each.pass_index == 0]
    groups = Counter(each.group for each in samples)
    assert groups == {"B/32-inside-b1-forward-cpu-plain": 7, "B/32-block-b1-forward-cpu-plain": 4}
    for each in samples:
        assert len(each.arm_s) == len(each.baseline_s) > 0
        is_inside = "-inside-" in str(each.group)
        assert (each.whole_s is not None) == (each.share is not None) == is_inside
    rows = read_csv(finished.folder / "results.csv")
    assert {(row.factor, row.cache) for row in rows} == {
        *(("patcher", "model"), ("attention", "model"), ("precision", "cold"))
    }


def test_rows_say_what_an_arm_changes_of_the_whole(finished: FinishedRun) -> None:
    """The gain of the whole has the sign of the part's, is smaller, and lies in its interval."""
    for row in read_csv(finished.folder / "results.csv"):
        assert row.speedup is not None
        assert row.of_whole is not None
        assert (row.of_whole > 0) == (row.speedup > 1)
        assert abs(row.of_whole) <= abs(row.speedup - 1) + 1e-9
        if row.of_whole_low is not None and row.of_whole_high is not None:
            assert row.of_whole_low <= row.of_whole <= row.of_whole_high
        assert (row.whole_ms is None) == (row.factor == "precision")


def test_progress_and_table_do_not_mix(finished: FinishedRun) -> None:
    """Standard output has the tables only; progress is on standard error."""
    assert "What decided it" in finished.done.stdout
    assert "pass 1/2" not in finished.done.stdout
    assert len(re.findall(r"^pass \d/2  \d+/22  ", finished.done.stderr, re.MULTILINE)) == 22
    assert " in timed calls" in finished.done.stdout


def test_the_report_can_be_made_again(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal alone gives the same CSV and plots; what an encoding lacks is replaced."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    folder = finished.copied(tmp_path)
    before = (folder / "results.csv").read_text()
    (folder / "results.csv").unlink()
    plots = {plot.name for plot in (folder / "plots").iterdir()}
    shutil.rmtree(folder / "plots")
    done = vitbench("report", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert "unfinished" not in done.stderr
    assert "What to choose by" in done.stdout
    assert done.stdout.isascii()
    assert (folder / "results.csv").read_text() == before
    assert {plot.name for plot in (folder / "plots").iterdir()} == plots


def test_every_row_has_the_costs_of_its_arm(finished: FinishedRun) -> None:
    """Memory has its prediction, work its limit, kernels their names; no missing value is 0."""
    records = read_csv(finished.folder / "results.csv")
    late = {each.factor for each in records if "limits not available: out of" in str(each.note)}
    for record in records:
        assert record.allocated_bytes
        assert record.predicted_bytes
        # oneDNN chooses its own scratch memory inside a convolution.
        if record.component != "patcher":
            assert record.prediction_error == pytest.approx(0, abs=0.05)
        assert (record.process_bytes or 0) > record.allocated_bytes
        assert record.flop
        assert record.gflop_per_s
        # A busy machine may lack the time for limits, and for training on the digits.
        assert record.limit_share or record.factor in late
        assert record.kernels
        if record.top1_agreement is None:
            assert "top-1 not available: out of time" in str(record.note)
        else:
            assert 0.9 <= record.top1_agreement <= 1
        assert record.largest_error
        assert record.compile_cold_s is None


def test_the_table_also_comes_as_markdown(finished: FinishedRun, tmp_path: Path) -> None:
    """``--markdown`` prints the tables in GitHub's form."""
    finished.copied(tmp_path)
    done = called("report", "run", "--markdown", "--show", "none", cwd=tmp_path)
    assert "| workload | arm | latency |" in done.stdout
    assert done.stdout.count("| B/32 attention b1 forward 32px |") == 4
    more = called("report", "run", "--markdown", "--show", "memory", cwd=tmp_path)
    assert "| workload | arm | memory | vs baseline | predicted |" in more.stdout


def test_a_run_without_its_journal_keeps_its_rows(finished: FinishedRun, tmp_path: Path) -> None:
    """Without a journal the report fails and overwrites nothing."""
    folder = finished.copied(tmp_path)
    (folder / "journal.jsonl").unlink()
    rows = (folder / "results.csv").read_bytes()
    done = called("report", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "run/journal.jsonl has no measurement; restore it" in done.stderr
    assert (folder / "results.csv").read_bytes() == rows


def test_an_unfinished_run_counts_missing_passes(finished: FinishedRun, tmp_path: Path) -> None:
    """The report counts the missing passes and names the command that measures them."""
    folder = finished.copied(tmp_path)
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (folder / "journal.jsonl").write_text("".join(lines[:-1]))
    done = called("report", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert "unfinished: 1 planned measurement missing; finish it" in done.stderr


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the small patchers with pytest alone, optionally in a worker of pytest-xdist."""
    words = (str(PACKAGE), *SMALLEST, "--factors", "patcher", *arguments)
    given = {k: v for k, v in environment(folder).items() if not k.startswith("PYTEST_")}
    with started(sys.executable, "-m", "pytest", *words, cwd=folder, env=given) as process:
        return ended(process)


def test_plain_pytest_keeps_pytest_benchmark_features(tmp_path: Path) -> None:
    """Table, JSON, autosave and compare work with ``pytest bench`` alone."""
    words = ("--seconds", "0.05", "--benchmark-autosave", "--benchmark-json", "out.json")
    first = pytest_in(tmp_path, *words)
    assert "bench_patcher[B/32-patcher-b1-forward-cpu-unfold]" in first.stdout
    assert "3 passed" in first.stdout
    assert len(json.loads((tmp_path / "out.json").read_text())["benchmarks"]) == 3
    assert "NOW" in pytest_in(tmp_path, *words, "--benchmark-compare").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--variants", "B/17"), "unknown variant 'B/17'; known: B/16"),
        (("--factors", "speed"), "unknown factor 'speed'; known: patcher"),
        (("--batch-sizes", "x"), "'x' is not a list of whole numbers; expected e.g. 1,8"),
        (("--cache", "model"), "argument --cache: invalid choice: 'model' (choose from"),
        (("--pass-plan", "nowhere"), "unrecognized arguments: --pass-plan"),
    ],
)
def test_plain_pytest_refuses_bad_input(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The benchmark modules refuse unknown names in one line, like the command line."""
    monkeypatch.chdir(tmp_path)
    assert pytest.main([str(PACKAGE), *arguments]) == pytest.ExitCode.USAGE_ERROR
    printed = capsys.readouterr().err
    assert says in printed
    assert "Traceback" not in printed


def test_plain_pytest_refuses_an_absent_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it does in a process that finds no GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = pytest_in(tmp_path, "--devices", "cuda")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "device 'cuda' is not available here; choose from: " in done.stderr
    assert "Traceback" not in done.stderr


def test_plain_pytest_can_only_try_the_arms(tmp_path: Path) -> None:
    """With --benchmark-disable every arm is called once, without timing."""
    assert "3 passed" in pytest_in(tmp_path, "--benchmark-disable").stdout
