"""bench.analysis.row_costs: the survey of each arm in its row."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.row_costs import with_costs
from bench.analysis.rows import analyse
from bench.records.arm_costs import Case, Graphs, Limit, MeasuredMemory, PredictedMemory, Survey
from bench.records.comparison import Arm, Comparison, Workload
from bench.records.notes import Note, NoteKind, joined
from bench.records.row import COLUMNS, Record
from helpers.records import (
    make_comparison,
    make_environment,
    make_note,
    make_record,
    make_sample,
    make_survey,
)

MEBI = 2**20
COMPARISON = make_comparison("manual")
COSTS = COLUMNS[COLUMNS.index("allocated_bytes") :]
LIMIT = Limit(library="oneDNN prepacked", time_ratio=0.7, gflop_per_s=200.0)
BASELINE: dict[str, Any] = {"limits": {"fp32": LIMIT}, "copy_bytes_per_s": 3e10}
POSITIVE = st.floats(1e-3, 1e3)
BYTES = st.integers(1, 10**12)


def key_of(arm: Arm, comparison: Comparison = COMPARISON) -> str:
    """Key of an arm's survey."""
    return Case(workload=comparison.workload, arm=arm).key


ARM, OTHER = key_of(COMPARISON.arm), key_of(COMPARISON.baseline)


def row(arm: Survey | None = None, baseline: Survey | None = None, **changes: Any) -> Record:
    """Row of a candidate with the surveys of it and of its baseline; their notes as its note."""
    record, notes = row_and_notes(arm, baseline, **changes)
    return replace(record, note=joined(notes))


def row_and_notes(
    arm: Survey | None = None, baseline: Survey | None = None, **changes: Any
) -> tuple[Record, tuple[Note, ...]]:
    """Row of a candidate, and the notes of the surveys of it and of its baseline."""
    told = {ARM: arm, OTHER: baseline}
    surveys = {key: survey for key, survey in told.items() if survey is not None}
    return with_costs(make_record(**changes), COMPARISON, [], surveys)


def alone(status: str = "ok", **changes: Any) -> Survey:
    """Survey of an arm that failed or was not reached."""
    error = f"{status}, alone"
    return Survey(key="", measured=MeasuredMemory(status=status, error=error), **changes)


NOT_REACHED = "the run ended first; resume it or give a larger --budget"


def costs(record: Record, *names: str) -> dict[str, Any]:
    """Values of some columns of costs, or of all of them."""
    return {name: getattr(record, name) for name in names or COSTS}


def test_nothing_surveyed() -> None:
    """A run without a survey has empty cost columns and no note about them."""
    found = row()
    assert costs(found) == dict.fromkeys(COSTS)
    assert found == make_record()


@pytest.mark.parametrize(
    ("survey", "said"),
    [
        (None, f"cost survey skipped: {NOT_REACHED}"),
        (alone("skipped"), "cost survey skipped: skipped, alone"),
        (alone("crashed"), "cost survey crashed: crashed, alone"),
        (alone("oom"), "cost survey oom: oom, alone"),
    ],
)
def test_a_failed_survey_has_a_note(survey: Survey | None, said: str) -> None:
    """An unmeasured cost is empty and a note has the reason; status and verdict stay."""
    found, (note,) = row_and_notes(survey, make_survey(flop=None, kernels=("other",)))
    assert costs(found) == dict.fromkeys(COSTS)
    assert (note.kind, str(note)) == (NoteKind.SURVEY, said)
    assert (found.status, found.verdict, found.speedup) == ("ok", "faster", 1.25)


def test_partial_results_of_a_failed_survey_are_kept() -> None:
    """A failed survey keeps its results by shapes; a note has the reason of the missing ones."""
    notes = (make_note("no FLOPs"),)
    told = alone("oom", predicted=make_survey().predicted, moved_bytes=5e7, notes=notes)
    found = row(told, make_survey(**BASELINE))
    assert (found.predicted_bytes, found.moved_bytes, found.flop) == (98 * MEBI, 5e7, 2e9)
    assert (found.allocated_bytes, found.prediction_error, found.kernels) == (None, None, None)
    assert found.note == "no FLOPs; cost survey oom: oom, alone"


def test_a_note_is_one_note() -> None:
    """A note keeps its remedy, equal notes merge, and old text becomes one note."""
    note = make_note("no meter", remedy="install one")
    found = row(make_survey(notes=(note, note, "old; text")), make_survey(**BASELINE))
    assert found.note == "no meter, install one; old, text"


def test_notes_of_passes_are_one_note_each() -> None:
    """Notes of passes keep their semicolons and their kinds."""
    lost: dict[str, Any] = {"status": "skipped", "arm_s": (), "baseline_s": ()}
    samples = [
        make_sample(COMPARISON, 0, note="accepted: 1; 2"),
        make_sample(COMPARISON, 1, error="no g++; install one", **lost),
        make_sample(COMPARISON, 2, error="no g++; install one", **lost),
    ]
    analysis = analyse("run", [COMPARISON], samples, make_environment())
    (found,) = analysis.records
    assert found.note == "accepted: 1, 2; skipped in 2 of 3 passes: no g++, install one"
    notes = analysis.notes[found.key]
    assert [note.kind for note in notes] == [NoteKind.ACCEPTED, NoteKind.SKIPPED]
    assert str(notes[1]) == "skipped in 2 of 3 passes: no g++; install one"


def test_a_baseline_that_failed_is_named() -> None:
    """A failed survey of the baseline leaves its ratios empty, and a note names it."""
    found = row(make_survey(), alone("crashed"))
    assert (found.memory_ratio, found.limit_share) == (None, None)
    assert found.allocated_bytes == 100 * MEBI
    assert found.note == "no memory ratio and no limit: cost survey of mha ended with crashed"


@given(allocated=BYTES, other=BYTES, predicted=BYTES)
def test_memory(allocated: int, other: int, predicted: int) -> None:
    """The ratio is to the baseline; a prediction above the measurement has a positive error."""
    arm, baseline = MeasuredMemory(allocated_bytes=allocated), MeasuredMemory(allocated_bytes=other)
    prediction = PredictedMemory(total_bytes=predicted, by_kind={})
    found = row(make_survey(measured=arm, predicted=prediction), make_survey(measured=baseline))
    assert found.memory_ratio == pytest.approx(allocated / other)
    assert found.prediction_error is not None
    assert (found.prediction_error > 0) == (predicted > allocated)
    assert found.prediction_error == pytest.approx(predicted / allocated - 1)
    assert (found.allocated_bytes, found.predicted_bytes) == (allocated, predicted)


def test_memory_of_a_device() -> None:
    """Unexplained memory is the process's beyond torch's allocator: driver, libraries, Python."""
    found = MeasuredMemory(allocated_bytes=100, reserved_bytes=128, process_bytes=700)
    told = costs(row(make_survey(measured=found)), "reserved_bytes", "unexplained_bytes")
    assert told == {"reserved_bytes": 128, "unexplained_bytes": 572}


def test_share_of_the_limit() -> None:
    """The limit is the baseline's, and so is the bandwidth of copying."""
    found = row(make_survey(), make_survey(**BASELINE))
    assert found.limit_share == pytest.approx(0.7 * 1.25)
    assert (found.limit_gflop_per_s, found.limit_library) == (200.0, "oneDNN prepacked")
    assert found.copy_gb_per_s == pytest.approx(30.0)


@given(flop=st.floats(1e6, 1e15), latency_ms=POSITIVE)
def test_achieved(flop: float, latency_ms: float) -> None:
    """Achieved FLOP/s are the FLOPs over the row's own latency."""
    found = row(make_survey(flop=flop), latency_ms=latency_ms)
    assert found.gflop_per_s == pytest.approx(flop / 1e9 / (latency_ms / 1e3))


def test_flops_are_the_workloads() -> None:
    """FLOPs can come from the baseline's survey; moved bytes come from the arm's own."""
    found = row(alone("skipped"), make_survey(**BASELINE), latency_ms=10.0)
    assert found.flop == 2e9
    assert found.gflop_per_s == pytest.approx(200.0)
    assert found.moved_bytes is None
    assert found.limit_share == pytest.approx(0.7 * 1.25)


def test_an_arms_own_limit_needs_no_speedup() -> None:
    """Without the baseline's survey the arm's own limit gives the share."""
    found = row(make_survey(**BASELINE), alone("crashed"), speedup=1.25)
    assert (found.limit_share, found.copy_gb_per_s) == (0.7, 30.0)


def test_an_untimed_arm_has_no_achieved_values() -> None:
    """Without a latency the limit is kept, and share and FLOP/s are empty."""
    lost = {"speedup": None, "latency_ms": None, "status": "timeout"}
    found = row(make_survey(), make_survey(**BASELINE), **lost)
    assert (found.limit_gflop_per_s, found.limit_share, found.gflop_per_s) == (200.0, None, None)


def test_own_arms_have_flops_of_their_own() -> None:
    """A user's own arm does not take the FLOPs of its baseline."""
    own = {"variant": None, "factor": "factory"}
    found = row(make_survey(flop=None), make_survey(flop=2e9), **own)
    assert (found.flop, found.gflop_per_s) == (None, None)


def test_flops_that_disagree_are_wrong() -> None:
    """FLOPs that FlopCounterMode contradicts make the row wrong; the times are kept."""
    error = "FLOPs by arithmetic 2.00e9, by FlopCounterMode 2.10e9"
    found = row(make_survey(error=error))
    assert (found.status, found.error, found.verdict) == ("wrong", error, None)
    assert found.speedup == 1.25
    crashed = row(make_survey(error=error), status="crashed", error="killed", verdict=None)
    assert (crashed.status, crashed.error) == ("crashed", "killed")
    assert crashed.note is not None
    assert error in crashed.note


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("OutOfMemoryError: 3 GiB", "OutOfMemoryError: 3 GiB; predicted need: 31.40 GiB"),
        (None, "predicted need: 31.40 GiB"),
    ],
)
def test_out_of_memory_names_the_need(error: str | None, said: str) -> None:
    """The error of an arm out of memory adds the predicted need, without a survey note."""
    predicted = PredictedMemory(total_bytes=round(31.4 * 2**30), by_kind={})
    baseline = make_survey(**BASELINE)
    found = row(alone("oom", predicted=predicted), baseline, status="oom", error=error)
    assert (found.error, found.note) == (said, None)
    unknown = row(alone("oom"), baseline, status="oom", error=error)
    assert unknown.error == error


def test_columns_of_the_arms_own_survey() -> None:
    """Kernels, graphs, agreement and energy come from the arm's own survey; 0 stays 0."""
    told = make_survey(graphs=Graphs(breaks=0, recompiles=3), joules_per_image=0.0)
    found = row(told, make_survey(kernels=("other",)))
    names = ("kernels", "graph_breaks", "recompiles", "top1_agreement", "joules_per_image")
    assert tuple(costs(found, *names).values()) == ("MKL SGEMM; flash attention", 0, 3, 0.99, 0.0)
    assert row(make_survey(kernels=())).kernels is None


def test_each_row_has_the_survey_of_its_own_arm() -> None:
    """Two rows of one run get the kernels and memory of their own arms."""
    control = make_comparison("mha")
    surveys = {ARM: make_survey(kernels=("math",)), OTHER: make_survey(**BASELINE)}
    samples = [make_sample(each) for each in (control, COMPARISON)]
    first, second = analyse(
        "run", [control, COMPARISON], samples, make_environment(), surveys=surveys
    ).records
    assert (first.kernels, second.kernels) == ("MKL SGEMM; flash attention", "math")
    assert (first.memory_ratio, second.memory_ratio) == (1.0, 1.0)
    assert second.limit_share == pytest.approx(0.7 * (second.speedup or 0))


def test_memory_added_by_compiling() -> None:
    """The extra is that over the eager baseline; an arm that does not compile has none."""
    compiled = make_comparison("compile", factor="compile", baseline="eager")
    surveys = {
        key_of(each, compiled): make_survey(measured=MeasuredMemory(process_bytes=size))
        for each, size in ((compiled.arm, 900), (compiled.baseline, 700))
    }
    found, _ = with_costs(make_record(), compiled, [], surveys)
    assert found.compile_extra_bytes == 200
    assert row(make_survey(), make_survey()).compile_extra_bytes is None
    one = {key_of(compiled.arm, compiled): make_survey()}
    assert with_costs(make_record(), compiled, [], one)[0].compile_extra_bytes is None


@pytest.mark.parametrize(("allocated", "is_off"), [(100, False), (104, False), (110, True)])
def test_a_prediction_that_is_far_off_is_noted(allocated: int, is_off: bool) -> None:  # noqa: FBT001
    """A prediction off by more than 5 % gets a note."""
    survey = make_survey(
        measured=MeasuredMemory(allocated_bytes=allocated),
        predicted=PredictedMemory(total_bytes=100, by_kind={}),
    )
    assert ("off by more than 5 %" in str(row(survey, make_survey()).note)) is is_off


@pytest.mark.parametrize(
    ("ratio", "low", "is_beyond"),
    [
        (0.9, None, False),
        (1.01, None, False),
        (1.1, None, True),
        (1.1, 0.9, False),
        (1.1, 1.09, True),
    ],
)
def test_an_arm_faster_than_its_limit_is_noted(
    ratio: float,
    low: float | None,
    is_beyond: bool,  # noqa: FBT001
) -> None:
    """A share above 1 by more than noise gets a note, and the analysis raises the limit."""
    high = low and 1.2
    limit = Limit(
        library="F.linear",
        time_ratio=ratio,
        gflop_per_s=50.0,
        time_ratio_low=low,
        time_ratio_high=high,
    )
    control = make_comparison("mha")
    surveys = {OTHER: make_survey(limits={"fp32": limit})}
    samples = [make_sample(control, index) for index in range(3)]
    analysis = analyse("run", [control], samples, make_environment(), surveys=surveys)
    (found,) = analysis.records
    text = f"its products alone take the libraries tried {ratio:.2f} times its time"
    assert (text in str(found.note)) is is_beyond
    assert found.limit_share == min(ratio, 1.0)
    assert (found.limit_library == "F.linear") is not is_beyond
    assert found.limit_gflop_per_s == pytest.approx((found.gflop_per_s or 0) / found.limit_share)


def test_parameters_come_from_the_survey() -> None:
    """The number of parameters is that of the survey."""
    assert row(make_survey(parameters=123), make_survey()).parameters == 123


def test_notes_are_found_by_the_key_of_their_row() -> None:
    """A row's key equals its comparison's, for vitcore's parts and a user's own arms."""
    own = Comparison(
        factor="factory",
        workload=Workload(component="callable", mode="train", device="cpu", inputs="2,8"),
        baseline=Arm(factory="a.py:f"),
        arm=Arm(factory="a.py:g"),
    )
    chosen = replace(COMPARISON, factor="choice")
    compared = [COMPARISON, make_comparison("mha", mode="train", batch_size=8), chosen, own]
    analysis = analyse("run", compared, [], make_environment())
    keys = [each.key for each in compared]
    assert [row.key for row in analysis.records] == list(analysis.notes) == keys
