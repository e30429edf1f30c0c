"""bench.worker.losers: precisions that lose by far are left out of larger workloads."""

from dataclasses import replace
from typing import Any

import pytest

from bench.records.comparison import Comparison
from bench.records.sample import Sample
from bench.records.task import PassJob
from bench.worker.losers import ALONE, Losers
from helpers.records import make_comparison, make_sample
from helpers.tasks import make_pass_job

LEVELS = ("fp32", "amp_fp16", "bf16")


def job(component: str, *, factor: str = "precision", pass_index: int = 0) -> PassJob:
    """Build a job of three precisions on a component."""
    arms = [
        replace(
            make_comparison(level, baseline="fp32", factor="precision", component=component),
            factor=factor,
        )
        for level in LEVELS
    ]
    return make_pass_job(*arms, pass_index=pass_index)


def samples(of: PassJob, **slowdowns: float) -> list[Sample]:
    """Build the samples of a job; an arm is slower by its factor, by default equal."""
    return [
        make_sample(
            each,
            baseline_s=(0.01,) * 4,
            arm_s=(0.01 * slowdowns.get(each.arm_name, 1.0),) * 4,
        )
        for each in of.comparisons
    ]


def names(comparisons: tuple[Comparison, ...]) -> list[str]:
    """The arms of comparisons."""
    return [each.arm_name for each in comparisons]


def test_an_arm_that_lost_by_far_is_left_out_with_its_reason() -> None:
    """Later groups lack it; its sample says on which workload it lost."""
    losers, small, large = Losers(), job("block"), job("model", pass_index=2)
    assert losers.without(large) == (large, [])
    losers.note(small, samples(small, amp_fp16=8.0, bf16=2.0))
    left, skipped = losers.without(large)
    assert left is not None
    assert names(left.comparisons) == ["fp32", "bf16"]
    (sample,) = skipped
    assert (sample.key, sample.pass_index) == (large.comparisons[1].key, 2)
    assert sample.status == "skipped"
    assert sample.error == (
        "more than 3 times slower than fp32 on B/16 block b1 forward: not measured on larger "
        "workloads"
    )


def test_without_a_candidate_nothing_is_left() -> None:
    """A control alone is not measured, in this process or in another of the same pass."""
    losers, small, large = Losers(), job("block"), job("model")
    losers.note(small, samples(small, amp_fp16=8.0, bf16=9.0))
    left, skipped = losers.without(large)
    assert left is None
    assert {each.key for each in skipped} == {each.key for each in large.comparisons}
    assert [each.error for each in skipped if each.key == large.comparisons[0].key] == [ALONE]


@pytest.mark.parametrize("change", [{"device": "cuda"}, {"mode": "train"}])
def test_another_device_or_mode_is_another_matter(change: dict[str, Any]) -> None:
    """What loses on a CPU may win on a GPU."""
    losers, small = Losers(), job("block")
    losers.note(small, samples(small, bf16=9.0))
    other = replace(
        small,
        comparisons=tuple(
            replace(each, workload=replace(each.workload, **change)) for each in small.comparisons
        ),
    )
    assert losers.without(other) == (other, [])


def test_other_factors_are_always_measured() -> None:
    """A user's arms, and parts, may be slow on one workload alone."""
    losers, small = Losers(), job("block", factor="attention")
    losers.note(small, samples(small, bf16=9.0))
    assert losers.without(job("model", factor="attention"))[1] == []


def test_an_arm_without_times_is_not_judged() -> None:
    """A failed sample says nothing about speed."""
    losers, small = Losers(), job("block")
    failed = [replace(each, arm_s=(), baseline_s=(), status="oom") for each in samples(small)]
    losers.note(small, failed)
    assert losers.without(job("model"))[1] == []
