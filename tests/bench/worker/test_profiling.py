"""bench.worker.profiling: one case from its call to the data files."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.costs.memory_prediction import predict
from bench.costs.profiler import ProfilingResult
from bench.records.arm_costs import MEMORY_KINDS, Case
from bench.records.call_profile import BETWEEN, CALL_COMPONENTS, PYTHON, CallProfile
from bench.records.comparison import Arm, Workload
from bench.records.task import Ending, ProfileJob
from bench.runs.profiling import read
from bench.worker.profiling import _disturbed, profile

BLOCK = Workload(
    component="block",
    mode="train",
    device="cpu",
    variant="B/32",
    patch_size=32,
    image_size=64,
    batch_size=1,
)
FILES = {"profile.json", "trace.json", "stacks.txt"}


def job_of(folder: Path, arm: Arm | None = None, **changes: Any) -> ProfileJob:
    """A profile of three training steps of a small block; keywords change the workload."""
    case = Case(workload=replace(BLOCK, **changes), arm=arm or Arm())
    return ProfileJob(case=case, calls=3, folder=folder, command="vitbench profile")


def profiled_by(job: ProfileJob) -> CallProfile:
    """The data of a profile that succeeds."""
    assert profile(job, ignore) == Ending()
    return read(job.folder).profiled


def ignore(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[CallProfile, Path]:
    """One profile and its folder, for all who only look."""
    folder = tmp_path_factory.mktemp("profile") / "new" / "folder"
    return profiled_by(job_of(folder)), folder


def test_shares_add_up(made: tuple[CallProfile, Path]) -> None:
    """Components and operators divide the same time; every component of a block is there."""
    profiled, _ = made
    total = pytest.approx(profiled.total_s)
    assert sum(each.seconds for each in profiled.operators) == total
    found = {each.name for each in profiled.components}
    assert (
        found == {"norm", "attention", "MLP", "loss", "optimizer", BETWEEN} <= set(CALL_COMPONENTS)
    )
    assert PYTHON in {each.name for each in profiled.operators}


def test_what_the_profiler_costs_is_told(made: tuple[CallProfile, Path]) -> None:
    """Times of both sorts of calls and their ratio, over so many pairs as were asked for."""
    profiled, _ = made
    assert profiled.calls == 3
    assert min(profiled.wall_s, profiled.profiled_s, profiled.overhead) > 0


def test_the_files(made: tuple[CallProfile, Path]) -> None:
    """Nothing else lies in the folder."""
    _, folder = made
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_trace_is_one_that_perfetto_reads(made: tuple[CallProfile, Path]) -> None:
    """JSON with events, of operators and of our ranges."""
    _, folder = made
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    names = {event.get("name") for event in events}
    assert {"aten::addmm", "vitbench::MLP", "vitbench::norm", "vitbench::optimizer"} <= names


def test_the_stacks_are_those_of_a_flame_graph(made: tuple[CallProfile, Path]) -> None:
    """Each line is a way down and whole microseconds, which add up to the call."""
    profiled, folder = made
    lines = (folder / "stacks.txt").read_text().splitlines()
    numbers = [int(line.rpartition(" ")[2]) for line in lines]
    assert sum(numbers) == pytest.approx(profiled.total_s * 1e6, abs=1)
    assert any(line.startswith("MLP;aten::linear;aten::addmm ") for line in lines)
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)


def test_the_timeline_reaches_the_predicted_peak(made: tuple[CallProfile, Path]) -> None:
    """What is drawn is what ``vitbench memory`` predicts."""
    profiled, _ = made
    assert profiled.memory is not None
    assert max(profiled.memory.total_bytes) == predict(profiled.case).total_bytes
    assert set(profiled.memory.live_bytes) <= set(MEMORY_KINDS)
    assert list(profiled.memory.phases) == ["forward", "backward", "optimizer"]
    starts = list(profiled.memory.phases.values())
    assert starts == sorted(starts)
    # A step ends as it began: with gradients, and without activations.
    ends = {kind: (row[0], row[-1]) for kind, row in profiled.memory.live_bytes.items()}
    assert all(first == last for first, last in ends.values())
    assert ends["gradients"][0] == ends["parameters"][0]


def test_memory_is_measured_too(made: tuple[CallProfile, Path]) -> None:
    """Its peak is the predicted one within 5 %, and each component has had its turn."""
    profiled, _ = made
    assert profiled.watched is not None
    most = max(profiled.watched.live_bytes)
    assert most == pytest.approx(predict(profiled.case).total_bytes, rel=0.05)
    held = {each.name: each for each in profiled.watched.components}
    assert {"attention", "MLP", "norm", "optimizer"} <= set(held)
    assert max(each.most_bytes for each in held.values()) == most
    # Activations are kept for backward, and all is gone when the step ends, but the gradients.
    assert held["MLP"].kept_bytes > held["norm"].kept_bytes > 0
    ended = profiled.watched.live_bytes[-1] - profiled.watched.live_bytes[0]
    assert sum(each.kept_bytes for each in held.values()) == ended


def test_everything_is_there_as_data(made: tuple[CallProfile, Path]) -> None:
    """With machine, versions, time and command."""
    profiled, folder = made
    data = json.loads((folder / "profile.json").read_text())
    assert data["schema"] == 1
    assert data["command"] == "vitbench profile"
    assert data["environment"]["torch"] == torch.__version__
    assert data["overhead"] == profiled.overhead
    assert [each["name"] for each in data["components"]] == [c.name for c in profiled.components]
    assert data["case"]["workload"]["component"] == "block"


def test_inference_of_a_model(tmp_path: Path) -> None:
    """Without training there are neither loss nor optimizer, and nothing is kept."""
    profiled = profiled_by(job_of(tmp_path / "p", component="model", mode="forward"))
    found = {each.name for each in profiled.components}
    assert found == {"patcher", "embedding", "norm", "attention", "MLP", "head", BETWEEN}
    assert profiled.memory is not None
    assert set(profiled.memory.live_bytes) == {"parameters", "inputs", "temporaries"}
    assert list(profiled.memory.phases) == ["forward"]


@pytest.mark.slow
def test_a_compiled_arm_has_no_prediction(tmp_path: Path) -> None:
    """One component is compiled; a note says why there is no memory."""
    profiled = profiled_by(job_of(tmp_path / "p", Arm(compile="compile_blocks"), mode="forward"))
    assert {each.name for each in profiled.components} == {"compiled", BETWEEN}
    assert profiled.memory is None
    assert "cannot be predicted" in profiled.notes[0]


def test_foreign_load_is_told() -> None:
    """With its causes and the remedy; a calm profile says nothing of it."""
    (said,) = _disturbed(
        ProfilingResult(plain_s=[1.0] * 5, disturbed=2, causes={"steal": 1, "preempted": 2})
    )
    assert said.startswith("Foreign load disturbed 2 of 5 pairs (steal 1, preempted 2); for better")
    assert not list(_disturbed(ProfilingResult(plain_s=[1.0])))


def test_a_gpu_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the devices that are here."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ending = profile(job_of(tmp_path / "p", device="cuda"), ignore)
    assert ending.status == "skipped"
    assert "'cuda' is not available here; choose from: " in str(ending.error)


def test_an_arm_that_does_not_fit(tmp_path: Path) -> None:
    """Want of memory is a status; no folder is left."""
    ending = profile(job_of(tmp_path / "p", batch_size=10**10), ignore)
    assert ending.status == "oom"
    assert ending.error
    assert not (tmp_path / "p").exists()


def test_an_arm_that_this_machine_cannot_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status says that it was skipped, the error what to install."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    ending = profile(job_of(tmp_path / "p", Arm(compile="compile_blocks")), ignore)
    assert ending.status == "skipped"
    assert "'no-such-compiler' is not on the PATH; install" in str(ending.error)


def test_the_callers_precision_is_as_before(tmp_path: Path) -> None:
    """Full products are pinned for the calls alone."""
    torch.set_float32_matmul_precision("high")
    try:
        profiled_by(job_of(tmp_path / "p", component="attention", mode="forward"))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("checkpoint", ["none", "blocks"])
def test_on_a_gpu_times_are_of_kernels(checkpoint: str, tmp_path: Path) -> None:
    """Every component has kernels; their sum is within the call, and Python has none."""
    arm = Arm(precision="amp_bf16", checkpoint=checkpoint)
    work = {"device": "cuda", "component": "model", "image_size": 224, "batch_size": 16}
    job = job_of(tmp_path / "p", arm, **work)
    profiled = profiled_by(job)
    assert {each.name for each in profiled.components} == set(CALL_COMPONENTS) - {"compiled"}
    assert 0 < profiled.total_s <= profiled.profiled_s
    assert PYTHON not in {each.name for each in profiled.operators}
    # Each Linear has two products in backward, and what is computed again is no backward.
    (mm,) = (each for each in profiled.operators if each.name == "aten::mm")
    assert mm.within["MLP"] > mm.within["attention"] > mm.within["head"]
    snapshot = pickle.loads((job.folder / "memory_snapshot.pickle").read_bytes())  # noqa: S301
    assert snapshot["device_traces"]
