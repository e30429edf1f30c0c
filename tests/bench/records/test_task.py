"""bench.records.task: the group of a pass, its name, and its parts after a process died."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.comparison import Comparison
from bench.records.task import PassJob
from helpers.records import make_comparison
from helpers.tasks import make_pass_job

CONTROL, MANUAL, SDPA = (make_comparison(name, cache="model") for name in ("mha", "manual", "sdpa"))
PATCHER_CONTROL, LINEAR = (
    make_comparison(name, baseline="conv", factor="patcher", component="patcher", cache="model")
    for name in ("conv", "linear")
)
INSIDE = (CONTROL, PATCHER_CONTROL, MANUAL, SDPA, LINEAR)
KEYS = [each.key for each in INSIDE]
GROUPS = st.sets(st.sampled_from(INSIDE), min_size=1).map(lambda found: tuple(sorted_(found)))
MEASURED = st.sets(st.sampled_from(KEYS))


def sorted_(found: set[Comparison]) -> list[Comparison]:
    """Return comparisons in the order of a job: controls first."""
    return [each for each in INSIDE if each in found]


def test_candidates_are_the_comparisons_other_than_controls() -> None:
    """A group may have the controls of several factors; none is a candidate."""
    assert make_pass_job(*INSIDE).candidates == (MANUAL, SDPA, LINEAR)
    assert make_pass_job(CONTROL).candidates == ()


@pytest.mark.parametrize(
    ("comparisons", "key"),
    [
        ((CONTROL, MANUAL, SDPA), "B/16-inside-b1-forward-cpu-plain"),
        ((CONTROL, PATCHER_CONTROL), "B/16-inside-b1-forward-cpu-plain"),
        ((CONTROL, MANUAL), MANUAL.key),
        ((MANUAL,), MANUAL.key),
        ((CONTROL,), CONTROL.key),
    ],
)
def test_a_group_is_named_by_its_only_comparison(
    comparisons: tuple[Comparison, ...], key: str
) -> None:
    """A group of one comparison, beside its control, has that comparison's key."""
    assert make_pass_job(*comparisons).key == key


def test_the_device_is_that_of_the_arms() -> None:
    """All arms of a group have one device."""
    assert make_pass_job(*INSIDE).device == "cpu"
    assert make_pass_job(make_comparison("sdpa", device="cuda")).device == "cuda"


@given(group=GROUPS, measured=MEASURED)
def test_parts_are_the_candidates_without_a_sample(
    group: tuple[Comparison, ...], measured: set[str]
) -> None:
    """Each part has the controls, one candidate and its share of the time."""
    job = make_pass_job(
        *group, pass_index=2, weight=0.5, checked=(SDPA.key,), ready_s=6.0, measure_s=3.0
    )
    count = len(job.candidates)
    controls = [each for each in group if each.is_control]
    parts = job.parts(measured)
    if count < 2:
        assert parts == ()
        return
    assert [each for part in parts for each in part.candidates] == [
        each for each in job.candidates if each.key not in measured
    ]
    for part in parts:
        expected = replace(job, ready_s=6.0 / count, measure_s=3.0 / count)
        assert part == replace(expected, comparisons=(*controls, *part.candidates))
        assert part.parts(measured) == ()


@given(group=GROUPS)
def test_the_names_of_parts_are_unique(group: tuple[Comparison, ...]) -> None:
    """No part has the name of the group that it comes from, or of another part."""
    job = make_pass_job(*group)
    names = [job.key, *(part.key for part in job.parts(()))]
    assert len(set(names)) == len(names)


def test_parts_of_a_job_without_a_time_have_none() -> None:
    """An unknown time of getting ready, and a share of the pass's time, stay what they are."""
    parts = make_pass_job(*INSIDE).parts(())
    assert {(part.ready_s, part.measure_s) for part in parts} == {(None, None)}


@given(group=GROUPS, died=st.booleans())
def test_samples_of_a_failed_job(group: tuple[Comparison, ...], *, died: bool) -> None:
    """A process that died costs the candidates, or lone controls; time that is spent costs all."""
    job = make_pass_job(*group, pass_index=3)
    found = list(job.samples("crashed", "why", died=died))
    blamed = (job.candidates or group) if died else group
    assert [each.key for each in found] == [each.key for each in blamed]
    assert {(s.status, s.error, s.died, s.pass_index, s.arm_s) for s in found} == {
        ("crashed", "why", died, 3, ())
    }


def test_the_outcome_of_a_failed_job_has_its_cause() -> None:
    """The ending of a group whose process died has the status and the one line."""
    ending = make_pass_job().failed("timeout", "no result within 3 s")
    assert (ending.status, ending.error) == ("timeout", "no result within 3 s")


def test_the_events_of_a_group_have_names_of_their_own() -> None:
    """A group starts and is done; samples come between."""
    assert (PassJob.start, PassJob.done) == ("start", "group")
