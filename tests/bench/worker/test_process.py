"""bench.worker in real processes: orphans, unwritable journals and interrupts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.files.journal import read_events
from bench.files.run_folder import write_json
from bench.records.task import UNWRITABLE, Ending, Task
from bench.worker.process import announce, keep, keep_sample, patience_for, report, work
from helpers.journals import read_samples, surveys_from
from helpers.own_arms import compare
from helpers.records import make_comparison, make_sample, make_survey
from helpers.tasks import make_pass_job, make_pass_task, make_survey_job, make_survey_task

PASS_JOB, SURVEY_JOB = make_pass_job(pass_index=2), make_survey_job()
SAMPLE = make_sample(PASS_JOB.comparisons[0], 2, status="crashed", error="SIGSEGV")
# The worker prints that it is ready, and later that it is still alive if not killed.
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
from bench.files.run_folder import read_task
from bench.worker.process import announce, keep, keep_sample, report
task = read_task(Path("task.json"))
job = task.jobs[0]
{call}
print("went on")
"""
CALLS = ["announce(task, job)", "keep(task, job, job.failed('ok', ''))", "report(task, 'call 1')"]
KEEPS_SAMPLE = "keep_sample(task, job, next(job.samples('oom', '')))"
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


INTERRUPTING_ARM = """
import os, signal
def interrupts():
    os.kill(os.getpid(), signal.SIGINT)
"""
ROOT = Path(__file__).parents[3]


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_an_orphan_is_killed() -> None:
    """The worker dies with its runner at once."""
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"ready\n"
        runner.kill()
        # Both processes write to this pipe: it closes when both have ended.
        assert runner.stdout.read() == b""


def test_a_process_of_another_parent_ends_at_once(tmp_path: Path) -> None:
    """A worker whose parent is already dead exits without a measurement."""
    task = make_survey_task(tmp_path / "journal.jsonl", parent=1)
    write_json(tmp_path / "task.json", task)
    done = python("-m", "bench.worker", str(tmp_path / "task.json"))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert not task.journal.exists()


def test_a_worker_restores_ignored_interrupts(tmp_path: Path) -> None:
    """A worker started by a shell that ignores SIGINT can be interrupted."""
    (tmp_path / "arms.py").write_text(INTERRUPTING_ARM, "utf-8")
    comparison = compare("arms.py:interrupts", "arms.py:interrupts")
    job = make_survey_job(comparison)
    task = make_survey_task(tmp_path / "journal.jsonl", job, parent=os.getpid())
    write_json(tmp_path / "task.json", task)
    words = [sys.executable, "-m", "bench.worker", str(tmp_path / "task.json")]
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    done = subprocess.run(
        [*shell, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    events, _ = read_events(task.journal)
    assert [event["kind"] for event in events] == ["survey_start"]


@pytest.mark.parametrize(
    ("make", "call"),
    [
        *product((make_pass_task, make_survey_task), CALLS),
        (make_pass_task, KEEPS_SAMPLE),
    ],
)
@pytest.mark.parametrize(
    ("fault", "says"),
    [("disk full", "No space left on device"), ("folder removed", "No such file or directory")],
)
def test_an_unwritable_journal_ends_the_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Task[Any]],
    call: str,
    fault: str,
    says: str,
) -> None:
    """The process prints the reason and exits with its own code."""
    journal = tmp_path / "run" / "journal.jsonl"
    if fault == "disk full":
        journal.parent.mkdir()
        journal.symlink_to("/dev/full")
    write_json(tmp_path / "task.json", make(journal))
    monkeypatch.chdir(tmp_path)
    done = python("-c", WRITES.format(call=call))
    assert done.returncode == UNWRITABLE, done.stderr
    assert (done.stdout, done.stderr) == ("", f"{journal}: {says}\n")


def test_the_journal_of_a_pass(tmp_path: Path) -> None:
    """The journal has the start of a group, its samples and its end, in order."""
    task = make_pass_task(tmp_path / "journal.jsonl", PASS_JOB)
    announce(task, PASS_JOB)
    keep_sample(task, PASS_JOB, SAMPLE)
    keep(task, PASS_JOB, Ending())
    events, _ = read_events(task.journal)
    assert [(event["kind"], event["key"]) for event in events] == [
        ("start", PASS_JOB.key),
        ("sample", SAMPLE.key),
        ("group", PASS_JOB.key),
    ]
    assert events[0]["pass_index"] == 2
    assert (events[2]["status"], events[2]["died"]) == ("ok", False)
    assert read_samples(tmp_path) == [SAMPLE]


def test_the_journal_of_a_survey(tmp_path: Path) -> None:
    """Jobs are done in order, and their events have no pass index."""
    other = make_survey_job(make_comparison("sdpa"))
    task = make_survey_task(tmp_path / "journal.jsonl", SURVEY_JOB, other)
    work(task, lambda job: make_survey(job.key))
    events, _ = read_events(task.journal)
    assert [(event["kind"], event["key"]) for event in events] == [
        (kind, job.key) for job in (SURVEY_JOB, other) for kind in ("survey_start", "survey")
    ]
    assert surveys_from(events) == {job.key: make_survey(job.key) for job in (SURVEY_JOB, other)}
    assert not any("pass_index" in event for event in events)


def test_progress_inside_a_job(tmp_path: Path) -> None:
    """A progress event has one line of text."""
    task = make_survey_task(tmp_path / "journal.jsonl")
    report(task, "call 1 of 5")
    events, _ = read_events(task.journal)
    assert [(event["kind"], event["text"]) for event in events] == [("progress", "call 1 of 5")]


def test_the_second_interrupt_raises() -> None:
    """The first interrupt sets a flag, so that the current pair ends; the second raises."""
    done = python("-c", INTERRUPTED)
    assert done.stdout.splitlines() == ["before False", "first True", "second"], done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(("left_s", "patience_s"), [(200.0, 10.0), (0.0, 0.0), (-50.0, 0.0)])
def test_the_patience_of_a_pass_is_a_share_of_its_time(
    tmp_path: Path, left_s: float, patience_s: float
) -> None:
    """Waits for a calm machine take at most a twentieth of the time until the deadline."""
    task = make_pass_task(tmp_path / "journal.jsonl", deadline_s=time.time() + left_s)
    assert patience_for(task, lambda: False).left_s == pytest.approx(patience_s, abs=0.1)
