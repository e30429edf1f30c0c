"""bench.worker.passes: a pass in a process of its own; arms that find no memory beside others."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.files.journal import Event, read_events
from bench.files.run_folder import write_json
from bench.machine.calm import Patience
from bench.records.comparison import Comparison
from bench.records.sample import Sample
from bench.records.task import PassJob
from bench.worker import passes
from bench.worker.budget import TimeBudget
from bench.worker.group_session import GroupSession
from helpers.jobs import make_group
from helpers.journals import samples_from
from helpers.own_arms import compare, write
from helpers.processes import wait_for
from helpers.records import make_comparison
from helpers.tasks import make_pass_job, make_pass_task

ARMS = """
    import itertools, time, weakref
    from pathlib import Path

    # Arms that exist in this process.
    ALIVE = weakref.WeakSet()

    def kept(work):
        ALIVE.add(work)
        return work

    def right(): return kept(lambda x: x + 1)
    def same(): return kept(lambda x: 1 + x)
    def wrong(): return kept(lambda x: x + 2)
    def slow():
        def work(x):
            time.sleep(0.01)
            return x + 1
        return work
    def crowded():
        def work(x):
            # The baseline is built twice; its copy is the third.
            if len(ALIVE) > 4:
                raise MemoryError
            return x + 1
        return kept(work)
    def starts():
        calls = itertools.count()
        def work(x):
            if next(calls) == 20:
                Path("under-way").touch()
            time.sleep(0.01)
            return x + 1
        return work
"""
ROOT = Path(__file__).parents[3]


def group_of(*names: str) -> tuple[Comparison, ...]:
    """Return the comparisons of factories of a module, imported once, with the first of them."""
    return tuple(compare(f"arms:{names[0]}", f"arms:{name}") for name in names)


class Pass:
    """A pass over groups of own arms in a process."""

    def __init__(self, folder: Path, *groups: tuple[str, ...], **changes: Any) -> None:
        write(folder / "arms.py", ARMS)
        self.folder = folder
        self.jobs = [
            make_pass_job(*group_of(*names), **{"pass_index": 2, "measure_s": 0.1} | changes)
            for names in groups
        ]
        self.task = make_pass_task(
            folder / "journal.jsonl",
            *self.jobs,
            parent=os.getpid(),
            deadline_s=time.time() + 60,
            end_s=time.time() + 60,
        )

    def start(self) -> subprocess.Popen[str]:
        """Start the process."""
        write_json(self.folder / "task.json", self.task)
        return subprocess.Popen(
            [sys.executable, "-m", "bench.worker", "task.json"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def events(self) -> list[Event]:
        """Return the events of the journal other than progress."""
        found, _ = read_events(self.task.journal)
        return [each for each in found if each["kind"] in ("start", "sample", "group")]

    def samples(self) -> dict[str, Sample]:
        """Return the samples of the journal by name of the factory."""
        samples = samples_from(self.events())
        assert all(each.pass_index == 2 for each in samples)
        return {each.key.rpartition(":")[2]: each for each in samples}


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a process without a fault, and return what it printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out + err


def test_a_pass_writes_each_group(tmp_path: Path) -> None:
    """Each group starts, has a sample for each comparison, and ends; failures are in the log."""
    work = Pass(tmp_path, ("right", "wrong", "same"), ("slow", "same"))
    log = ended(work.start())
    kinds = [(each["kind"], each["key"]) for each in work.events()]
    assert kinds == [
        (kind, key)
        for job in work.jobs
        for kind, key in (
            ("start", job.key),
            *(("sample", each.key) for each in job.comparisons),
            ("group", job.key),
        )
    ]
    statuses = {name: each.status for name, each in work.samples().items()}
    assert statuses == {"right": "ok", "wrong": "wrong", "same": "ok", "slow": "ok"}
    assert "Traceback" not in log


def test_an_arm_without_memory_is_measured_without_the_others(tmp_path: Path) -> None:
    """An arm for which the group is too large is measured beside the baseline and its copy."""
    work = Pass(tmp_path, ("right", "crowded", "same", "wrong"))
    log = ended(work.start())
    samples = work.samples()
    assert {name: each.status for name, each in samples.items()} == {
        "right": "ok",
        "crowded": "ok",
        "same": "ok",
        "wrong": "wrong",
    }
    assert samples["same"].baseline_s == samples["right"].baseline_s
    assert samples["crowded"].baseline_s[:2] != samples["right"].baseline_s[:2]
    assert "MemoryError" in log
    assert [each["kind"] for each in work.events()].count("sample") == 4


def test_an_interrupt_ends_with_the_round(tmp_path: Path) -> None:
    """The round under way is written; the group has no end, and the next one does not start."""
    work = Pass(tmp_path, ("starts", "slow"), ("right", "same"), measure_s=600.0)
    with work.start() as process:
        wait_for((tmp_path / "under-way").exists, "rounds", process)
        process.send_signal(signal.SIGINT)
        ended(process)
    assert [each["kind"] for each in work.events()] == ["start", "sample", "sample"]
    counts = {len(each.arm_s) for each in work.samples().values()}
    assert len(counts) == 1
    assert 0 < min(counts) < 1000


class Memory:
    """Measures groups for which memory suffices if they have no more than some arms."""

    def __init__(self, most: int, never: set[str]) -> None:
        self.most, self.never = most, never
        self.groups: list[tuple[str, ...]] = []
        self.times_s: list[float] = []

    def __call__(self, session: GroupSession) -> list[Sample]:
        """Return a sample for each comparison."""
        self.groups.append(tuple(each.key for each in session.comparisons))
        self.times_s.append(session.measuring_s(0.0))
        return [
            Sample(key=each.key, pass_index=0, status=self.status(session, each.key))
            for each in session.comparisons
        ]

    def status(self, session: GroupSession, key: str) -> str:
        """Return the status of an arm."""
        enough = len(session.comparisons) <= self.most and key not in self.never
        return "ok" if enough else "oom"


CONTROL = make_comparison("mha")
CANDIDATES = [make_comparison(each) for each in ("mha_weights", "manual", "sdpa")]
KEYS = [each.key for each in CANDIDATES]


@given(
    most=st.integers(1, 5),
    never=st.sets(st.sampled_from(KEYS)),
    candidates=st.lists(st.sampled_from(CANDIDATES), min_size=1, unique=True),
    has_control=st.booleans(),
)
def test_every_arm_gets_the_memory_that_there_is(
    most: int, never: set[str], candidates: list[Comparison], *, has_control: bool
) -> None:
    """An arm is out of memory only if it is so alone; each is measured twice at most."""
    memory = Memory(most, never)
    comparisons = (CONTROL, *candidates)[not has_control :]
    samples = passes._apart(make_group(*comparisons, seconds=6.0), memory)
    assert [each.key for each in samples] == [each.key for each in comparisons]
    for each in samples[has_control:]:
        fits = most > has_control and each.key not in never
        assert (each.status == "ok") is fits
    assert memory.groups[0] == tuple(each.key for each in comparisons)
    assert all(len(each) == 1 + has_control for each in memory.groups[1:])
    assert len(memory.groups) <= 1 + (len(candidates) if len(candidates) > 1 else 0)
    if has_control:
        assert all(each[0] == CONTROL.key for each in memory.groups)
        assert (samples[0].status == "ok") is (most > 1 or len(comparisons) == 1 == most)
    # Together the parts take no longer than the group.
    assert sum(memory.times_s[1:]) <= 6.0 + 1e-9


def test_only_lack_of_memory_is_tried_again() -> None:
    """An arm that crashes beside others is not called again."""
    calls: list[int] = []

    def crashes(session: GroupSession) -> list[Sample]:
        calls.append(len(session.comparisons))
        return [Sample(key=e.key, pass_index=0, status="crashed") for e in session.comparisons]

    samples = passes._apart(make_group(CONTROL, *CANDIDATES), crashes)
    assert calls == [4]
    assert {each.status for each in samples} == {"crashed"}


@pytest.mark.parametrize(
    ("cache", "component", "name"),
    [
        ("model", "attention", "measure_inside"),
        ("model", "model", "measure_group"),
        ("cold", "attention", "measure_group"),
    ],
)
def test_parts_are_measured_where_their_cache_says(
    monkeypatch: pytest.MonkeyPatch, cache: str, component: str, name: str
) -> None:
    """A part in the cache state of the model is measured inside it, all others alone."""
    sessions: list[GroupSession] = []

    def noted(of: str) -> Callable[[GroupSession], list[Sample]]:
        def measure(session: GroupSession) -> list[Sample]:
            assert of == name
            sessions.append(session)
            return [Sample(key=each.key, pass_index=0) for each in session.comparisons]

        return measure

    for each in ("measure_inside", "measure_group"):
        monkeypatch.setattr(passes, each, noted(each))
    job = make_pass_job(
        make_comparison("sdpa", cache=cache, component=component), pass_index=3, measure_s=2.0
    )
    assert [each.pass_index for each in samples_of(job)] == [3]
    assert sessions[0].measuring_s(100.0) == 2.0


def samples_of(job: PassJob) -> list[Sample]:
    """Return the samples of a job."""
    task = make_pass_task(Path("none"), job)
    allotted = partial(TimeBudget.of(task).measuring, job.key)
    return list(passes._samples(task, job, allotted, Patience(0.0), threading.Event()))
