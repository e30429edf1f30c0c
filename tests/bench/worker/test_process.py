"""bench.worker in real processes: orphans die, what cannot be written ends, interrupts wait."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.files.journal import read_events
from bench.files.run_folder import write_json
from bench.records.task import UNWRITABLE
from bench.worker.process import announce, announce_case, keep, keep_survey
from helpers.journals import read_samples, surveys_from
from helpers.records import (
    make_comparison,
    make_pass_plan,
    make_sample,
    make_survey,
    make_survey_plan,
)

SAMPLE = make_sample(make_comparison(), status="crashed", error="SIGSEGV")
# The worker says that it is ready, and that it lives on if nobody ends it.
WORKER = """
import os, time
from bench.worker.process import end_with
end_with(os.getppid())
print("ready", flush=True)
time.sleep(20)
print("lives on", flush=True)
"""
RUNNER = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {WORKER!r}])
"""
WRITES = """
import sys
from pathlib import Path
from bench.records.arm_costs import Measured, Survey
from bench.records.comparison import Sample
from bench.files.run_folder import read_pass_plan, read_survey_plan
from bench.worker.process import announce, announce_case, keep, keep_survey
{call}
print("went on")
"""
READ = "read_pass_plan(Path('pass.json'))"
READ_SURVEY = "read_survey_plan(Path('survey.json'))"
CALLS = [
    f"announce({READ}, 'a')",
    f"keep({READ}, Sample(key='a', pass_index=0), 'cpu')",
    f"announce_case({READ_SURVEY}, 'a')",
    f"keep_survey({READ_SURVEY}, Survey(key='a', measured=Measured()), 'cpu')",
]
INTERRUPTED = """
import os, signal, time
from threading import Event
from bench.worker.process import finish_on_interrupt
interrupt = Event()
finish_on_interrupt(interrupt)
print("before", interrupt.is_set())
os.kill(os.getpid(), signal.SIGINT)
print("first", interrupt.is_set())
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(20)
except KeyboardInterrupt:
    print("second")
"""


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_an_orphan_is_killed() -> None:
    """When the runner is killed, so is the process that measures for it, at once."""
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"ready\n"
        runner.kill()
        # Both write there: it ends when both have.
        assert runner.stdout.read() == b""


@pytest.mark.parametrize(
    "words", [("-c", WORKER), ("-m", "bench.worker", "1", "pytest", "--version")]
)
def test_a_process_of_another_parent_ends_at_once(words: tuple[str, ...]) -> None:
    """A process whose parent died before it could look measures nothing."""
    code = tuple(word.replace("os.getppid()", "1") for word in words)
    done = python(*code)
    assert (done.returncode, done.stdout) == (1, "")


def test_with_its_parent_a_worker_is_what_was_named() -> None:
    """After the parent's number come a module, which is run as a program, and its arguments."""
    done = python("-m", "bench.worker", str(os.getpid()), "pytest", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("pytest ")


def test_a_worker_obeys_interrupts_that_a_shell_ignored(tmp_path: Path) -> None:
    """Started in the background, where shells ignore interrupts, a worker can be interrupted."""
    test = tmp_path / "test_interrupted.py"
    test.write_text(
        "import os, signal\n\ndef test():\n    os.kill(os.getpid(), signal.SIGINT)\n", "utf-8"
    )
    words = [sys.executable, "-m", "bench.worker", str(os.getpid()), "pytest", str(test), "-q"]
    quiet = ["-p", "no:cacheprovider", "-c", os.devnull]
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    done = subprocess.run([*shell, *words, *quiet], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT, done.stdout


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "says"),
    [("disk full", "No space left on device"), ("folder removed", "No such file or directory")],
)
def test_what_cannot_be_written_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, fault: str, says: str
) -> None:
    """Where the journal cannot be written the process says so and ends with its own exit code."""
    journal = tmp_path / "run" / "journal.jsonl"
    if fault == "disk full":
        journal.parent.mkdir()
        journal.symlink_to("/dev/full")
    write_json(tmp_path / "pass.json", make_pass_plan(journal))
    write_json(tmp_path / "survey.json", make_survey_plan(journal))
    monkeypatch.chdir(tmp_path)
    done = python("-c", WRITES.format(call=call))
    assert done.returncode == UNWRITABLE, done.stderr
    assert (done.stdout, done.stderr) == ("", f"{journal}: {says}\n")


def test_what_is_written(tmp_path: Path) -> None:
    """That a comparison begins, and what was measured of it, stand in the journal, in order."""
    plan = make_pass_plan(tmp_path / "journal.jsonl", pass_index=2)
    announce(plan, SAMPLE.key)
    keep(plan, SAMPLE, "cpu")
    events, _ = read_events(plan.journal)
    assert [(event["kind"], event["key"]) for event in events] == [
        ("start", SAMPLE.key),
        ("sample", SAMPLE.key),
    ]
    assert events[0]["pass_index"] == 2
    assert read_samples(tmp_path) == [SAMPLE]


def test_what_is_written_of_a_survey(tmp_path: Path) -> None:
    """That a case is looked at, and what was told of it, and nothing of a pass."""
    plan, survey = make_survey_plan(tmp_path / "journal.jsonl"), make_survey("a")
    announce_case(plan, "a")
    keep_survey(plan, survey, "cpu")
    events, _ = read_events(plan.journal)
    assert [(event["kind"], event["key"]) for event in events] == [
        ("survey_start", "a"),
        ("survey", "a"),
    ]
    assert surveys_from(events) == {"a": survey}
    assert not any("pass_index" in event for event in events)


def test_the_first_interrupt_waits_and_the_second_does_not() -> None:
    """The first interrupt is only noted, so that the pair under way ends; the second raises."""
    done = python("-c", INTERRUPTED)
    assert done.stdout.splitlines() == ["before False", "first True", "second"], done.stderr
    assert done.returncode == 0
