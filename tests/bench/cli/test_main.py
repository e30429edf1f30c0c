"""The command line: its frozen surface, one-line errors, and start without torch."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench.__main__ import cli, main
from bench.files.results_csv import read_csv

OPTIONS = {
    "run": {
        *("--budget", "--quick", "--variants", "--factors", "--devices", "--modes"),
        *("--batch-sizes", "--image-size", "--component", "--cache", "--passes", "--seed", "--out"),
        *(
            "--precision",
            "--delta",
            "--case-timeout",
            "--resume",
            "--no-lock",
            "--survey",
            "--choose",
            "--objective",
            "--max-error",
            "--show",
        ),
    },
    "compare": {
        *("baseline", "candidates", "--input", "--inputs", "--dtype", "--device", "--mode"),
        *(
            "--budget",
            "--passes",
            "--cache",
            "--delta",
            "--allow-different",
            "--weights",
            "--case-timeout",
        ),
        *("--seed", "--json", "--out", "--no-lock", "--show", "--survey"),
    },
    "regress": {
        *(
            "--base",
            "--targets",
            "--target",
            "--base-target",
            "--copy",
            "--variant",
            "--input",
            "--inputs",
            "--dtype",
        ),
        *("--device", "--mode", "--threshold", "--memory", "--flops", "--parameters"),
        *(
            "--compile-time",
            "--max-error",
            "--budget",
            "--passes",
            "--undecided",
            "--allow-different",
            "--weights",
        ),
        *("--case-timeout", "--seed", "--json", "--out", "--no-lock", "--survey"),
    },
    "export": {"folder", "--format", "--out", "--objective", "--max-error"},
    "history": set(),
    "trend": {
        *("--file", "--series", "--false-share", "--least", "--out", "--json", "--markdown"),
        "--simulate",
    },
    "calibrate": {
        *("--budget", "--passes", "--device", "--seed", "--out", "--again", "--no-lock"),
    },
    "simulate": {"--runs", "--seed", "--markdown"},
    "memory": {
        *("variants", "--mode", "--batch-size", "--precision", "--patcher", "--attention"),
        *("--optimizer", "--checkpoint", "--image-size", "--device", "--measure", "--max-batch"),
        *("--limit", "--json", "--by", "--case-timeout", "--no-lock"),
    },
    "profile": {
        *("variant", "--device", "--mode", "--component", "--precision", "--attention"),
        *("--patcher", "--compile", "--checkpoint", "--optimizer", "--batch-size", "--image-size"),
        *("--calls", "--top", "--out", "--json", "--no-lock", "--again", "--case-timeout"),
    },
    "report": {
        *("folder", "--markdown", "--decision", "--page", "--factors", "--show", "--objective"),
        *("--max-error", "--brief", "--json", "--beside"),
    },
    "summary": {
        *("variant", "--patcher", "--attention", "--head", "--classes", "--image-size"),
        *("--channels", "--heads", "--batch-size", "--depth"),
    },
    "shapes": {
        *("variant", "--patcher", "--attention", "--head", "--classes", "--image-size"),
        *("--channels", "--heads", "--batch-size"),
    },
}


def error_of(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Return the one line on standard error of a call that exits with code 2."""
    monkeypatch.setattr(sys, "argv", ["vitbench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("vitbench: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_the_surface_is_frozen() -> None:
    """The set of commands and options is fixed, because scripts depend on it."""
    assert set(cli.commands) == set(OPTIONS)
    for name, command in cli.commands.items():
        found = {parameter.opts[0] for parameter in command.params if not _is_help(parameter)}
        assert found == OPTIONS[name]


def _is_help(parameter: click.Parameter) -> bool:
    return parameter.name == "help"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run --variants B/17", "unknown variant 'B/17'; known: B/16, B/32, L/16, L/32, H/14"),
        ("run --factors speed", "unknown factor 'speed'; known: patcher, attention, compile"),
        ("run --devices tpu", "unknown device 'tpu'; known: cpu, cuda"),
        ("run --modes eval", "unknown mode 'eval'; known: forward, train"),
        ("run --component head", "unknown component 'head'; known: auto, block, model"),
        ("run --cache hot", "unknown cache state 'hot'; known: model, cold, warm"),
        ("run --variants ,", "no variant given; known: B/16"),
        (
            "run --image-size 100",
            "image height 100 is not a multiple of patch size 16; use 96 or 112",
        ),
        ("run --batch-sizes 0", "batch size is 0; expected a whole number from 1 to"),
        ("run --batch-sizes ,", "no batch size given; expected whole numbers of at least 1"),
        ("run --batch-sizes one", "'one' is not a list of whole numbers; expected e.g. 1,8"),
        ("run --budget 10", "'10' is not a duration; expected e.g. 90s, 10m or 1.5h"),
        ("run --passes 0", "0 is not in the range x>=1"),
        ("run --speed", "No such option '--speed'"),
        ("run --precision 1", "'1' is not a fraction; expected e.g. 2% or 0.02"),
        ("run --case-timeout 300", "'300' is not a duration; expected e.g. 90s, 10m or 1.5h"),
        ("run --resume nowhere", "nowhere/plan.json cannot be read (No such file or directory); "),
        (
            "run --resume run --passes 2",
            "--passes has no effect with --resume: the run's plan applies; leave it out",
        ),
        ("compare mine.py:old", "Missing argument 'CANDIDATE...'"),
        ("compare mine.py:old mine.py:new", "arm 'mine.py:old': there is no file 'mine.py'; "),
        ("compare vitcore:attention=sdpa vitcore:attention=flash", "unknown attention 'flash'; "),
        ("run --factors optimizer --devices cpu", "give --modes train"),
        ("memory B/17", "unknown variant 'B/17'; known: B/16"),
        ("memory B/16 --optimizer adam", "unknown optimizer 'adam'; known: adamw, adamw_loop"),
        ("memory B/16 --limit 2GiB", "--limit has no effect without --max-batch; give both"),
        (
            "memory B/16 --limit 24",
            "'24' is not an amount of memory; expected e.g. 24GiB or 512MiB",
        ),
        ("memory B/16 --limit 1MiB --max-batch --no-measure", "for one image, more than the limit"),
        ("profile", "give either VARIANT, such as B/16, or --again DIR"),
        ("profile B/16 --again nowhere", "give either VARIANT, such as B/16, or --again DIR"),
        ("profile --again nowhere", "nowhere/profile.json cannot be read"),
        ("profile B/17", "unknown variant 'B/17'; known: B/16"),
        ("profile B/16 --attention flash", "unknown attention 'flash'; known: mha, mha_weights"),
        ("profile B/16 --component head", "'head' is not one of 'model', 'block', 'attention'"),
        (
            "profile B/16 --precision tf32",
            "precision 'tf32' is only available on CUDA; give --device cuda",
        ),
        ("profile B/16 --image-size 100", "image height 100 is not a multiple of patch size 16"),
        ("fly", "No such command 'fly'"),
        ("shapes B/16 --patcher fold", "unknown patcher 'fold'; known: unfold, conv, linear"),
        ("shapes B/16 --attention flash", "unknown attention 'flash'; known: mha, mha_weights"),
        ("shapes B/16 --head big", "unknown head 'big'; known: linear, mlp"),
        ("shapes B/16 --heads 7", "7 heads do not divide width 768; fitting numbers of heads: 1,"),
        ("shapes B/16 --image-size 224x100", "image width 100 is not a multiple of patch size 16"),
        (
            "shapes B/16 --image-size big",
            "'big' is not an image size; expected e.g. 224 or 224x192",
        ),
        ("shapes B/16 --channels 0", "0 is not in the range 1<=x<=1000000"),
        ("summary X/1", "unknown variant 'X/1'; known: B/16"),
        ("report run --brief", "--brief has no effect without --decision; give both or neither"),
        ("report run --json", "--json goes with --decision or --beside alone; give --decision"),
        ("report run --beside b --page", "--page has no effect with --beside; give one of them"),
        ("report run --beside b --show all", "--show has no effect with --beside; give one"),
        (
            "report run --beside b --markdown --factors patcher",
            "--factors has no effect with --beside; give one of them",
        ),
        (
            "report run --beside b --json --markdown",
            "--json and --markdown are mutually exclusive; give one of them",
        ),
        (
            "report results/reference/amd-epyc-zen4-2-cores --beside nowhere",
            "nowhere/plan.json cannot be read (No such file or directory); ",
        ),
        ("report nowhere", "nowhere/plan.json cannot be read (No such file or directory); "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line has the value, what was expected and the remedy; there is no traceback."""
    assert says in error_of(arguments.split(), monkeypatch, capsys)


@pytest.mark.parametrize("out", ["taken", "file/below"])
def test_no_output_folder_is_overwritten(
    out: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An existing or impossible output folder is refused before any measurement."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "results.csv").write_text("kept")
    (tmp_path / "file").write_text("kept")
    error = error_of(["run", "--out", str(tmp_path / out)], monkeypatch, capsys)
    assert f"output folder {tmp_path / out}" in error
    assert (tmp_path / "taken" / "results.csv").read_text() == "kept"
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--budget", "1s"], "budget is 1s; expected at least"),
        (["--devices", "cuda"], "device 'cuda' is not available here; choose from: "),
    ],
)
def test_an_impossible_run_is_refused(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A budget that is too small or an absent device is refused, and no folder is created."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    out = tmp_path / "run"
    assert says in error_of(["run", *arguments, "--out", str(out)], monkeypatch, capsys)
    assert not out.exists()


def test_a_run_without_a_measurement_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If every comparison fails, the rows have the reason and the exit code is 2."""
    # Locks are temporary files: other runs on this machine must not block this one.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    size = ["--variants", "B/32", "--image-size", "32", "--batch-sizes", str(10**10)]
    out = ["--factors", "patcher", "--passes", "1", "--no-survey", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["vitbench", "run", *size, *out])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "nothing was measured" in capsys.readouterr().err.splitlines()[-1]
    assert {record.status for record in read_csv(tmp_path / "run" / "results.csv")} == {"oom"}


@pytest.mark.parametrize(
    "arguments", ["--help", "run --help", "profile --help", "report --help", "--version"]
)
def test_help_starts_without_torch(arguments: str) -> None:
    """``--help`` imports neither torch nor pandas, matplotlib or scipy."""
    code = (
        "import sys; from bench.__main__ import cli\n"
        f"cli.main({arguments.split()!r}, standalone_mode=False)\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
