"""Passes as real processes: what they measure, and what is left when one is killed."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.files.journal import JournalReader
from bench.files.run_folder import create_run_folder
from bench.records.comparison import Comparison
from bench.records.errors import RunError
from bench.records.task import PassPlan
from bench.runs.processes import _raise_unwritable
from bench.runs.tasks import PassTask, probe, run_pass
from bench.suite.bench_patchers import GRID
from bench.suite.grid import Selection, expand
from helpers.journals import read_samples
from helpers.own_arms import compare
from helpers.processes import with_arms
from helpers.records import make_environment, make_plan

SELECTION = Selection(variants=("B/32",), image_size=32, batch_sizes=(1,), modes=("forward",))
# No case here takes so long.
LIMIT_S = 120.0
COMPARISONS = tuple(expand(GRID, SELECTION))


def plan_in(folder: Path, comparisons: tuple[Comparison, ...], seconds: float = 3.0) -> PassPlan:
    """A pass over some comparisons, in a new run's folder."""
    create_run_folder(folder, make_plan(comparisons=comparisons), make_environment())
    return PassPlan(
        pass_index=0,
        deadline_s=time.time() + seconds,
        end_s=time.time() + seconds,
        each_s=None,
        weights={},
        checked=tuple(each.key for each in comparisons),
        threads=2,
        parent=os.getpid(),
        journal=folder / "journal.jsonl",
        comparisons=comparisons,
    )


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory whose modules have the names of ours, of pytest and of the library."""
    for name in ("bench", "pytest", "random"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('the other {name}')")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_a_killed_process_takes_one_comparison_with_it(tmp_path: Path) -> None:
    """The comparison under way is a row with the cause; the rest is measured all the same."""
    arms = with_arms(tmp_path) / "arms.py"
    names = ("right#2", "is_killed", "right#3")
    comparisons = tuple(compare(f"{arms}:right", f"{arms}:{name}") for name in names)
    plan = replace(plan_in(tmp_path / "run", comparisons), each_s=0.1)
    seen: list[str] = []
    run_pass(plan, JournalReader(plan.journal), lambda e: seen.append(e["kind"]), LIMIT_S)
    samples = read_samples(tmp_path / "run")
    assert [sample.key for sample in samples] == [each.key for each in comparisons]
    assert [sample.status for sample in samples] == ["ok", "crashed", "ok"]
    assert samples[1].error == "the process was ended by SIGKILL; see passes/pass-1.log"
    two, one = ["process", *["start", "sample"] * 2], ["process", "start", "sample"]
    assert seen == two + one


@pytest.mark.slow
def test_a_process_that_measures_nothing_is_an_error(tmp_path: Path) -> None:
    """A pass that ends before it begins says where its output is, and does not try for ever."""
    plan = replace(plan_in(tmp_path / "run", COMPARISONS), parent=1)
    with pytest.raises(RunError, match=r"measured nothing: .*see passes/pass-1\.log"):
        run_pass(plan, JournalReader(plan.journal), lambda _: None, LIMIT_S)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_after_the_deadline_a_pass_says_what_it_left_out(tmp_path: Path) -> None:
    """Comparisons without time are samples with the remedy, not gaps."""
    plan = plan_in(tmp_path / "run", COMPARISONS, seconds=-1)
    # Half a second is less than torch takes to load, which is no comparison's time.
    run_pass(plan, JournalReader(plan.journal), lambda _: None, 0.5)
    samples = read_samples(tmp_path / "run")
    assert {sample.status for sample in samples} == {"skipped"}
    assert {"larger --budget" in str(sample.error) for sample in samples} == {True}
    assert len(samples) == len(COMPARISONS)


@pytest.mark.usefixtures("elsewhere")
def test_the_probe_describes_the_machine() -> None:
    """The starting program learns the devices without loading torch itself."""
    assert "cpu" in probe().devices


def test_a_journal_that_takes_no_sample_is_full(tmp_path: Path) -> None:
    """Where a process could not write its long line, a short one that fits is no comfort."""
    plan = plan_in(tmp_path / "run", COMPARISONS)
    with pytest.raises(OSError, match="no room for what was measured"):
        _raise_unwritable(PassTask(plan))
