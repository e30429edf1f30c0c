"""bench.runs.checks and the benchmark modules: discovery, and refusals before a run starts."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import suite
from bench.records.comparison import FACTORS, Comparison
from bench.records.errors import InputError
from bench.runs.checks import check_budget, check_objective, startup_s
from bench.suite.grid import Grid, Selection, comparisons, expand, grid_of, grids
from helpers.records import make_comparison, make_environment

MODULES = sorted(Path(suite.__path__[0]).glob("bench_*.py"))


def test_one_grid_for_each_factor() -> None:
    """Every factor has one benchmark module, and every module a factor."""
    assert sorted(grid.factor for grid in grids()) == sorted(FACTORS)
    assert len(MODULES) == len(FACTORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_short(path: Path) -> None:
    """A benchmark module has at most 50 lines: a grid and one call."""
    assert 12 <= len(path.read_text(encoding="utf-8").splitlines()) <= 50


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_measures_once(path: Path) -> None:
    """A benchmark module has a grid and one function that measures its comparison."""
    module: Any = import_module(f"bench.suite.{path.stem}")
    assert isinstance(grid_of(module), Grid)
    functions: list[Callable[..., None]]
    functions = [value for name, value in vars(module).items() if name.startswith("bench_")]
    assert len(functions) == 1
    measured: list[Comparison] = []
    functions[0](comparison := make_comparison(), measured.append)
    assert measured == [comparison]


def test_comparisons_are_those_of_all_grids() -> None:
    """A selection expands to the comparisons of every grid, in the grids' order."""
    selection = Selection(variants=("B/16", "L/32"), modes=("train",))
    expected = [each for grid in grids() for each in expand(grid, selection)]
    assert list(comparisons(selection)) == expected


def test_an_energy_objective_needs_a_meter() -> None:
    """An unmeasurable objective is refused with the reason; others need no meter."""
    blind = make_environment(no_energy={"cpu": "no RAPL"})
    for objective in ("latency", "throughput", "memory"):
        check_objective(objective, ("cpu",), blind)
    check_objective("energy", ("cuda",), blind)
    check_objective("energy", ("cpu",), make_environment())
    with pytest.raises(InputError, match=r"'energy' .* on cpu \(no RAPL\); choose another"):
        check_objective("energy", ("cuda", "cpu"), blind)


@pytest.mark.parametrize(("passes", "import_torch_s", "need_s"), [(3, 4.0, 33.5), (1, 1.0, 10.5)])
def test_budget(passes: int, import_torch_s: float, need_s: float) -> None:
    """The least budget is accepted; any smaller one is refused with the remedy."""
    environment = make_environment(import_torch_s=import_torch_s)
    check_budget(need_s, passes, environment)
    with pytest.raises(InputError, match="give a larger --budget or fewer --passes"):
        check_budget(need_s - 0.1, passes, environment)


@given(import_torch_s=st.floats(0.5, 60))
def test_starting_takes_longer_than_importing_torch(import_torch_s: float) -> None:
    """The estimated start of a pass exceeds the import time of torch."""
    assert startup_s(make_environment(import_torch_s=import_torch_s)) > import_torch_s
