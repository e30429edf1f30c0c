"""bench.analysis.row_costs: what one look at each arm alone says in its row."""

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
    """Under which key the survey of an arm stands."""
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
    """What is known of a case that failed, or was not reached, when it was looked at."""
    error = f"{status}, alone"
    return Survey(key="", measured=MeasuredMemory(status=status, error=error), **changes)


NOT_REACHED = "the run ended first; resume it or give a larger --budget"


def costs(record: Record, *names: str) -> dict[str, Any]:
    """What a row says under some of the columns of costs, or under all of them."""
    return {name: getattr(record, name) for name in names or COSTS}


def test_nothing_surveyed() -> None:
    """A run that was asked for no survey has none of these numbers, and no excuse for it."""
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
def test_a_failed_survey_says_why(survey: Survey | None, said: str) -> None:
    """What nobody could tell is empty, with the reason; the times keep status and verdict."""
    found, (note,) = row_and_notes(survey, make_survey(flop=None, kernels=("other",)))
    assert costs(found) == dict.fromkeys(COSTS)
    assert (note.kind, str(note)) == (NoteKind.SURVEY, said)
    assert (found.status, found.verdict, found.speedup) == ("ok", "faster", 1.25)


def test_of_what_a_failed_survey_did_tell_nothing_is_lost() -> None:
    """Shapes tell something where the arm itself failed; why the rest lacks stands in the note."""
    notes = (make_note("no FLOPs"),)
    told = alone("oom", predicted=make_survey().predicted, moved_bytes=5e7, notes=notes)
    found = row(told, make_survey(**BASELINE))
    assert (found.predicted_bytes, found.moved_bytes, found.flop) == (98 * MEBI, 5e7, 2e9)
    assert (found.allocated_bytes, found.prediction_error, found.kernels) == (None, None, None)
    assert found.note == "no FLOPs; cost survey oom: oom, alone"


def test_a_note_is_one_note() -> None:
    """A note with a remedy stays whole among others, none stands twice, old text is one too."""
    note = make_note("no meter", remedy="install one")
    found = row(make_survey(notes=(note, note, "old; text")), make_survey(**BASELINE))
    assert found.note == "no meter, install one; old, text"


def test_notes_of_passes_are_one_note_each() -> None:
    """What a pass says of itself stays whole too, and is told apart from why it was skipped."""
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
    """Without the baseline's look nobody knows what its rivals compare with."""
    found = row(make_survey(), alone("crashed"))
    assert (found.memory_ratio, found.limit_share) == (None, None)
    assert found.allocated_bytes == 100 * MEBI
    assert found.note == "no memory ratio and no limit: cost survey of mha ended with crashed"


@given(allocated=BYTES, other=BYTES, predicted=BYTES)
def test_memory(allocated: int, other: int, predicted: int) -> None:
    """The ratio is to the baseline; a prediction's error is positive where it was too much."""
    arm, baseline = MeasuredMemory(allocated_bytes=allocated), MeasuredMemory(allocated_bytes=other)
    prediction = PredictedMemory(total_bytes=predicted, by_kind={})
    found = row(make_survey(measured=arm, predicted=prediction), make_survey(measured=baseline))
    assert found.memory_ratio == pytest.approx(allocated / other)
    assert found.prediction_error is not None
    assert (found.prediction_error > 0) == (predicted > allocated)
    assert found.prediction_error == pytest.approx(predicted / allocated - 1)
    assert (found.allocated_bytes, found.predicted_bytes) == (allocated, predicted)


def test_memory_of_a_device() -> None:
    """What the process has beyond torch's allocator is the driver's, libraries' and Python's."""
    found = MeasuredMemory(allocated_bytes=100, reserved_bytes=128, process_bytes=700)
    told = costs(row(make_survey(measured=found)), "reserved_bytes", "unexplained_bytes")
    assert told == {"reserved_bytes": 128, "unexplained_bytes": 572}


@given(ratio=POSITIVE, speedup=POSITIVE)
def test_share_of_the_limit(ratio: float, speedup: float) -> None:
    """The limit's time by the baseline's, times the baseline's by the arm's."""
    limit = Limit(library="F.linear", time_ratio=ratio, gflop_per_s=100.0)
    baseline = make_survey(limits={"fp32": limit}, copy_bytes_per_s=3e10)
    found = row(make_survey(), baseline, speedup=speedup)
    assert found.limit_share == pytest.approx(ratio * speedup)
    assert (found.limit_gflop_per_s, found.limit_library) == (100.0, "F.linear")
    assert found.copy_gb_per_s == pytest.approx(30.0)


@given(flop=st.floats(1e6, 1e15), latency_ms=POSITIVE)
def test_achieved(flop: float, latency_ms: float) -> None:
    """Operations by the row's own latency."""
    found = row(make_survey(flop=flop), latency_ms=latency_ms)
    assert found.gflop_per_s == pytest.approx(flop / 1e9 / (latency_ms / 1e3))


def test_flops_are_the_workloads() -> None:
    """What an arm is asked to do is also told by its baseline; what it moves is its own."""
    found = row(alone("skipped"), make_survey(**BASELINE), latency_ms=10.0)
    assert found.flop == 2e9
    assert found.gflop_per_s == pytest.approx(200.0)
    assert found.moved_bytes is None
    assert found.limit_share == pytest.approx(0.7 * 1.25)


@pytest.mark.parametrize(
    ("precision", "share"),
    [("fp32", 0.7), ("amp_bf16", 0.4), ("bf16", 0.4), ("amp_fp16", None), ("own", None)],
)
def test_limit_of_what_the_arm_computes_in(precision: str, share: float | None) -> None:
    """Autocast computes in the half; what has no limit has no share, and no number of another."""
    half = Limit(library="F.linear", time_ratio=0.4, gflop_per_s=400.0)
    baseline = make_survey(limits={"fp32": LIMIT, "bf16": half})
    found = row(make_survey(), baseline, precision=precision, speedup=1.0)
    assert found.limit_share == share
    assert (found.limit_gflop_per_s is None) is (share is None)


def test_an_arms_own_limit_needs_no_speedup() -> None:
    """Where the baseline's look failed but the arm's own told a limit, it is by the arm's call."""
    found = row(make_survey(**BASELINE), alone("crashed"), speedup=1.25)
    assert (found.limit_share, found.copy_gb_per_s) == (0.7, 30.0)


def test_an_arm_that_was_never_timed_reached_nothing() -> None:
    """Without a time there is a limit, but nothing that was achieved."""
    lost = {"speedup": None, "latency_ms": None, "status": "timeout"}
    found = row(make_survey(), make_survey(**BASELINE), **lost)
    assert (found.limit_gflop_per_s, found.limit_share, found.gflop_per_s) == (200.0, None, None)


def test_own_arms_have_flops_of_their_own() -> None:
    """What another one computes says nothing of them."""
    own = {"variant": None, "factor": "factory"}
    found = row(make_survey(flop=None), make_survey(flop=2e9), **own)
    assert (found.flop, found.gflop_per_s) == (None, None)


def test_flops_that_disagree_are_wrong() -> None:
    """Arithmetic that PyTorch's own count contradicts ends the verdict; the times are kept."""
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
    """What did not fit says how much it would have needed, and no excuse of having been oom."""
    predicted = PredictedMemory(total_bytes=round(31.4 * 2**30), by_kind={})
    baseline = make_survey(**BASELINE)
    found = row(alone("oom", predicted=predicted), baseline, status="oom", error=error)
    assert (found.error, found.note) == (said, None)
    unknown = row(alone("oom"), baseline, status="oom", error=error)
    assert unknown.error == error


def test_what_is_told_as_it_is() -> None:
    """Kernels, graphs, agreement and energy come from the arm's own look; 0 is a number."""
    told = make_survey(graphs=Graphs(breaks=0, recompiles=3), joules_per_image=0.0)
    found = row(told, make_survey(kernels=("other",)))
    names = ("kernels", "graph_breaks", "recompiles", "top1_agreement", "joules_per_image")
    assert tuple(costs(found, *names).values()) == ("MKL SGEMM; flash attention", 0, 3, 0.99, 0.0)
    assert row(make_survey(kernels=())).kernels is None


def test_rows_of_a_run_are_told_apart() -> None:
    """Each row has the survey of its own arm; the control's share of the limit is its own."""
    control = make_comparison("mha")
    surveys = {ARM: make_survey(kernels=("math",)), OTHER: make_survey(**BASELINE)}
    samples = [make_sample(each) for each in (control, COMPARISON)]
    first, second = analyse(
        "run", [control, COMPARISON], samples, make_environment(), surveys=surveys
    ).records
    assert (first.kernels, second.kernels) == ("MKL SGEMM; flash attention", "math")
    assert (first.memory_ratio, second.memory_ratio) == (1.0, 1.0)
    assert second.limit_share == pytest.approx(0.7 * (second.speedup or 0))


def test_what_compiling_adds_to_the_process() -> None:
    """Beyond its eager baseline; of an arm that does not compile there is nothing to say."""
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
    """Five percent are what it is meant to keep."""
    survey = make_survey(
        measured=MeasuredMemory(allocated_bytes=allocated),
        predicted=PredictedMemory(total_bytes=100, by_kind={}),
    )
    assert ("off by more than 5 %" in str(row(survey, make_survey()).note)) is is_off


@pytest.mark.parametrize(("ratio", "is_beyond"), [(0.9, False), (1.01, False), (1.1, True)])
def test_a_limit_that_was_passed_is_noted(ratio: float, is_beyond: bool) -> None:  # noqa: FBT001
    """By more than noise: the libraries that were tried are not the fastest there are."""
    limit = Limit(library="F.linear", time_ratio=ratio, gflop_per_s=50.0)
    baseline = make_survey(limits={"fp32": limit})
    assert ("beyond its limit" in str(row(make_survey(), baseline, speedup=1.0).note)) is is_beyond


def test_parameters_are_told() -> None:
    """As the look counted them."""
    assert row(make_survey(parameters=123), make_survey()).parameters == 123


def test_notes_are_found_by_the_key_of_their_row() -> None:
    """A row's key is its comparison's, of parts of vitcore and of a user's own arms."""
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
