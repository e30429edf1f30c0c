"""bench.worker.profiling: one case, from its calls to the data files."""

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
    """Build a profile of three training steps of a small block; keywords change the workload."""
    case = Case(workload=replace(BLOCK, **changes), arm=arm or Arm())
    return ProfileJob(case=case, calls=3, folder=folder, command="vitbench profile")


def profiled_by(job: ProfileJob) -> CallProfile:
    """Return the data of a successful profile."""
    assert profile(job, ignore) == Ending()
    return read(job.folder).profiled


def ignore(_: str) -> None:
    """Discard progress."""


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[CallProfile, Path]:
    """Return one profile and its folder, shared by tests that only read."""
    folder = tmp_path_factory.mktemp("profile") / "new" / "folder"
    return profiled_by(job_of(folder)), folder


def test_shares_add_up(made: tuple[CallProfile, Path]) -> None:
    """Operators sum to the total time, and every component of a block is listed."""
    profiled, _ = made
    total = pytest.approx(profiled.total_s)
    assert sum(each.seconds for each in profiled.operators) == total
    found = {each.name for each in profiled.components}
    assert (
        found == {"norm", "attention", "MLP", "loss", "optimizer", BETWEEN} <= set(CALL_COMPONENTS)
    )
    assert PYTHON in {each.name for each in profiled.operators}


def test_the_overhead_of_the_profiler_is_reported(made: tuple[CallProfile, Path]) -> None:
    """Both kinds of calls have their time, with their ratio, over the given number of pairs."""
    profiled, _ = made
    assert profiled.calls == 3
    assert min(profiled.wall_s, profiled.profiled_s, profiled.overhead) > 0


def test_the_files(made: tuple[CallProfile, Path]) -> None:
    """The folder holds exactly the expected files."""
    _, folder = made
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_trace_has_operators_and_ranges(made: tuple[CallProfile, Path]) -> None:
    """trace.json has events of operators and of the suite's own ranges."""
    _, folder = made
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    names = {event.get("name") for event in events}
    assert {"aten::addmm", "vitbench::MLP", "vitbench::norm", "vitbench::optimizer"} <= names


def test_the_stacks_are_in_flame_graph_format(made: tuple[CallProfile, Path]) -> None:
    """Each line is a distinct stack with whole microseconds that sum to the call."""
    profiled, folder = made
    lines = (folder / "stacks.txt").read_text().splitlines()
    numbers = [int(line.rpartition(" ")[2]) for line in lines]
    assert sum(numbers) == pytest.approx(profiled.total_s * 1e6, abs=1)
    assert any(line.startswith("MLP;aten::linear;aten::addmm ") for line in lines)
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)


def test_the_timeline_reaches_the_predicted_peak(made: tuple[CallProfile, Path]) -> None:
    """The timeline's peak equals the prediction of ``vitbench memory``."""
    profiled, _ = made
    assert profiled.memory is not None
    assert max(profiled.memory.total_bytes) == predict(profiled.case).total_bytes
    assert set(profiled.memory.live_bytes) <= set(MEMORY_KINDS)
    assert list(profiled.memory.phases) == ["forward", "backward", "optimizer"]
    starts = list(profiled.memory.phases.values())
    assert starts == sorted(starts)
    # A step starts and ends with gradients and without activations.
    ends = {kind: (row[0], row[-1]) for kind, row in profiled.memory.live_bytes.items()}
    assert all(first == last for first, last in ends.values())
    assert ends["gradients"][0] == ends["parameters"][0]


def test_memory_is_measured_too(made: tuple[CallProfile, Path]) -> None:
    """The measured peak is within 5 % of the prediction, and every component is covered."""
    profiled, _ = made
    assert profiled.watched is not None
    most = max(profiled.watched.live_bytes)
    assert most == pytest.approx(predict(profiled.case).total_bytes, rel=0.05)
    held = {each.name: each for each in profiled.watched.components}
    assert {"attention", "MLP", "norm", "optimizer"} <= set(held)
    assert max(each.most_bytes for each in held.values()) == most
    # Activations are kept for backward; at the end of the step only gradients are left.
    assert held["MLP"].kept_bytes > held["norm"].kept_bytes > 0
    ended = profiled.watched.live_bytes[-1] - profiled.watched.live_bytes[0]
    assert sum(each.kept_bytes for each in held.values()) == ended


def test_the_data_has_its_origin(made: tuple[CallProfile, Path]) -> None:
    """profile.json has machine, versions, case and command beside the times."""
    profiled, folder = made
    data = json.loads((folder / "profile.json").read_text())
    assert data["schema"] == 1
    assert data["command"] == "vitbench profile"
    assert data["environment"]["torch"] == torch.__version__
    assert data["overhead"] == profiled.overhead
    assert [each["name"] for each in data["components"]] == [c.name for c in profiled.components]
    assert data["case"]["workload"]["component"] == "block"


def test_inference_of_a_model(tmp_path: Path) -> None:
    """Inference has neither loss nor optimizer, and keeps no activations."""
    profiled = profiled_by(job_of(tmp_path / "p", component="model", mode="forward"))
    found = {each.name for each in profiled.components}
    assert found == {"patcher", "embedding", "norm", "attention", "MLP", "head", BETWEEN}
    assert profiled.memory is not None
    assert set(profiled.memory.live_bytes) == {"parameters", "inputs", "temporaries"}
    assert list(profiled.memory.phases) == ["forward"]


@pytest.mark.usefixtures("captured_only")
def test_a_compiled_arm_has_no_prediction(tmp_path: Path) -> None:
    """A compiled arm is one component; a note has the reason for the missing memory."""
    profiled = profiled_by(job_of(tmp_path / "p", Arm(compile="compile_blocks"), mode="forward"))
    assert {each.name for each in profiled.components} == {"compiled", BETWEEN}
    assert profiled.memory is None
    assert "cannot be predicted" in profiled.notes[0]


def test_foreign_load_is_reported() -> None:
    """The note has causes and remedy; an undisturbed profile has none."""
    (said,) = _disturbed(
        ProfilingResult(plain_s=[1.0] * 5, disturbed=2, causes={"steal": 1, "preempted": 2})
    )
    assert said.startswith("Foreign load disturbed 2 of 5 pairs (steal 1, preempted 2); for better")
    assert not list(_disturbed(ProfilingResult(plain_s=[1.0])))


def test_an_absent_gpu_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the requested device and the remedy."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    ending = profile(job_of(tmp_path / "p", device="cuda"), ignore)
    assert ending.status == "skipped"
    assert "'cuda' is not available here; choose from: " in str(ending.error)


def test_an_arm_that_does_not_fit(tmp_path: Path) -> None:
    """Out of memory is a status, and no folder is left."""
    ending = profile(job_of(tmp_path / "p", batch_size=10**10), ignore)
    assert ending.status == "oom"
    assert ending.error
    assert not (tmp_path / "p").exists()


def test_an_arm_that_this_machine_cannot_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is skipped, and the error has the package to install."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    ending = profile(job_of(tmp_path / "p", Arm(compile="compile_blocks")), ignore)
    assert ending.status == "skipped"
    assert "'no-such-compiler' is not on the PATH; install" in str(ending.error)


def test_the_matmul_precision_is_restored(tmp_path: Path) -> None:
    """The profile pins full float32 products and restores the caller's setting."""
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
    """Every component has kernel time within the call; Python has none."""
    arm = Arm(precision="amp_bf16", checkpoint=checkpoint)
    work = {"device": "cuda", "component": "model", "image_size": 224, "batch_size": 16}
    job = job_of(tmp_path / "p", arm, **work)
    profiled = profiled_by(job)
    assert {each.name for each in profiled.components} == set(CALL_COMPONENTS) - {"compiled"}
    assert 0 < profiled.total_s <= profiled.profiled_s
    assert PYTHON not in {each.name for each in profiled.operators}
    # Each Linear has two products in backward; recomputation is not part of backward.
    (mm,) = (each for each in profiled.operators if each.name == "aten::mm")
    assert mm.within["MLP"] > mm.within["attention"] > mm.within["head"]
    snapshot = pickle.loads((job.folder / "memory_snapshot.pickle").read_bytes())  # noqa: S301
    assert snapshot["device_traces"]
