"""Ctrl-C and other signals: the round ends, rows are written, no process is left."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from bench.files.journal import read_events
from bench.files.results_csv import read_csv
from bench.timing.rounds import MAX_OWN_ROUNDS
from helpers.journals import read_samples
from helpers.processes import (
    COMPARE,
    Ended,
    children,
    command,
    ended,
    none_left,
    started,
    wait_for,
    with_arms,
)

pytestmark = [pytest.mark.slow, pytest.mark.long]


HINT = "vitbench: interrupted; go on with: vitbench run --resume run"


def check_kept(cwd: Path) -> None:
    """Check that the first pass was cut short after a whole round, and kept."""
    samples = read_samples(cwd / "run")
    assert [(each.status, each.pass_index) for each in samples] == [("ok", 0)] * 2
    control, candidate = samples
    assert 1 <= len(control.arm_s) < MAX_OWN_ROUNDS
    assert len(control.arm_s) == len(candidate.arm_s)
    assert control.baseline_s == candidate.baseline_s
    rows = read_csv(cwd / "run" / "results.csv")
    assert [(row.rounds, row.passes) for row in rows] == [(len(control.arm_s), 1)] * 2


def test_ctrl_c_finishes_the_round_and_writes_it(interrupted: Ended) -> None:
    """The rounds so far are in the journal and the CSV, and the exit code is 130."""
    assert interrupted.done.returncode == 130
    check_kept(interrupted.cwd)


def test_an_interrupted_group_is_not_done(interrupted: Ended) -> None:
    """The journal has the samples, but no event that the group is complete."""
    events, _ = read_events(interrupted.cwd / "run" / "journal.jsonl")
    kinds = [each["kind"] for each in events if each["kind"] not in ("progress", "alive")]
    assert kinds == ["process", "start", "sample", "sample"]


def test_ctrl_c_leaves_no_process(interrupted: Ended) -> None:
    """The measuring process ends with the program."""
    assert interrupted.none_left


def test_ctrl_c_prints_the_command_to_resume(interrupted: Ended) -> None:
    """The last line is the command that resumes the run, without a traceback."""
    assert interrupted.done.stderr.splitlines()[-1] == HINT
    assert "Traceback" not in interrupted.done.stderr


def test_resume_measures_only_the_rest(interrupted: Ended, resumed: Ended) -> None:
    """Samples from before the interrupt are kept, and the rest is measured once."""
    cwd = resumed.cwd
    assert resumed.done.returncode == 0
    kept = read_samples(interrupted.cwd / "run")
    found = read_samples(cwd / "run")
    assert found[:2] == kept
    assert [(each.pass_index, len(each.arm_s)) for each in found[2:]] == [(1, MAX_OWN_ROUNDS)] * 2
    assert {row.status for row in read_csv(cwd / "run" / "results.csv")} == {"ok"}


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_a_signal_to_the_program_alone_interrupts_too(
    number: int, under_way: tuple[Path, subprocess.Popen[str]]
) -> None:
    """A signal from CI or ``kill`` interrupts a run like Ctrl-C."""
    cwd, process = under_way
    process.send_signal(number)
    done = ended(process)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == HINT
    check_kept(cwd)
    assert none_left(cwd)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_the_second_signal_ends_a_hang_at_once(number: int, tmp_path: Path) -> None:
    """The second Ctrl-C does not wait for the round under way."""
    with_arms(tmp_path)
    words = ["arms.py:hangs" if word == "arms.py:steady" else word for word in COMPARE]
    with started(*command(*words), cwd=tmp_path) as process:
        wait_for((tmp_path / "under-way").exists, "the hang", process)
        os.killpg(process.pid, number)
        wait_for((tmp_path / "interrupted").exists, "the pass to be interrupted", process)
        assert process.poll() is None
        os.killpg(process.pid, number)
        done = ended(process)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == HINT
    assert {row.rounds for row in read_csv(tmp_path / "run" / "results.csv")} == {0}


def test_an_interrupt_is_not_lost_while_torch_loads(tmp_path: Path) -> None:
    """An interrupt before the first round ends the pass without a measurement."""
    with started(*command(*COMPARE), cwd=with_arms(tmp_path)) as process:
        wait_for((tmp_path / "run" / "passes" / "pass-1.log").exists, "the pass", process)
        wait_for(lambda: any(map(loads_torch, children(process.pid))), "torch", process)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process).returncode == 130
    assert read_samples(tmp_path / "run") == []


def loads_torch(pid: int) -> bool:
    """Return whether a process has started to load torch's library."""
    try:
        return "libtorch_python" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def test_sigkill_of_the_program_ends_its_pass(
    under_way: tuple[Path, subprocess.Popen[str]],
) -> None:
    """The kernel ends the pass of a killed program: no orphan measures or writes."""
    cwd, process = under_way
    process.kill()
    process.wait()
    assert none_left(cwd)
    assert read_samples(cwd / "run") == []
