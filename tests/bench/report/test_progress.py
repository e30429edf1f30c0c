"""bench.report.progress: a line for each measured comparison, or a bar in a terminal."""

import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.records.arm_costs import Case, MeasuredMemory, Survey
from bench.records.errors import NO_TIME
from bench.records.plan import Plan
from bench.records.sample import Sample
from bench.report.progress import RunProgress
from helpers.machine import FakeTime
from helpers.records import make_comparison, make_plan, make_sample, make_survey
from helpers.reports import check_golden

CONTROL, CANDIDATE = make_comparison("mha"), make_comparison("manual")
PLAN = make_plan(passes=2, comparisons=(CONTROL, CANDIDATE))
SKIPPED = {"status": "skipped", "error": "no time", "arm_s": (), "baseline_s": ()}
SAMPLES = [
    make_sample(CANDIDATE, 0),
    make_sample(CONTROL, 0, **SKIPPED),
    make_sample(CANDIDATE, 1, arm_s=(0.0081,) * 6),
    make_sample(CONTROL, 1, **SKIPPED | {"status": "crashed"}),
]


def followed(
    samples: list[Sample],
    *,
    terminal: bool,
    width: int = 200,
    plan: Plan = PLAN,
    before: Sequence[Sample] = (),
    spent_s: float = 0.0,
    torn: int = 0,
) -> str:
    """Return the output while these samples are measured, in a run that has some already."""
    console = Console(
        file=StringIO(), width=width, force_terminal=terminal, _environ={"TERM": "xterm"}
    )
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(plan, before, spent_s, torn)
        for sample in samples:
            if sample.pass_index == plan.passes:
                progress.extend(1)
            progress.show_start(sample.key, sample.pass_index)
            progress.show_sample(sample)
        progress.end()
    return capture.get()


def without_time(lines: Sequence[str]) -> list[str]:
    """Return the lines without the remaining time."""
    left = r"  (\d+ min )?\d+ s left( for the survey)?( at most)?$"
    return [re.sub(left, "", line) for line in lines]


def test_lines() -> None:
    """Outside a terminal each sample is one line; bounds appear with the second pass."""
    lines = followed(SAMPLES, terminal=False).splitlines()
    assert without_time(lines) == [
        f"pass 1/2  1/4  {CANDIDATE.key}  ×1.25",
        f"pass 1/2  2/4  {CONTROL.key}  skipped: no time",
        f"pass 2/2  3/4  {CANDIDATE.key}  ×1.24 1.15 to 1.34",
        f"pass 2/2  4/4  {CONTROL.key}  crashed: no time",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_wait_is_shown(*, terminal: bool) -> None:
    """A wait for a calm machine is shown while it lasts: in the bar, or as a line."""
    console = Console(file=StringIO(), width=200, force_terminal=terminal)
    progress = RunProgress(console)
    text = "waiting for a calm machine, 3.0 s at most: other programs use 1.0 of 2 cores"
    with console.capture() as capture:
        progress.begin(PLAN, [], 0.0, 0)
        progress.show_start(CANDIDATE.key, 0)
        progress.show_wait(text)
        progress.end()
    assert progress.bar.tasks[0].description == text
    assert (text in capture.get().splitlines()) is not terminal


def test_resumed_run_continues_the_count() -> None:
    """Earlier samples count in the position and in the speed-up so far."""
    lines = followed(SAMPLES[2:], terminal=False, before=SAMPLES[:2]).splitlines()
    assert without_time(lines) == without_time(followed(SAMPLES, terminal=False).splitlines()[2:])


@pytest.mark.parametrize(
    ("torn", "lines"), [(1, "1 half-written line"), (2, "2 half-written lines")]
)
def test_lost_lines_are_reported_first(torn: int, lines: str) -> None:
    """Lines lost with a killed writer are reported first; their samples are measured again."""
    first, *rest = followed(SAMPLES, terminal=False, width=40, torn=torn).splitlines()
    assert first == f"{lines} of the journal will be measured again"
    assert without_time(rest) == without_time(followed(SAMPLES, terminal=False).splitlines())


def test_further_passes() -> None:
    """A pass beyond the plan has its own number, and the total grows by its comparisons."""
    more = [*SAMPLES, make_sample(CANDIDATE, 2)]
    lines = followed(more, terminal=False).splitlines()
    assert without_time(lines[-1:])[0].startswith(f"pass 3  5/5  {CANDIDATE.key}  ×1.24 ")


@pytest.mark.parametrize("terminal", [True, False])
def test_interrupt_is_explained(*, terminal: bool) -> None:
    """After Ctrl-C a line has the time to finish the pair, and the way to stop at once."""
    console = Console(file=StringIO(), width=200, force_terminal=terminal)
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(PLAN, [], 0.0, 0)
        progress.show_interrupt(60.0)
        progress.end()
    expected = "finishing the round under way, 1 min 00 s at most; Ctrl-C again ends at once"
    assert expected in capture.get()


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_are_not_markup(*, terminal: bool) -> None:
    """Brackets in names and errors are printed."""
    text = "[enforce fail at alloc_cpu.cpp:127] bad [/x] tag [bold]"
    odd = replace(SAMPLES[1], key=f"factory-{text}", error=text)
    shown = followed([odd], terminal=terminal, width=400)
    assert shown.count(text) >= (1 if terminal else 2)


def test_narrow_lines() -> None:
    """In a narrow log a line stays one line, without control codes."""
    text = followed(SAMPLES, terminal=False, width=40)
    assert len(text.splitlines()) == len(SAMPLES)
    assert "\x1b" not in text


def test_budget_left() -> None:
    """With a budget, every line has an upper bound on the remaining time."""
    plan = replace(PLAN, budget_s=60_000.0)
    lines = followed(SAMPLES, terminal=False, plan=plan, spent_s=20_020.0).splitlines()
    assert all(re.search(r"  11 h \d\d min left at most$", line) for line in lines)


def test_time_left() -> None:
    """With a fixed time per comparison, the remaining time is that of the pending ones."""
    plan = replace(PLAN, each_s=10.0)
    lines = followed(SAMPLES, terminal=False, plan=plan, spent_s=60_000.0).splitlines()
    left = [line.rpartition("  ")[2].partition(" min")[0] for line in lines]
    assert left == ["50 h 00", "16 h 40", "5 h 33", "0 s left"]


@pytest.mark.parametrize("samples", [[], SAMPLES], ids=["nothing", "all"])
def test_bar(samples: list[Sample]) -> None:
    """In a terminal a bar counts, names the current comparison, and is removed at the end."""
    text = followed(samples, terminal=True)
    assert f"{len(samples)}/4" in text
    assert (CONTROL.key in text) is bool(samples)
    assert text.endswith("\x1b[2K")


SURVEYS = [
    make_survey("B/16-attention-mha"),
    make_survey("B/16-attention-sdpa", measured=MeasuredMemory(status="crashed", error="SIGSEGV")),
    make_survey("B/16-attention-manual", measured=MeasuredMemory(status="oom")),
    make_survey("B/16-attention-flash", measured=MeasuredMemory(process_bytes=2**20)),
]


def surveyed(*, terminal: bool, surveys: Sequence[Survey] = SURVEYS) -> str:
    """Return the output while cases are surveyed, after all passes of a run."""
    console = Console(file=StringIO(), width=200, force_terminal=terminal)
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(PLAN, SAMPLES, 0.0, 0)
        progress.begin_survey(len(surveys), 60.0)
        for survey in surveys:
            progress.show_start(survey.key, None)
            progress.show_survey(survey)
        progress.end()
    return capture.get()


def test_surveyed_cases() -> None:
    """Each case is one line with its memory or the reason, counted after the passes."""
    assert without_time(surveyed(terminal=False).splitlines()) == [
        "survey  5/8  B/16-attention-mha  100 MiB",
        "survey  6/8  B/16-attention-sdpa  crashed: SIGSEGV",
        "survey  7/8  B/16-attention-manual  oom",
        "survey  8/8  B/16-attention-flash  ",
    ]


def test_surveyed_cases_have_readable_names() -> None:
    """A case is named by its unusual levels, a user's own arm by its own name."""
    own = make_comparison("mine.py:f", factor="factory", baseline="mine.py:f")
    plan = make_plan(comparisons=(CANDIDATE, own))
    cases = [Case(workload=each.workload, arm=each.arm) for each in plan.comparisons]
    console = Console(file=StringIO(), width=200)
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(plan, [], 0.0, 0)
        for case in cases:
            progress.show_survey(make_survey(case.key))
        progress.show_sample(make_sample(own))
    assert [line.split("  ")[2] for line in capture.get().splitlines()] == [
        "B/16-attention-b1-forward-cpu-manual",
        "mine.py:f",
        "mine.py:f (control)",
    ]


def test_time_left_for_a_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A survey counts its own seconds, whatever is left of the run; then passes count the run's."""
    clock = FakeTime()
    monkeypatch.setattr("bench.report.progress.time", SimpleNamespace(monotonic=clock))
    console = Console(file=StringIO(), width=200)
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(replace(PLAN, budget_s=570.0), [], 440.0, 0)
        progress.show_sample(SAMPLES[0])
        progress.begin_survey(3, 57.0)
        for passed_s in (6.5, 50.0, 10.0):
            clock.now_s += passed_s
            progress.show_survey(SURVEYS[0])
        progress.extend(2)
        progress.show_sample(SAMPLES[1])
        clock.now_s += 60.0
        progress.show_sample(SAMPLES[2])
    assert [line.rpartition("  ")[2] for line in capture.get().splitlines()] == [
        "2 min 10 s left at most",
        "51 s left for the survey at most",
        "1 s left for the survey at most",
        "time is up",
        "1 min 04 s left at most",
        "4 s left at most",
    ]


def late(sample: Sample) -> Sample:
    """Return a sample that the budget left no time for."""
    return replace(sample, status="skipped", error=NO_TIME, arm_s=(), baseline_s=())


NOT_REACHED = MeasuredMemory(status="skipped", error=NO_TIME)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_had_no_time_is_one_line(*, terminal: bool) -> None:
    """Comparisons and cases without time are counted in one line for each pass and the survey."""
    console = Console(file=StringIO(), width=200, force_terminal=terminal)
    progress = RunProgress(console)
    with console.capture() as capture:
        progress.begin(replace(PLAN, budget_s=-1.0), [], 0.0, 0)
        for sample in (SAMPLES[0], late(SAMPLES[1]), late(SAMPLES[2]), late(SAMPLES[3])):
            progress.show_start(sample.key, sample.pass_index)
            progress.show_sample(sample)
        progress.begin_survey(60, 0.0)
        progress.show_start("first", None)
        progress.show_survey(make_survey("first"))
        for number in range(59):
            progress.show_start(str(number), None)
            progress.show_survey(make_survey(str(number), measured=NOT_REACHED))
        progress.end()
    text = capture.get()
    if terminal:
        assert text.count(NO_TIME) == 3
        assert text.endswith("\x1b[2K")
    else:
        check_golden("progress.txt", text)


def test_an_end_in_between_keeps_the_order() -> None:
    """A result after ones without time comes after their line."""
    lines = followed([late(SAMPLES[0]), SAMPLES[1]], terminal=False).splitlines()
    assert lines[0] == f"pass 1/2  1 comparison not measured: {NO_TIME}"
    assert lines[1].startswith(f"pass 1/2  2/4  {CONTROL.key}  skipped")


def test_the_bar_of_a_survey() -> None:
    """In a terminal the bar names the current case and the number left."""
    text = surveyed(terminal=True, surveys=SURVEYS[:1])
    assert "survey" in text
    assert "5/5" in text
    assert SURVEYS[0].key in text


def test_passes_after_a_survey() -> None:
    """Passes after a survey continue the count and show speed-ups again."""
    console = Console(file=StringIO(), width=200)
    progress = RunProgress(console)
    sample = make_sample(CANDIDATE, 2)
    with console.capture() as capture:
        progress.begin(PLAN, SAMPLES, 0.0, 0)
        progress.begin_survey(1, 60.0)
        progress.show_survey(SURVEYS[0])
        progress.extend(1)
        progress.show_sample(sample)
        progress.end()
    first, second = capture.get().splitlines()
    assert first.startswith("survey  5/5  ")
    assert second.startswith(f"pass 3  6/6  {CANDIDATE.key}  ×1.24 ")
