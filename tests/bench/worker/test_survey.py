"""bench.worker.survey: what one look at a case tells, and what is said of the rest."""

import math
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from bench.costs import top1 as digits
from bench.costs.kernels import FLASH, INDUCTOR_CPP, MATH
from bench.records.arm_costs import Graphs, Survey
from bench.records.comparison import Arm, Comparison
from bench.records.notes import Note
from bench.records.task import SurveyJob
from bench.worker import survey
from bench.worker.survey import ArmSurvey
from helpers.records import make_workload

SMALL = {"component": "block", "variant": "B/32", "patch_size": 32, "image_size": 64}


def item(*limits: str, mode: str = "forward", **levels: str) -> SurveyJob:
    """A small block that is compared with itself."""
    arm, workload = Arm(**levels), make_workload(mode=mode, **SMALL)
    comparison = Comparison(factor="compile", workload=workload, baseline=arm, arm=arm)
    return SurveyJob(comparison=comparison, limits=limits)


def look(each: SurveyJob, compiled: Path | None = None, end_s: float = math.inf) -> Survey:
    """What one look tells."""
    return ArmSurvey(each, compiled, end_s).survey()


def reasons(found: Survey) -> list[str]:
    """The notes, but for that of a machine without a meter."""
    return [
        str(note) for note in found.notes if isinstance(note, Note) and note.subject != "energy"
    ]


@pytest.fixture(scope="module")
def told() -> Survey:
    """A look at a block that is a baseline of others in float32 and bfloat16."""
    return look(item("fp32", "bf16"))


def test_what_shapes_tell(told: Survey) -> None:
    """Memory within five percent, and work: six tokens' worth of 7 million weights."""
    assert told.predicted is not None
    assert told.measured.status == "ok"
    assert told.measured.allocated_bytes == pytest.approx(told.predicted.total_bytes, rel=0.05)
    assert told.flop is not None
    assert 2 * 5 * 7.07e6 < told.flop < 2 * 5 * 7.2e6
    assert told.moved_bytes is not None
    assert told.moved_bytes > 4 * 7.07e6
    assert told.error is None
    assert told.graphs is None


def test_what_running_tells(told: Survey) -> None:
    """Kernels, answers, and how far the products alone could go, in each precision asked for."""
    assert FLASH in told.kernels
    assert told.top1_agreement == 1.0
    assert list(told.limits) == ["fp32", "bf16"]
    assert all(limit.time_ratio > 0 for limit in told.limits.values())
    assert all(limit.gflop_per_s > 0 for limit in told.limits.values())
    assert told.copy_bytes_per_s is not None
    assert told.copy_bytes_per_s > 1e8
    assert told.seconds > 0


def test_whatever_lacks_has_a_reason(told: Survey) -> None:
    """A number or a note of energy; nothing else lacks."""
    subjects = [note.subject for note in told.notes if isinstance(note, Note)]
    assert (told.joules_per_image is None) is ("energy" in subjects)
    assert reasons(told) == []


def test_a_training_step() -> None:
    """It has more memory and work, and no answers; where nobody asks there is no limit."""
    found, forward = look(item(mode="train")), look(item())
    assert found.flop == pytest.approx(3 * (forward.flop or 0), rel=0.01)
    assert (found.measured.allocated_bytes or 0) > 3 * (forward.measured.allocated_bytes or 0)
    assert found.top1_agreement is None
    assert (found.limits, found.copy_bytes_per_s) == ({}, None)


def test_a_pinned_kernel() -> None:
    """The kernel that was pinned is the one that is told."""
    assert MATH in look(item(kernel="math")).kernels


def test_what_is_pinned_to_what_the_device_lacks() -> None:
    """The arm's own failure is its status; what shapes tell is told all the same."""
    found = look(item(kernel="cudnn"))
    assert found.measured.status == "skipped"
    assert str(found.measured.error).startswith("this device has no such kernel")
    assert found.flop
    assert (found.kernels, found.top1_agreement) == ((), None)


@pytest.mark.slow
def test_a_compiled_arm(tmp_path: Path) -> None:
    """What the compiler made is in its own folder; its memory is not predicted, with the reason."""
    each = item(compile="compile_blocks")
    found = look(each, tmp_path)
    assert found.graphs == Graphs(breaks=0, recompiles=1)
    assert {FLASH, INDUCTOR_CPP} <= set(found.kernels)
    assert found.measured.status == "ok"
    assert found.predicted is None
    (reason,) = reasons(found)
    assert reason.startswith("predicted memory not available: memory of arm 'compile_blocks'")
    # The compiler's own start, and this case.
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_compiler_the_rest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm is skipped with the remedy; Dynamo alone needs no compiler."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = look(item(compile="compile_blocks"), tmp_path)
    assert found.measured.status == "skipped"
    assert "apt-get install g++" in str(found.measured.error)
    assert found.graphs == Graphs(breaks=0, recompiles=1)
    assert found.flop


def test_without_scikit_learn_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Top-1 stays empty, and one note names the remedy."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(digits, "trained", digits.trained.__wrapped__)
    monkeypatch.setattr(digits, "_answers", digits._answers.__wrapped__)
    found = look(item())
    assert found.top1_agreement is None
    assert found.measured.status == "ok"
    (reason,) = reasons(found)
    assert reason.startswith("top-1 not available: ")
    assert reason.endswith("install vitbench[digits]")


def test_arithmetic_that_is_wrong_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyTorch counts another number of FLOPs than we do, the look says so in one line."""
    monkeypatch.setattr("bench.costs.flops.flops", lambda _: 1.0)
    assert str(look(item()).error).startswith("FLOPs: 1 by arithmetic, ")


def test_what_lacked_memory_in_a_pass_is_told_by_shapes() -> None:
    """It is not run again; what it would have needed is predicted."""
    found = look(replace(item("fp32"), shapes_only=True))
    assert found.measured.status == "oom"
    assert (found.measured.allocated_bytes, found.kernels, found.limits) == (None, (), {})
    assert found.predicted == look(item()).predicted
    assert found.flop


def test_after_its_time_only_arithmetic_is_told() -> None:
    """A case that comes too late says what to do, and is not even built."""
    late = look(item(compile="compile"), end_s=time.time() - 1)
    assert (late.measured.status, late.measured.error) == (
        *("skipped", "no time left in the budget; give a larger --budget"),
    )
    assert late.flop == look(item()).flop
    assert (late.predicted, late.graphs, late.kernels, late.notes) == (None, None, (), ())


def test_a_precision_of_unknown_width_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level missing from the table of bytes leaves one value empty; the survey ends as usual."""
    monkeypatch.setattr("bench.suite.work._BYTES", {})
    late = look(item(), end_s=time.time() - 1)
    assert (late.moved_bytes, late.measured.status) == (None, "skipped")
    assert late.flop
    assert reasons(late) == ["moved bytes not available: KeyError: 'fp32'"]


def test_digits_are_not_learnt_in_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has too little time for that has no top-1, with the remedy; once learnt, it has."""
    learnt = digits.trained()
    trained = cache(lambda: learnt)
    monkeypatch.setattr(survey, "trained", trained)
    found = look(item(), end_s=time.time() + 5)
    assert found.top1_agreement is None
    assert reasons(found) == ["top-1 not available: out of time; give a larger --budget"]
    trained()
    assert look(item(), end_s=time.time() + 5).top1_agreement == 1.0
