"""First calls of a compiled arm: cold in the first pass of a run, warm in the next."""

import os
import time
from pathlib import Path

import pytest

from bench.files.journal import JournalReader
from bench.files.run_folder import create_run_folder
from bench.records.comparison import Arm, Comparison
from bench.records.sample import Sample
from bench.runs.processes import run_to_completion
from helpers.journals import read_samples
from helpers.records import make_environment, make_plan, make_workload
from helpers.tasks import make_pass_job, make_pass_task

pytestmark = [pytest.mark.slow, pytest.mark.long]

BLOCK = make_workload(component="block", variant="B/32", patch_size=32, image_size=32)
COMPILED = Comparison(
    factor="compile",
    workload=BLOCK,
    baseline=Arm(),
    arm=Arm(compile="compile_blocks"),
    cache="warm",
)
EAGER = Comparison(factor="compile", workload=BLOCK, baseline=Arm(), arm=Arm(), cache="warm")
LIMIT_S = 240.0


class Run:
    """A run's folder, and passes in processes that share the compiled code."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.compiled = folder, folder / "compiled"
        plan = make_plan(comparisons=(EAGER, COMPILED))
        create_run_folder(folder, plan, make_environment())

    def measure(self, pass_index: int) -> dict[str, Sample]:
        """Measure one pass in a process of its own; return its samples by arm."""
        changes = {"pass_index": pass_index, "measure_s": 0.1}
        task = make_pass_task(
            self.folder / "journal.jsonl",
            make_pass_job(EAGER, COMPILED, **changes),
            limit_s=LIMIT_S,
            end_s=time.time() + LIMIT_S,
            parent=os.getpid(),
            compiled=self.compiled,
        )
        reader = JournalReader(task.journal)
        reader.new_events(final=True)
        run_to_completion(task, reader, lambda _: None)
        arms = {each.key: each.arm_name for job in task.jobs for each in job.comparisons}
        samples = read_samples(self.folder)
        return {arms[each.key]: each for each in samples if each.pass_index == pass_index}

    def code(self) -> dict[Path, int]:
        """Return the compiled libraries and their modification times."""
        return {path: path.stat().st_mtime_ns for path in self.compiled.rglob("*.so")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run without a pass."""
    return Run(tmp_path_factory.mktemp("first") / "run")


@pytest.fixture(scope="module")
def passes(run: Run) -> tuple[list[dict[str, Sample]], list[dict[Path, int]]]:
    """Return the samples of two passes, and the compiled code after each."""
    samples, code = [], []
    for index in (0, 1):
        samples.append(run.measure(index))
        code.append(run.code())
    return samples, code


def test_the_first_call_is_cold_and_then_warm(
    passes: tuple[list[dict[str, Sample]], list[dict[Path, int]]],
) -> None:
    """Each process times the compiler's start and the arm's first call."""
    samples = [each["compile_blocks"] for each in passes[0]]
    assert [each.status for each in samples] == ["ok", "ok"]
    assert [each.first_call_cache for each in samples] == ["cold", "warm"]
    for sample in samples:
        assert sample.first_call_s is not None
        assert sample.compiler_start_s is not None
        assert min(sample.first_call_s, sample.compiler_start_s) > 0


def test_the_second_process_compiles_nothing(
    passes: tuple[list[dict[str, Sample]], list[dict[Path, int]]],
) -> None:
    """The second process reuses the compiled code of the first unchanged."""
    first, second = passes[1]
    assert first
    assert second == first


def test_the_measured_call_is_the_compiled_one(
    passes: tuple[list[dict[str, Sample]], list[dict[Path, int]]],
) -> None:
    """The first call changes neither the checked output nor the timed pairs."""
    sample = passes[0][0]["compile_blocks"]
    assert sample.output_error is not None
    assert 0 < sample.output_error < 1e-5
    assert len(sample.arm_s) == len(sample.baseline_s) > 0


def test_an_eager_arm_has_no_first_call(
    passes: tuple[list[dict[str, Sample]], list[dict[Path, int]]],
) -> None:
    """The first-call cells of an eager arm are empty, not 0."""
    for samples in passes[0]:
        eager = samples["eager"]
        assert (eager.first_call_s, eager.first_call_cache) == (None, None)
        assert eager.compiler_start_s is None
