"""bench.runs.memory and bench.runs.tasks: predicted, and measured in a process of its own."""

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

GIBI = 2**30


def request_of(**changes: Any) -> MemoryRequest:
    """One small model in inference, predicted only."""
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


def test_predicted_beside_measured() -> None:
    """A process of its own finds what was predicted; its resident memory is more than that."""
    report = found(measure=True)
    assert report.note is None
    assert report.measured is not None
    assert report.measured.status == "ok"
    assert report.error == pytest.approx(0, abs=0.05)
    assert report.measured.unexplained_bytes is not None
    assert report.measured.unexplained_bytes > 0


def test_what_has_no_room_is_not_tried() -> None:
    """The note says how much it needs and how much is free."""
    report = found(measure=True, mode="train", batch_size=100_000)
    assert report.measured is None
    assert "needs " in str(report.note)
    assert "are free: not measured" in str(report.note)


def test_want_of_memory_is_a_result() -> None:
    """A case that does not fit has a status, and the program goes on."""
    # More than there are addresses, so that no machine would try.
    (case,) = request_of(batch_size=10**10).cases
    measured = measure_memory(case, 120.0)
    assert measured.status == "oom"
    assert measured.allocated_bytes is None


def test_what_takes_too_long_is_a_result() -> None:
    """A case that hangs is ended."""
    (case,) = request_of(variants=("H/14",), image_size=224).cases
    measured = measure_memory(case, 0.01)
    assert measured.status == "timeout"
    assert measured.error == "no result within 0.01 s; the process was killed; raise --case-timeout"


def test_a_worker_that_does_not_start_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status has the last line of its output, since its log is deleted."""
    monkeypatch.setattr("os.getpid", lambda: 1)  # A worker ends at once without its parent.
    (case,) = request_of().cases
    measured = measure_memory(case, 60.0)
    assert measured.status == "crashed"
    assert measured.error == "memory measured nothing: the process ended with code 1"


def test_one_measures_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the device nothing is measured beside it; predictions are."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    asked = request_of(measure=True)
    with device_locks(["cpu"], "vitbench run"):
        with pytest.raises(InputError, match=r"measured by .*vitbench run.*--no-lock"):
            next(memory_reports(asked))
        assert next(memory_reports(replace(asked, measure=False))).measured is None
        beside = next(memory_reports(replace(asked, lock=False)))
    assert beside.measured is not None
    assert beside.measured.status == "ok"
    # The lock is free again when everything is measured.
    assert [each.note for each in memory_reports(asked)] == [None]


@pytest.mark.parametrize("mode", ["forward", "train"])
def test_the_largest_batch_fits_and_the_next_does_not(mode: str) -> None:
    """With a limit the batch size is the largest that is predicted to be within it."""
    limit = 4 * GIBI
    report = found(mode=mode, limit_bytes=limit)
    batch_size = report.case.workload.batch_size
    assert batch_size is not None
    assert batch_size > 1
    assert report.predicted.total_bytes <= limit
    more = found(mode=mode, batch_size=batch_size + 1)
    assert more.predicted.total_bytes > limit


@pytest.mark.slow
@pytest.mark.long
def test_the_largest_batch_is_found_where_the_device_is_here() -> None:
    """Tried in processes of their own, around the predicted one, which is nearly right."""
    # A batch of about forty: each trial is a process.
    report = found(mode="forward", limit_bytes=420 * 2**20, measure=True, image_size=224)
    predicted = report.case.workload.batch_size
    assert predicted is not None
    assert report.largest_batch == pytest.approx(predicted, rel=0.05)


def test_a_limit_that_holds_nothing() -> None:
    """The error says what one image needs."""
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
def test_what_cannot_be_asked_for(changes: dict[str, Any], says: str) -> None:
    """A request that cannot be met is refused at its birth."""
    with pytest.raises(InputError, match=says):
        request_of(**changes)


def test_a_gpu_that_is_not_here_is_predicted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The note says that there is none."""
    monkeypatch.setattr(memory, "room_bytes", lambda _: None)
    report = found(device="cuda", measure=True)
    assert report.note == "no cuda here: not measured"
    assert report.predicted.total_bytes >= found().predicted.total_bytes


def test_cases_have_names_of_their_own() -> None:
    """Two cases of a run differ in their names wherever they differ."""
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
def test_what_says_nothing_is_refused(changes: dict[str, Any], says: str) -> None:
    """An option that would change no number is a mistake of whoever gives it."""
    with pytest.raises(InputError, match=says):
        request_of(**changes)
    assert request_of(**changes, device="cuda", mode="train").mode == "train"


def test_what_is_under_way_is_told() -> None:
    """Predicted at once, and that a measurement takes its time."""
    said: list[str] = []
    list(memory_reports(request_of(measure=True), said.append))
    predicted, measuring = said
    assert predicted.startswith("B/32-model-b1-forward-cpu")
    assert ": predicted " in predicted
    assert "measuring in a process of its own (--no-measure leaves it out)" in measuring


def test_a_prediction_outlives_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not wait for the measurement has the prediction all the same."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "measure_memory", interrupted)
    looking = memory_reports(request_of(measure=True))
    report = next(looking)
    assert report.predicted.total_bytes > 0
    assert report.note == "interrupted: not measured"
    with pytest.raises(KeyboardInterrupt):
        next(looking)
