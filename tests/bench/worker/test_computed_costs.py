"""bench.worker.computed_costs: each value is computed once, and again where it may differ."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.costs.flops import counted_flops
from bench.files.kept_costs import KeptCosts
from bench.records.arm_costs import Case, ComputedCosts, Graphs
from bench.records.comparison import Arm
from bench.worker import computed_costs
from bench.worker.computed_costs import CaseCosts, depends_on, open_kept_costs
from helpers.records import make_workload
from helpers.tasks import Attempts

pytestmark = pytest.mark.usefixtures("barely_trained")
ROOT = Path(__file__).parents[3]
CASE = Case(
    workload=make_workload(component="block", variant="B/32", patch_size=32, image_size=64),
    arm=Arm(compile="compile_blocks"),
)
COSTS = ComputedCosts(
    counted_flop=counted_flops(CASE.arm, CASE.workload),
    graphs=Graphs(breaks=0, recompiles=1),
    top1_agreement=1.0,
)


def values(costs: CaseCosts) -> list[Any]:
    """Ask for the values of a compiled arm that can be computed."""
    return [costs.flops_error(), costs.graphs(), costs.top1_agreement()]


def test_the_next_run_computes_nothing(tmp_path: Path) -> None:
    """The first run computes each value once and keeps it; the next one has the same values."""
    attempts, later = Attempts(), Attempts()
    first = CaseCosts(CASE, KeptCosts(tmp_path, {}), attempts)
    expected = [None, COSTS.graphs, 1.0]
    assert values(first) == values(first) == expected
    assert attempts.names == ["FLOPs", "recompiles", "top-1"]
    first.keep()
    second = CaseCosts(CASE, KeptCosts(tmp_path, {}), later)
    assert values(second) == expected
    assert (later.names, second.costs) == ([], COSTS)


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    """A value that could not be computed is missing, and the next run tries."""
    first = CaseCosts(CASE, KeptCosts(tmp_path, {}), Attempts(fails=True))
    assert values(first) == [None, None, None]
    first.keep()
    assert list(tmp_path.iterdir()) == []
    second = CaseCosts(CASE, KeptCosts(tmp_path, {}), Attempts())
    assert values(second) == [None, COSTS.graphs, 1.0]


def test_values_without_computation(tmp_path: Path) -> None:
    """What is kept or follows from sizes is known at once; the rest stays missing."""
    kept, attempts = KeptCosts(tmp_path, {}), Attempts()
    costs = CaseCosts(CASE, kept, attempts)
    sizes = costs.by_arithmetic()
    missing = dict.fromkeys(("predicted", "graphs", "error", "top1_agreement"))
    assert costs.at_once() == {**missing, **sizes}
    kept.keep(CASE, COSTS)
    assert CaseCosts(CASE, kept, attempts).at_once() == {
        **missing,
        **sizes,
        "graphs": COSTS.graphs,
        "top1_agreement": 1.0,
    }
    assert attempts.names == ["FLOPs", "moved bytes", "parameters"] * 3
    assert sizes["flop"] == COSTS.counted_flop
    assert sizes["parameters"] > 7e6


def test_a_kept_count_is_checked_against_arithmetic(tmp_path: Path) -> None:
    """The line on wrong FLOPs comes from the kept count, too."""
    kept = KeptCosts(tmp_path, {})
    kept.keep(CASE, ComputedCosts(counted_flop=12))
    costs = CaseCosts(CASE, kept, Attempts())
    said = costs.flops_error()
    assert said is not None
    assert said.endswith(" by arithmetic, 12 by FlopCounterMode")
    assert costs.at_once()["error"] == said


def test_an_eager_arm_has_no_graphs(tmp_path: Path) -> None:
    """Nothing is captured for an arm that does not compile."""
    attempts = Attempts()
    case = Case(workload=CASE.workload, arm=Arm())
    assert CaseCosts(case, KeptCosts(tmp_path, {}), attempts).graphs() is None
    assert attempts.names == []


def test_threads_and_variables_make_another_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes the kernels of a processor changes the state."""
    before, threads = depends_on(), torch.get_num_threads()
    assert before == depends_on()
    torch.set_num_threads(threads + 1)
    try:
        assert depends_on() != before
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert depends_on() != before
    assert before["torch"] == torch.__version__


def test_the_code_is_part_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed line of the model or of a cost makes another state."""
    before = depends_on()
    for name in ("costs", "vitcore"):
        (tmp_path / name).mkdir()
    (tmp_path / "costs" / "flops.py").write_text("a = 1")
    monkeypatch.setattr(computed_costs, "_BENCH", tmp_path)
    monkeypatch.setattr(computed_costs, "_VITCORE", tmp_path / "vitcore")
    changed = depends_on()
    (tmp_path / "vitcore" / "model.py").write_text("a = 1")
    codes = {before["code"], changed["code"], depends_on()["code"]}
    assert len(codes) == 3
    assert {**before, "code": ""} == {**changed, "code": ""}


def imported(module: Path) -> Iterator[Path]:
    """Yield the files of bench and vitcore that a file imports, where it imports them."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            path = ROOT / node.module.replace(".", "/")
            files = [path / f"{each.name}.py" for each in node.names]
            yield from (each for each in (path.with_suffix(".py"), *files) if each.exists())


def test_the_state_has_all_code_that_computes() -> None:
    """The code beyond the folders of the state describes machines, or reads and writes files."""
    waiting = [ROOT / "bench" / "worker" / "computed_costs.py"]
    waiting = [each for each in imported(waiting[0]) if each.parent.name == "costs"]
    found: set[Path] = set()
    while waiting:
        if (file := waiting.pop()) not in found:
            found.add(file)
            waiting += imported(file)
    folders = {each.parent.relative_to(ROOT).as_posix() for each in found}
    inside = {f"bench/{name}" for name in computed_costs._FOLDERS} | {"vitcore"}
    assert inside <= folders
    assert folders - inside <= {"bench/files", "bench/machine", "bench/timing", "bench/usercode"}


def test_open_costs_are_those_of_this_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file lies where the variable says, for the state of this process."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    open_kept_costs().keep(CASE, COSTS)
    assert KeptCosts(tmp_path, depends_on()).of(CASE) == COSTS
    monkeypatch.setenv("VITBENCH_CACHE", "off")
    assert open_kept_costs().of(CASE) == ComputedCosts()
