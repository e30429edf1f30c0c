"""bench.runs.memory and bench.runs.tasks: predicted memory, and memory measured in a process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.files.lock import device_locks
from bench.records.arm_costs import MemoryReport
from bench.records.comparison import Arm
from bench.records.errors import InputError
from bench.runs import memory
from bench.runs.memory import MemoryRequest, memory_reports
from bench.runs.tasks import measure_memory


def request_of(**changes: Any) -> MemoryRequest:
    """Build a request for the prediction of one small model in inference."""
    asked: dict[str, Any] = {
        "variants": ("B/32",),
        "arm": Arm(),
        "mode": "forward",
        "batch_size": 1,
        "image_size": 64,
        "device": "cpu",
        "measure": False,
    }
    return MemoryRequest(**asked | changes)


def found(**changes: Any) -> MemoryReport:
    """The one memory report of a request."""
    (only,) = memory_reports(request_of(**changes))
    return only


def test_predicted_beside_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured memory equals the prediction within 5 %; resident memory exceeds it.

    The prediction is reported first, then the start of the measurement; the lock is free again.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    (report,) = memory_reports(request_of(measure=True), said.append)
    with device_locks(["cpu"], "another"):
        predicted, measuring = said
    assert predicted.startswith("B/32-model-b1-forward-cpu")
    assert ": predicted " in predicted
    assert "measuring in a process of its own (--no-measure leaves it out)" in measuring
    assert report.note is None
    assert report.measured is not None
    assert report.measured.status == "ok"
    assert report.error == pytest.approx(0, abs=0.05)
    assert report.measured.unexplained_bytes is not None
    assert report.measured.unexplained_bytes > 0


@pytest.mark.usefixtures("tiny")
def test_a_case_larger_than_free_memory_is_not_measured() -> None:
    """The note has the needed and the free memory."""
    report = found(variants=("Ti/16",), measure=True, mode="train", batch_size=10**7)
    assert report.measured is None
    assert "needs " in str(report.note)
    assert "are free: not measured" in str(report.note)


def test_out_of_memory_is_a_status() -> None:
    """A case that does not fit has status oom."""
    # More than the address space, so that no machine tries the allocation.
    (case,) = request_of(batch_size=10**10).cases
    measured = measure_memory(case, 120.0)
    assert measured.status == "oom"
    assert measured.allocated_bytes is None


def test_a_timeout_is_a_status() -> None:
    """A case that hangs is ended and has status timeout."""
    (case,) = request_of(variants=("H/14",), image_size=224).cases
    measured = measure_memory(case, 0.01)
    assert measured.status == "timeout"
    assert measured.error == "no result within 0.01 s; the process was killed; raise --case-timeout"


def test_a_worker_that_does_not_start_is_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the worker's exit code, since the log is deleted."""
    monkeypatch.setattr("os.getpid", lambda: 1)  # A worker without its parent exits at once.
    (case,) = request_of().cases
    measured = measure_memory(case, 60.0)
    assert measured.status == "crashed"
    assert measured.error == "memory measured nothing: the process ended with code 1"


@pytest.mark.usefixtures("tiny")
def test_a_locked_device_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's device lock refuses measurements; predictions still work."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # Too large to be measured, which is found out once the lock is taken or ignored.
    asked = request_of(variants=("Ti/16",), batch_size=10**8, measure=True)
    with device_locks(["cpu"], "vitbench run"):
        with pytest.raises(InputError, match=r"measured by .*vitbench run.*--no-lock"):
            next(memory_reports(asked))
        assert next(memory_reports(replace(asked, measure=False))).measured is None
        beside = next(memory_reports(replace(asked, lock=False)))
    assert "are free: not measured" in str(beside.note)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("mode", ["forward", "train"])
def test_the_largest_batch_fits_and_the_next_does_not(mode: str) -> None:
    """The batch size is the largest with predicted memory within the limit."""
    limit = 2**26
    report = found(variants=("Ti/16",), mode=mode, limit_bytes=limit)
    batch_size = report.case.workload.batch_size
    assert batch_size is not None
    assert batch_size > 1
    assert report.predicted.total_bytes <= limit
    more = found(variants=("Ti/16",), mode=mode, batch_size=batch_size + 1)
    assert more.predicted.total_bytes > limit


@pytest.mark.slow
@pytest.mark.long
def test_the_largest_batch_is_measured_near_the_prediction() -> None:
    """The measured largest batch is within five percent of the predicted one."""
    # A batch of about forty: each trial is a process.
    report = found(mode="forward", limit_bytes=420 * 2**20, measure=True, image_size=224)
    predicted = report.case.workload.batch_size
    assert predicted is not None
    assert report.largest_batch == pytest.approx(predicted, rel=0.05)


def test_a_limit_below_one_image_is_refused() -> None:
    """The error has the memory that one image needs."""
    with pytest.raises(InputError, match=r"needs \d+ MiB for one image, more than the limit of"):
        found(limit_bytes=2**20)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"variants": ("B/17",)}, "unknown variant 'B/17'"),
        ({"image_size": 100}, "not a multiple of patch size"),
        ({"arm": Arm(attention="flash")}, "unknown attention 'flash'"),
        ({"arm": Arm(optimizer="adam")}, "unknown optimizer 'adam'; known: adamw, "),
        ({"arm": Arm(precision="int8")}, "unknown precision 'int8'"),
    ],
)
def test_invalid_requests_are_refused(changes: dict[str, Any], says: str) -> None:
    """The constructor refuses an invalid request."""
    with pytest.raises(InputError, match=says):
        request_of(**changes)


def test_memory_is_predicted_for_an_absent_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prediction is made without the GPU, and the note has the reason."""
    monkeypatch.setattr(memory, "room_bytes", lambda _: None)
    report = found(device="cuda", measure=True)
    assert report.note == "no cuda here: not measured"
    assert report.predicted.total_bytes >= found().predicted.total_bytes


def test_cases_have_distinct_keys() -> None:
    """Cases that differ in their arm have distinct keys."""
    (case,) = request_of().cases
    others = [replace(case, arm=Arm(optimizer="sgd")), replace(case, arm=Arm(checkpoint="blocks"))]
    assert len({case.key, *(each.key for each in others)}) == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"arm": Arm(precision="tf32")}, "'tf32' is only available on CUDA; give --device cuda"),
        ({"arm": Arm(optimizer="sgd")}, "--optimizer has no effect with --mode forward"),
        ({"arm": Arm(checkpoint="blocks")}, "--checkpoint has no effect with --mode forward"),
    ],
)
def test_an_option_without_effect_is_refused(changes: dict[str, Any], says: str) -> None:
    """An option that would change no number is refused."""
    with pytest.raises(InputError, match=says):
        request_of(**changes)
    assert request_of(**changes, device="cuda", mode="train").mode == "train"


def test_a_prediction_outlives_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted measurement still yields the prediction, then raises."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "measure_memory", interrupted)
    looking = memory_reports(request_of(measure=True))
    report = next(looking)
    assert report.predicted.total_bytes > 0
    assert report.note == "interrupted: not measured"
    with pytest.raises(KeyboardInterrupt):
        next(looking)
