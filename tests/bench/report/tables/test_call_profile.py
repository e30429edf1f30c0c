"""bench.report.tables.call_profile: tables and notes of a profile, against golden text."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.records.call_profile import PYTHON, Share, Timeline
from bench.records.comparison import Arm
from bench.report.labels import case_heading
from bench.report.tables.call_profile import (
    component_table,
    files_line,
    memory_table,
    notes,
    operator_table,
    peak,
    short,
    top_operators,
)
from helpers.profiles import MEBI, NODE, PROFILED, TIMELINE, WATCHED, make_profiled, on
from helpers.reports import check_golden


def test_the_tables_and_notes() -> None:
    """Both tables, longest first with the others summed, and the notes equal the golden text."""
    console = Console(file=StringIO(), width=140)
    with console.capture() as capture:
        console.print(case_heading(PROFILED.case))
        console.print(component_table(PROFILED), operator_table(PROFILED, 3))
        console.print(memory_table(WATCHED))
        console.print("\n".join(notes(PROFILED)), soft_wrap=True)
    check_golden("profile.txt", re.sub(r" +$", "", capture.get(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("work", "levels", "expected"),
    [
        ({}, {}, "B/16 b1 train, on cpu"),
        ({"component": "block", "image_size": 64}, {}, "block of B/16 b1 train 64px, on cpu"),
        ({"device": "cuda"}, {"attention": "sdpa"}, "B/16 b1 train sdpa, on cuda"),
    ],
)
def test_heading_has_the_unusual_levels(
    work: dict[str, Any], levels: dict[str, str], expected: str
) -> None:
    """A heading has the component, the image size and the levels that are not the default."""
    workload = replace(PROFILED.case.workload, **work)
    assert case_heading(replace(PROFILED.case, workload=workload, arm=Arm(**levels))) == expected


def test_other_operators_are_summed() -> None:
    """Times and calls of the others are summed, without Python's missing calls."""
    *_, others = top_operators(PROFILED, 2)
    assert (others.name, others.calls) == ("(3 others)", 60)
    assert others.seconds == pytest.approx(0.0305)
    assert others.within == pytest.approx({"MLP": 0.02, "attention": 0.01, "between": 5e-4})
    assert top_operators(PROFILED, 5) == list(PROFILED.operators)
    assert top_operators(PROFILED, 100) == list(PROFILED.operators)
    assert top_operators(PROFILED, 4)[-1].name == "(1 other)"


def test_others_without_calls_have_no_number() -> None:
    """Others without a number of calls have None, not 0."""
    python = Share(name=PYTHON, seconds=1.0, calls=None, within={"MLP": 1.0})
    *_, others = top_operators(make_profiled(operators=(PROFILED.operators[0], python)), 1)
    assert others.calls is None


def test_long_names_are_shortened() -> None:
    """Autograd nodes and compiled graphs get short names; other long names are cut."""
    assert short(f"{NODE}torch::autograd::AccumulateGrad") == "engine: AccumulateGrad"
    assert short("aten::mm") == "aten::mm"
    assert (
        short("## Call CompiledFxGraph fwmkkmin4lluy2fnsrfb2osrnel5xxrhga ##") == "compiled graph"
    )
    assert len(short("x" * 100)) == 60
    assert short("x" * 100).endswith("…")


def test_overhead_hidden_by_noise_is_noted() -> None:
    """A profiled call that is faster than an unprofiled one gives a note on noise."""
    assert "noise hides the cost" in notes(make_profiled(overhead=0.97))[0]
    assert "noise" not in notes(PROFILED)[0]


def test_note_on_times_depends_on_the_device() -> None:
    """Times are of threads on a CPU, and of kernels on a GPU, with their share of the call."""
    assert any("Times are of the calling thread" in note for note in notes(PROFILED))
    on_gpu = notes(on("cuda"))
    assert any("270 ms of an unprofiled call's 250 ms" in note for note in on_gpu)
    assert not any(PYTHON in note for note in on_gpu)


def test_notes_explain_missing_values() -> None:
    """A compiled component and a missing memory prediction are explained."""
    compiled = Share(name="compiled", seconds=1.0, calls=3.0, within={"compiled": 1.0})
    said = notes(make_profiled(components=(compiled,), memory=None, notes=("cannot be",)))
    assert any(note.startswith("compiled: one component") for note in said)
    assert said[-1] == "cannot be"
    assert not any("Memory" in note or note.startswith("between") for note in said)


def test_the_peak_and_its_part() -> None:
    """The peak is the first event with the most bytes; the note names its part, if any."""
    assert peak(TIMELINE) == (671 * MEBI, 9)
    assert "Memory at its peak, predicted: 671 MiB, in backward." in notes(PROFILED)
    bare = Timeline(events=(0,), live_bytes={"inputs": (3 * MEBI,)})
    assert notes(make_profiled(memory=bare))[-1] == "Memory at its peak, predicted: 3.00 MiB."


def test_files_are_named_with_their_viewers() -> None:
    """One line has all files with the sites that open them."""
    line = files_line(Path("results/p"), ["memory_snapshot.pickle", "profile.json", "trace.json"])
    assert line == (
        "Written to results/p: memory_snapshot.pickle (open it at pytorch.org/memory_viz), "
        "profile.json, trace.json (open it at ui.perfetto.dev)."
    )
