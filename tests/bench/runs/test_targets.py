"""bench.runs.targets and target_rows: parsed targets, and the time spent on each."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.records.comparison import Arm, Comparison, Workload
from bench.records.errors import InputError
from bench.runs.regress import target_rows
from bench.runs.state import RunState
from bench.runs.targets import Target, read_targets
from bench.usercode.spec import Shapes
from helpers.journals import make_state
from helpers.own_arms import write
from helpers.records import make_plan, make_sample

WORKLOAD = Workload(component="callable", mode="forward", device="cpu", inputs="2,8")


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create two files, one's name ending with the other's name."""
    for name in ("a.py", "my-a.py"):
        write(tmp_path / name, "def make(): return abs")
    monkeypatch.chdir(tmp_path)


def comparisons(target: str) -> list[Comparison]:
    """Build the comparisons of a target: the base's control, and the tree with the base."""
    base, tree = Arm(factory=f"{target}@main", tree="base"), Arm(factory=target, tree="here")
    return [
        Comparison(factor="factory", workload=WORKLOAD, baseline=base, arm=arm)
        for arm in (base, tree)
    ]


def results(targets: Sequence[Target], seconds: dict[str, float], spent_s: float) -> RunState:
    """Build the state of a run of one pass with these seconds per arm."""
    compared = tuple(each for target in targets for each in comparisons(target.name))
    samples = [make_sample(each, measure_s=seconds[each.arm_name]) for each in compared]
    events = [{"kind": "sample", "time_s": spent_s, **asdict(each)} for each in samples]
    return make_state([{"kind": "process"}, *events], make_plan(comparisons=compared))


def test_a_target_is_charged_for_its_own_comparison_alone() -> None:
    """Names with a common suffix are kept apart; time outside measuring is shared."""
    targets = read_targets(["a.py:make", "my-a.py:make"], "2,8")
    seconds = {"a.py:make": 3.0, "a.py:make@main": 1.0, "my-a.py:make": 5.0}
    run = results(targets, seconds | {"my-a.py:make@main": 1.0}, spent_s=20.0)
    rows = list(target_rows(run, {each: f"{each.name}@main" for each in targets}))
    assert [each.target for each in rows] == ["a.py:make", "my-a.py:make"]
    assert [each.spent_s for each in rows] == pytest.approx([6.0, 10.0])
    assert [each.tree.arm for each in rows] == ["a.py:make", "my-a.py:make"]
    assert [each.base and each.base.arm for each in rows] == [
        "a.py:make@main",
        "my-a.py:make@main",
    ]


def test_targets_share_the_given_inputs() -> None:
    """Without given inputs each part has its own; repeated targets are merged."""
    given = read_targets(["a.py:make", "vitcore:attention=sdpa", "a.py:make"], " 2,8 ")
    assert [each.name for each in given] == ["a.py:make", "vitcore:attention=sdpa"]
    assert {each.inputs.text for each in given} == {"2,8"}
    parts = read_targets(["vitcore:attention=sdpa", "vitcore:patcher=conv"], None)
    assert [each.inputs.code for each in parts] == [
        Shapes(shapes=((1, 197, 768),)),
        Shapes(shapes=((1, 3, 224, 224),)),
    ]


@pytest.mark.parametrize(
    ("names", "inputs", "message"),
    [
        ([], None, "no target given; give --targets, or --target package.module:factory"),
        (["a.py:make"], None, "no inputs given"),
        (["b.py:make"], "2,8", r"there is no file 'b\.py'"),
        (["a.py:make"], "2x8", "'2x8' is not a shape"),
    ],
)
def test_invalid_targets_are_refused(names: list[str], inputs: str | None, message: str) -> None:
    """An invalid target is refused before a revision is checked out."""
    with pytest.raises(InputError, match=message):
        read_targets(names, inputs)
