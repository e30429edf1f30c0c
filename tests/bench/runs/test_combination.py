"""bench.runs.combination: the chosen combination, its passes, and its state after a resume."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.aim import Aim
from bench.files.journal import append_event, read_events
from bench.records.comparison import CHOICE, DEFAULT_ARM, Arm, Comparison
from bench.records.errors import InputError
from bench.records.plan import Choice
from bench.records.row import Record
from bench.runs.combination import affordable, aim_of, wanted, with_choices
from bench.runs.levels import at_precision
from bench.runs.schedule import next_pass, planned_left
from bench.suite.grid import Selection, comparisons, grids
from bench.suite.work import repeats
from helpers.decisions import arm, control
from helpers.journals import choices_from
from helpers.records import make_comparison, make_plan, make_sample


def rows(component: str = "model", **changes: Any) -> list[Record]:
    """Build a run: bf16 twice as fast as fp32; linear makes the whole 4 % faster, at both."""
    of_whole = {"of_whole": 0.04, "of_whole_low": 0.03, "of_whole_high": 0.05}
    low = {"precision": "bf16"}
    found = [
        control("patcher"),
        arm("patcher", "linear", 1.1, **of_whole),
        control("patcher", **low),
        arm("patcher", "linear", 1.1, **low, **of_whole),
        control("precision", component=component),
        arm("precision", "bf16", 2.0, component=component, output_error=1e-2, memory_ratio=0.5),
    ]
    return [replace(row, **changes) for row in found]


def chosen(plan: Any = None, **changes: Any) -> list[Comparison]:
    """Return the comparisons that follow from the rows of the small run."""
    return wanted(plan or make_plan(), rows(**changes))


def test_the_plain_arm_is_every_factors_baseline() -> None:
    """The plain arm has the baseline level of every factor."""
    usual = [grid for grid in grids() if grid.arms and grid.factor not in ("kernel", "layout")]
    assert len(usual) == 6
    assert {grid.factor: grid.arms[0] for grid in usual} == {
        grid.factor: DEFAULT_ARM.level(grid.factor) for grid in usual
    }


def test_levels_have_names_of_their_own() -> None:
    """Levels beyond the baselines have distinct names, so a combination's name is unique."""
    names = [level for grid in grids() for level in grid.arms[1:]]
    assert len(names) == len(set(names))


def test_choices_are_compared_with_the_plain_arm() -> None:
    """The best at full precision and the best of all share the plain arm's control."""
    group = chosen()
    assert [each.factor for each in group] == [CHOICE] * 3
    assert [each.baseline for each in group] == [DEFAULT_ARM] * 3
    assert [each.arm for each in group] == [
        DEFAULT_ARM,
        Arm(patcher="linear"),
        Arm(patcher="linear", precision="bf16"),
    ]
    assert [each.arm_name for each in group] == ["plain", "linear", "linear+bf16"]
    assert {(each.workload.component, each.cache) for each in group} == {("model", "model")}
    assert len({each.group for each in group}) == 1


def test_large_models_are_compared_by_their_block() -> None:
    """Blocks use the run's cache mode and show no patcher; the cheapest comparison comes first."""
    found = wanted(
        make_plan(comparisons=(make_comparison(cache="warm"),)),
        [row for name in ("L/16", "B/16") for row in rows(variant=name)],
    )
    assert [(c.workload.variant, c.workload.component, c.arm_name) for c in found] == [
        ("L/16", "block", "plain"),
        ("L/16", "block", "bf16"),
        ("B/16", "model", "plain"),
        ("B/16", "model", "linear"),
        ("B/16", "model", "linear+bf16"),
    ]
    assert found[0].cache == "warm"


@pytest.mark.parametrize(
    ("cache", "components"),
    [("cold", {"block"}), ("warm", {"block"}), ("model", {"model", "block"})],
)
def test_the_runs_own_component_is_used(cache: str, components: set[str]) -> None:
    """A run of blocks alone compares its choice on blocks.

    Where parts are measured inside a model, a combination of its precision is, too.
    """
    block = make_comparison(
        "compile_blocks", factor="compile", baseline="eager", component="block", cache=cache
    )
    group = [arm("attention", "sdpa", 1.5), *rows(), control("attention")]
    found = wanted(make_plan(comparisons=(block,)), group)
    assert {each.workload.component for each in found} == components
    assert {each.cache for each in found} == {cache}


def test_a_row_of_the_only_chosen_level_needs_no_measurement() -> None:
    """bf16 alone is a row of the whole already, on which the decision rests."""
    assert wanted(make_plan(), [row for row in rows() if row.factor == "precision"]) == []


def test_the_plain_arm_as_choice_is_not_measured() -> None:
    """A chosen plain arm would be compared with itself."""
    assert wanted(make_plan(), [control("patcher")]) == []


def test_a_planned_choice_is_not_repeated() -> None:
    """What is in the plan is not repeated; what is new is measured."""
    plan = make_plan(comparisons=tuple(chosen()))
    assert chosen(plan) == []
    first = make_plan(comparisons=tuple(chosen()[:2]))
    assert [each.arm_name for each in chosen(first)] == ["linear+bf16"]


def test_a_run_chooses_by_its_plans_aim() -> None:
    """Objective and error bound come from the plan."""
    assert aim_of(make_plan()) == Aim()
    plan = make_plan(objective="memory", max_error=0.1)
    assert aim_of(plan) == Aim(objective="memory", max_error=0.1)
    assert [each.arm_name for each in chosen(make_plan(max_error=1e-4))] == ["plain", "linear"]


def test_affordable_pairs_fill_the_time_left() -> None:
    """Controls and candidates fit in pairs, in at most the run's number of passes."""
    four = [*chosen()[:2], *chosen(image_size=256)[:2]]
    enough = affordable(four, 10_000, 5.0, 3)
    assert enough is not None
    assert (list(enough.comparisons), enough.passes) == (four, 3)
    needed = next(s for s in range(10_000) if affordable(four[:2], s, 5.0, 3))
    first = affordable(four, needed, 5.0, 3)
    assert first is not None
    assert (list(first.comparisons), first.passes) == (four[:2], 1)
    assert affordable(four, needed - 1, 5.0, 3) is None
    assert affordable([], 1e9, 5.0, 3) is None


def journal_of(path: Path, *groups: tuple[list[Comparison], int]) -> list[Choice]:
    """Write choices to a journal and return them as read."""
    for group, passes in groups:
        plain = [asdict(each) for each in group]
        append_event(path, CHOICE, comparisons=plain, passes=passes)
    return choices_from(read_events(path)[0])


def test_choices_are_restored_from_the_journal(tmp_path: Path) -> None:
    """The plan has each choice once, and the most passes that one of them has."""
    events = journal_of(tmp_path / "j", (chosen(), 2), (chosen(), 1))
    plan = with_choices(make_plan(), events)
    assert list(plan.comparisons) == [*make_plan().comparisons, *chosen()]
    assert plan.choice_passes == 2
    assert plan.measured_first == make_plan().comparisons
    assert with_choices(make_plan(), []) == make_plan()


def test_parts_at_another_precision_have_no_passes_of_their_own(tmp_path: Path) -> None:
    """A choice of a level adds to the planned passes; combinations then come after these."""
    level = at_precision(make_comparison("sdpa"), "bf16")
    events = journal_of(tmp_path / "j", ([level], 3), (chosen(), 1))
    assert with_choices(make_plan(), events[:1]).choice_passes == 0
    plan = with_choices(make_plan(), events)
    assert plan.choice_passes == 1
    assert list(plan.comparisons) == [*make_plan().comparisons, level, *chosen()]


def test_an_invalid_choice_in_the_journal_is_refused(tmp_path: Path) -> None:
    """A choice edited by hand is refused even with a valid checksum."""
    path = tmp_path / "j"
    append_event(path, CHOICE, comparisons=[{"factor": 3}], passes=1)
    with pytest.raises(InputError, match="choice"):
        choices_from(read_events(path)[0])


def test_a_half_written_choice_is_made_again(tmp_path: Path) -> None:
    """A half-written choice from a killed process is ignored."""
    path = tmp_path / "j"
    path.write_bytes(b'{"schema": 4, "kind": "choi')
    assert with_choices(make_plan(), journal_of(path, (chosen(), 1))).choice_passes == 1


def test_choices_are_measured_last_in_their_own_passes() -> None:
    """The planned passes are unchanged, and the choice's passes follow."""
    first = make_comparison()
    plan = make_plan(comparisons=(first, *chosen()), choice_passes=2, precision=0.01)
    done = [make_sample(first, index) for index in range(3)]
    left = list(planned_left(plan, done))
    assert [(index, [c.arm_name for c in group]) for index, group in left] == [
        (0, ["plain", "linear", "linear+bf16"]),
        (1, ["plain", "linear", "linear+bf16"]),
    ]
    coming = next_pass(plan, done, {}, 30.0, 1.0)
    assert coming is not None
    assert coming.seconds == pytest.approx(0.1 * 60 / 2)


def test_choices_take_their_time_from_the_planned_passes() -> None:
    """The planned passes of a run that chooses are shorter."""
    first = make_comparison()
    plans = [make_plan(comparisons=(first,), choose=choose) for choose in (False, True)]
    alone, before = (next_pass(plan, [], {}, 0.0, 1.0) for plan in plans)
    assert alone is not None
    assert before is not None
    # Further passes, by what could still be gained, have a share of their own.
    assert before.seconds == pytest.approx((0.8 - 0.1) * alone.seconds)


def test_choice_cannot_be_selected_as_a_factor() -> None:
    """A choice follows from measurements and cannot be selected."""
    assert CHOICE not in {each.factor for each in comparisons(Selection())}
    with pytest.raises(InputError, match="unknown factor"):
        Selection(factors=(CHOICE,))


@pytest.mark.parametrize(
    ("whole", "part", "times"),
    [
        ("model", "attention", 24),
        ("model", "patcher", 1),
        ("block", "attention", 1),
        ("block", "patcher", 0),
    ],
)
def test_repeats_of_a_part_in_a_whole(whole: str, part: str, times: int) -> None:
    """The number of repeats follows from the model's configuration."""
    assert repeats("L/16", whole, part) == times
