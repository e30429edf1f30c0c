"""bench.suite.placebos: which arms of known cost stand for which parts, and their true speed-up."""

from itertools import product

import pytest
from click.testing import CliRunner

from bench.__main__ import cli
from bench.records.comparison import FACTORS, PLACEBO, Arm, Comparison
from bench.suite.grid import LEVELS, grids
from bench.suite.placebos import (
    PLACEBOS,
    SLOWER,
    WORKLOADS,
    comparisons_of,
    extra_features,
    true_speedup,
    workload_of,
)
from bench.suite.work import config_for
from vitcore import costs
from vitcore.config import ATTENTIONS, PATCHERS, VARIANTS

NAMES = [*SLOWER, *(name for placebos in PLACEBOS.values() for name in placebos)]


def of(variant: str, batch_size: int = 1) -> list[Comparison]:
    """Return the comparisons of a variant's model."""
    return list(comparisons_of(workload_of(variant, batch_size, "cpu", 224)))


def test_names() -> None:
    """The placebos of each part, and the slower attentions."""
    assert PLACEBOS == {
        "patcher": ("patcher_functions", "patcher_wrapped"),
        "attention": ("attention_functions", "attention_rows", "attention_wrapped"),
        "block": ("block_functions", "block_wrapped"),
    }
    assert SLOWER == ("attention_slower_before", "attention_slower_after")


def test_all_arms_of_a_model_take_turns_in_its_calls() -> None:
    """They are parts measured inside a model, in one group, and none shares its arm with others."""
    found = of("B/16")
    assert all(each.is_inside and each.factor == PLACEBO for each in found)
    assert len({each.group for each in found}) == 1
    candidates = [each for each in found if not each.is_control]
    assert len({str(each.arm) for each in candidates}) == len(candidates) == len(NAMES)
    assert {each.arm_name for each in candidates} == set(NAMES)
    for component in PLACEBOS:
        own = [each for each in found if each.workload.component == component]
        assert [each.is_control for each in own] == [True, *[False] * (len(own) - 1)]
        assert {each.stratum for each in own} == {component}


def test_at_least_a_hundred_placebos() -> None:
    """All workloads together have over a hundred placebos and thirty slower arms, all distinct."""
    found = [each for variant, size in WORKLOADS for each in of(variant, size)]
    assert len({each.key for each in found}) == len(found)
    assert sum(each.arm.placebo in SLOWER for each in found) >= 30
    assert sum(not each.is_control and each.arm.placebo not in SLOWER for each in found) >= 100


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_truth_is_the_ratio_of_products(variant: str) -> None:
    """A slower attention has the products of the usual one, and those of its further features."""
    for each in of(variant):
        own = costs.attention(config_for(each.workload)).macs
        config = config_for(each.workload)
        extra = costs.linear(config.tokens, config.width, extra_features(config)).macs
        is_slower = each.arm.placebo in SLOWER
        assert true_speedup(each) == pytest.approx(own / (own + extra * is_slower), rel=1e-12)
        if is_slower:
            assert 1 / true_speedup(each) == pytest.approx(1.05, abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_command_takes_a_placebo(name: str) -> None:
    """They are no level of a factor, no part of vitcore, and in no help text."""
    assert PLACEBO not in FACTORS
    assert name not in {level for levels in LEVELS.values() for level in levels}
    assert name not in {*ATTENTIONS, *PATCHERS}
    assert all(grid.factor != PLACEBO for grid in grids())
    for command, option in product(("run", "memory", "profile"), ("--help",)):
        text = CliRunner().invoke(cli, [command, option]).stdout.lower()
        assert name not in text
        assert PLACEBO not in text


def test_usual_arms_are_no_placebos() -> None:
    """An arm is a placebo only where it says so, which its choice does not name."""
    assert Arm().placebo == "none"
    assert Arm(placebo=NAMES[0]).choice == Arm().choice
