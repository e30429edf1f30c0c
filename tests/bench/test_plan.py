"""bench.runner.plan and the benchmark modules: what is found, what is refused before it starts."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench
from bench.cases import Grid, Selection, expand
from bench.record import FACTORS, Comparison, InputError
from bench.runner.plan import (
    REPORT_S,
    check_budget,
    check_devices,
    comparisons,
    grids,
    pass_deadline,
)
from makers import make_comparison, make_environment

MODULES = sorted(Path(bench.__path__[0]).glob("bench_*.py"))


def test_one_grid_for_each_factor() -> None:
    """Every factor has one benchmark module, and each is found."""
    assert sorted(grid.factor for grid in grids()) == sorted(FACTORS)
    assert len(MODULES) == len(FACTORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_is_short(path: Path) -> None:
    """A benchmark module has 20 to 50 lines: a grid and one call."""
    assert 20 <= len(path.read_text(encoding="utf-8").splitlines()) <= 50


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_measures_once(path: Path) -> None:
    """A benchmark module has a GRID and one function, which measures the comparison it is given."""
    module: Any = import_module(f"bench.{path.stem}")
    assert isinstance(module.GRID, Grid)
    functions: list[Callable[..., None]]
    functions = [value for name, value in vars(module).items() if name.startswith("bench_")]
    assert len(functions) == 1
    measured: list[Comparison] = []
    functions[0](comparison := make_comparison(), measured.append)
    assert measured == [comparison]


def test_comparisons_are_those_of_all_grids() -> None:
    """A selection's comparisons are every grid's, one grid after the other."""
    selection = Selection(variants=("B/16", "L/32"), modes=("train",))
    expected = [each for grid in grids() for each in expand(grid, selection)]
    assert list(comparisons(selection)) == expected


@pytest.mark.parametrize("gpus", [(), ("H200",)])
def test_devices_that_are_here(gpus: tuple[str, ...]) -> None:
    """What the machine has passes the check."""
    environment = make_environment(gpus=gpus)
    check_devices(environment.devices, environment)


def test_device_that_is_not_here() -> None:
    """CUDA without a GPU is refused: what was asked for, what torch looked, what is here."""
    with pytest.raises(InputError, match=r"'cuda' asked for, but torch 2\.9\.0 .*; found: cpu$"):
        check_devices(("cpu", "cuda"), make_environment())


@pytest.mark.parametrize(("passes", "import_torch_s", "need_s"), [(3, 4.0, 33.5), (1, 1.0, 10.5)])
def test_budget(passes: int, import_torch_s: float, need_s: float) -> None:
    """The least budget starts every pass and measures something in each; less is refused."""
    environment = make_environment(import_torch_s=import_torch_s)
    check_budget(need_s, passes, environment)
    with pytest.raises(InputError, match="give a larger --budget or fewer --passes"):
        check_budget(need_s - 0.1, passes, environment)


@settings(deadline=None)
@given(start_s=st.floats(0, 2e9), budget_s=st.floats(1, 1e5), passes=st.integers(1, 9))
def test_pass_deadlines(start_s: float, budget_s: float, passes: int) -> None:
    """Passes get equal parts of the budget, less what tables and plots take at the end."""
    ends = [pass_deadline(start_s, budget_s, index, passes) for index in range(passes)]
    parts = [end - start for start, end in zip([start_s, *ends], ends, strict=False)]
    assert parts == pytest.approx([(budget_s - REPORT_S) / passes] * passes, abs=1e-5)
    assert ends[-1] == pytest.approx(start_s + budget_s - REPORT_S)
