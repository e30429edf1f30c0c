"""bench.worker.survey: the survey of one case, and notes on missing values."""

import math
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.costs import top1 as digits
from bench.costs.kernels import FLASH, INDUCTOR_CPP, MATH, NATIVE_MHA
from bench.files.kept_costs import KeptCosts
from bench.records.arm_costs import ComputedCosts, Graphs, Survey
from bench.records.comparison import Arm, Comparison
from bench.records.errors import NO_TIME
from bench.records.notes import Note
from bench.records.task import SurveyJob
from bench.worker import survey
from bench.worker.survey import ArmSurvey
from helpers.records import make_workload
from helpers.tasks import Attempts

pytestmark = pytest.mark.usefixtures("barely_trained")
SMALL: dict[str, Any] = {"variant": "B/32", "patch_size": 32, "image_size": 64}


def item(*limits: str, mode: str = "forward", component: str = "block", **levels: str) -> SurveyJob:
    """Build the survey job of a small part, a block by default, compared with itself."""
    arm = Arm(**levels)
    workload = make_workload(**SMALL | {"mode": mode, "component": component})
    comparison = Comparison(factor="compile", workload=workload, baseline=arm, arm=arm)
    return SurveyJob(comparison=comparison, limits=limits)


def look(each: SurveyJob, compiled: Path | None = None, end_s: float = math.inf) -> Survey:
    """Return the survey of one case."""
    return ArmSurvey(each, compiled, end_s).survey()


def reasons(found: Survey) -> list[str]:
    """Return the notes other than on energy, since most machines have no meter."""
    return [
        str(note) for note in found.notes if isinstance(note, Note) and note.subject != "energy"
    ]


@pytest.fixture(scope="module")
def surveyed(barely_trained: None) -> Survey:  # noqa: ARG001 (the model of its answers)
    """Return the survey of a block that is a baseline in float32 and bfloat16."""
    return look(item("fp32", "bf16"))


def test_values_computed_from_shapes(surveyed: Survey) -> None:
    """Memory is within five percent, and FLOPs and bytes match 7 million weights."""
    assert surveyed.predicted is not None
    assert surveyed.measured.status == "ok"
    assert surveyed.measured.allocated_bytes == pytest.approx(
        surveyed.predicted.total_bytes, rel=0.05
    )
    assert surveyed.flop is not None
    assert 2 * 5 * 7.07e6 < surveyed.flop < 2 * 5 * 7.2e6
    assert surveyed.moved_bytes is not None
    assert surveyed.moved_bytes > 4 * 7.07e6
    assert surveyed.error is None
    assert surveyed.graphs is None


def test_values_measured_by_running(surveyed: Survey) -> None:
    """Kernels, agreement of answers and the limit in each precision are measured."""
    assert NATIVE_MHA in surveyed.kernels
    assert surveyed.top1_agreement == 1.0
    assert list(surveyed.limits) == ["fp32", "bf16"]
    for limit in surveyed.limits.values():
        assert limit.time_ratio_low is not None
        assert limit.time_ratio_high is not None
        assert 0 < limit.time_ratio_low < limit.time_ratio < limit.time_ratio_high
    assert all(limit.gflop_per_s > 0 for limit in surveyed.limits.values())
    assert surveyed.copy_bytes_per_s is not None
    assert surveyed.copy_bytes_per_s > 1e8
    assert surveyed.seconds > 0


def test_missing_values_have_a_reason(surveyed: Survey) -> None:
    """Only energy may be missing, with a note."""
    subjects = [note.subject for note in surveyed.notes if isinstance(note, Note)]
    assert (surveyed.joules_per_image is None) is ("energy" in subjects)
    assert reasons(surveyed) == []


def test_a_training_step() -> None:
    """A training step has more memory and work, no answers, and no limit unless requested."""
    found, forward = look(item(mode="train")), look(item())
    assert found.flop == pytest.approx(3 * (forward.flop or 0), rel=0.01)
    assert (found.measured.allocated_bytes or 0) > 3 * (forward.measured.allocated_bytes or 0)
    assert found.top1_agreement is None
    assert (found.limits, found.copy_bytes_per_s) == ({}, None)


def test_a_pinned_kernel() -> None:
    """The pinned kernel is listed."""
    assert MATH in look(item(kernel="math")).kernels


def test_an_unavailable_kernel_is_skipped() -> None:
    """The status is skipped, and values from shapes are still present."""
    found = look(item(kernel="cudnn"))
    assert found.measured.status == "skipped"
    assert str(found.measured.error).startswith("this device has no such kernel")
    assert found.flop
    assert (found.kernels, found.top1_agreement) == ((), None)


@pytest.mark.slow
def test_a_compiled_arm(tmp_path: Path) -> None:
    """Compiled code is in the given folder; predicted memory is missing with a reason."""
    found = look(item(compile="compile_blocks", component="attention"), tmp_path)
    assert found.graphs == Graphs(breaks=0, recompiles=1)
    assert {FLASH, INDUCTOR_CPP} <= set(found.kernels)
    assert found.measured.status == "ok"
    assert found.predicted is None
    (reason,) = reasons(found)
    assert reason.startswith("predicted memory not available: memory of arm 'compile_blocks'")
    # The compiler's own start, and this case.
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_compiler_the_rest_is_surveyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arm is skipped with the remedy; graph breaks need no compiler."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = look(item(compile="compile_blocks"), tmp_path)
    assert found.measured.status == "skipped"
    assert "apt-get install g++" in str(found.measured.error)
    assert found.graphs == Graphs(breaks=0, recompiles=1)
    assert found.flop


def test_without_scikit_learn_the_rest_is_surveyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Top-1 is empty, and one note has the remedy."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(digits, "trained", digits.trained.__wrapped__)
    monkeypatch.setattr(digits, "_answers", digits._answers.__wrapped__)
    found = look(item())
    assert found.top1_agreement is None
    assert found.measured.status == "ok"
    (reason,) = reasons(found)
    assert reason.startswith("top-1 not available: ")
    assert reason.endswith("install vitbench[digits]")


def test_a_wrong_flop_count_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference from PyTorch's FLOP counter is reported in one line."""
    monkeypatch.setattr("bench.costs.flops.flops", lambda _: 1.0)
    assert str(look(item()).error).startswith("FLOPs: 1 by arithmetic, ")


def test_an_out_of_memory_case_is_predicted_only() -> None:
    """The case is not run, and its memory is predicted."""
    found = look(replace(item("fp32"), shapes_only=True))
    assert found.measured.status == "oom"
    assert (found.measured.allocated_bytes, found.kernels, found.limits) == (None, (), {})
    assert found.predicted == look(item()).predicted
    assert found.flop


def test_a_late_case_has_computed_values_only() -> None:
    """A case after the deadline is skipped with the remedy and not built."""
    late = look(item(compile="compile"), end_s=time.time() - 1)
    assert (late.measured.status, late.measured.error) == ("skipped", NO_TIME)
    assert late.flop == look(item()).flop
    assert (late.predicted, late.graphs, late.kernels, late.notes) == (None, None, (), ())


def test_a_compiled_model_needs_time_left() -> None:
    """A compiled model is not begun in the last seconds, which serve smaller cases."""
    assert look(item(compile="compile"), end_s=time.time() + 5).measured.error == NO_TIME


def test_kept_costs_serve_later_surveys(tmp_path: Path) -> None:
    """A later survey has the same values, and a late case those that are kept."""
    first = ArmSurvey(item(), None, kept=KeptCosts(tmp_path, {})).survey()
    again = ArmSurvey(item(), None, kept=KeptCosts(tmp_path, {}))
    attempts = Attempts()
    again.computed.attempt = attempts
    second = again.survey()
    late = ArmSurvey(item(), None, time.time() - 1, kept=KeptCosts(tmp_path, {})).survey()
    assert attempts.names == ["FLOPs", "moved bytes", "parameters"]  # by arithmetic
    assert second.measured.status == "ok"
    for found in (second, late):
        assert (found.predicted, found.error, found.graphs, found.top1_agreement) == (
            *(first.predicted, None, None, 1.0),
        )
    assert (late.measured.status, late.kernels, late.flop) == ("skipped", (), first.flop)


def test_kept_answers_need_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the deadline kept top-1 agreement is there although no model is trained."""
    kept, each = KeptCosts(tmp_path, {}), item()
    kept.keep(each.case, ComputedCosts(top1_agreement=0.5))
    monkeypatch.setattr(survey, "trained", cache(digits.trained.__wrapped__))
    found = ArmSurvey(each, None, time.time() + 5, kept=kept).survey()
    assert found.top1_agreement == 0.5
    assert reasons(found) == []


def test_limits_have_a_time_of_their_own() -> None:
    """After the time for limits the other values are measured, and one note has the remedy."""
    each = ArmSurvey(item("fp32", "bf16"), None)
    each.limits_end_s = time.time() - 1
    found = each.survey()
    assert (found.limits, found.copy_bytes_per_s) == ({}, None)
    assert found.measured.status == "ok"
    assert found.kernels
    assert reasons(found) == ["limits not available: out of time; give a larger --budget"]


def test_a_precision_of_unknown_width_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level missing from the table of bytes leaves one value empty; the survey ends as usual."""
    monkeypatch.setattr("bench.suite.work._BYTES", {})
    late = look(item(), end_s=time.time() - 1)
    assert (late.moved_bytes, late.measured.status) == (None, "skipped")
    assert late.flop
    assert reasons(late) == ["moved bytes not available: KeyError: 'fp32'"]


def test_training_on_digits_needs_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the deadline top-1 is empty with the remedy, unless training is already done."""
    learnt = digits.trained()
    trained = cache(lambda: learnt)
    monkeypatch.setattr(survey, "trained", trained)
    found = look(item(), end_s=time.time() + 5)
    assert found.top1_agreement is None
    assert reasons(found) == ["top-1 not available: out of time; give a larger --budget"]
    trained()
    assert look(item(), end_s=time.time() + 5).top1_agreement == 1.0
