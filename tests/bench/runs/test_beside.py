"""bench.runs.beside: which runs can be compared, and what ``report --beside`` prints of them."""

import json
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.analysis.aim import Aim
from bench.analysis.run_agreement import SAME
from bench.records.comparison import Comparison
from bench.records.errors import InputError
from bench.runs.beside import side_by_side
from bench.runs.state import RunState
from helpers.records import make_comparison, make_environment, make_plan, make_sample

KEPT = Path(__file__).parents[3] / "results/reference/amd-epyc-zen4-2-cores"
LATER = "2026-01-03T03:04:05+00:00"
ALL_SAME = re.compile(r"Choices: (\d+) of \1 agree \(\1 same\)\.")
ATTENTIONS = tuple(make_comparison(arm) for arm in ("mha", "manual", "sdpa"))


def state(
    name: str,
    speedup: float = 1.25,
    comparisons: tuple[Comparison, ...] = ATTENTIONS,
    plan: dict[str, Any] | None = None,
    **environment: Any,
) -> RunState:
    """Build a run of three passes in which every candidate has about this speed-up."""
    changes = {"started": f"2026-01-02T03:04:05+00:00 {name}", **(plan or {})}
    found = RunState(
        Path(name),
        make_plan(comparisons=comparisons, **changes),
        make_environment(**environment),
    )
    for each in comparisons:
        ratio = 1.0 if each.is_control else speedup
        for index in range(3):
            arm_s = tuple(0.01 / ratio * (1 + 1e-3 * (index + call % 3)) for call in range(12))
            sample = make_sample(each, index, baseline_s=(0.01,) * 12, arm_s=arm_s)
            found.add({"kind": "sample", "time_s": 0.0, **asdict(sample)})
    return found


def test_runs_of_one_machine_are_compared() -> None:
    """Every two of three runs have their agreement, and each its label."""
    found = side_by_side([state("a"), state("b"), state("c", 0.8)], Aim())
    assert list(found.pairs) == [(0, 1), (0, 2), (1, 2)]
    assert [each.folder for each in found.runs] == ["a", "b", "c"]
    assert {each.commit for each in found.runs} == {"0123456789abcdef"}
    assert found.warnings == ()
    alike, *others = found.pairs.values()
    assert {each.outcome for each in alike.choices} == {SAME}
    assert [each.held for each in alike.coverages] == [2, 2]
    for each in others:
        assert len(each.opposite) == 2
        assert [one.held for one in each.coverages] == [0, 0]


def test_the_degrees_of_freedom_are_those_of_the_runs() -> None:
    """Intervals of three passes are wider than normal ones, and hold more than 83 %."""
    found = side_by_side([state("a"), state("b")], Aim()).pairs[0, 1]
    assert all(each.expected > 0.84 * each.rows for each in found.coverages)


def test_other_versions_are_a_warning() -> None:
    """Another torch, commit or delta can make choices differ, which is said."""
    other = state("b", torch="2.15.0", plan={"delta": 0.05}, commit="f" * 40)
    found = side_by_side([state("a"), other, state("c")], Aim())
    assert found.delta == 0.02
    (line,) = found.warnings
    assert line == (
        "run 1 and run 2 differ in torch (2.9.0 against 2.15.0), commit (0123456789 against "
        "ffffffffff), delta (0.02 against 0.05)"
    )


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (state("b", cpu="Intel Xeon"), "differs in CPU (AMD EPYC 7B13 against Intel Xeon); exp"),
        (state("b", threads=1), "b was measured on another machine than a, which differs in num"),
        (state("b", cpu_flags=("avx2", "amx")), "CPU instructions (avx2 against avx2, amx)"),
        (
            state("b", plan={"started": "2026-01-02T03:04:05+00:00 a"}),
            "a and b are one run, started at 2026-01-02T03:04:05+00:00 a; expected another run",
        ),
        (
            state("b", comparisons=(make_comparison("mha", batch_size=8),)),
            "a and b measured nothing in common; expected runs with some of the same comparisons",
        ),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(other: RunState, says: str) -> None:
    """The line has both folders, the difference and what is expected."""
    with pytest.raises(InputError) as raised:
        side_by_side([state("a"), other], Aim())
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture(name="again")
def _again(tmp_path: Path) -> Path:
    """Copy the kept run as if it had been measured again with the same result."""
    folder = tmp_path / "again"
    folder.mkdir()
    for name in ("plan.json", "environment.json", "journal.jsonl"):
        shutil.copy(KEPT / name, folder)
    changed(folder / "plan.json", started=LATER)
    return folder


def changed(path: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """Run ``vitbench report``; return exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["vitbench", "report", *words])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, *capsys.readouterr()


def test_report_prints_the_agreement_and_writes_nothing(
    again: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run measured again with the same numbers agrees everywhere."""
    before = sorted(again.iterdir())
    code, out, err = printed(monkeypatch, capsys, str(KEPT), "--beside", str(again))
    assert (code, err) == (0, "")
    assert ALL_SAME.search(out)
    assert re.search(r"^Verdicts: 0 of \d+ contradict each other\.$", out, re.MULTILINE)
    assert sorted(again.iterdir()) == before


@pytest.mark.parametrize("kind", ["--markdown", "--json"])
def test_report_prints_markdown_and_json(
    kind: str, again: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other formats have the same counts."""
    code, out, _ = printed(monkeypatch, capsys, str(KEPT), "--beside", str(again), kind)
    assert code == 0
    if kind == "--json":
        (pair,) = json.loads(out)["pairs"]
        assert pair["agreed"] == len(pair["choices"]) > 0
    else:
        assert ALL_SAME.search(out)


def test_another_objective_is_that_of_all_runs(
    again: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs are compared by one criterion, whatever each was made for."""
    changed(again / "plan.json", objective="memory")
    words = (str(again), "--beside", str(KEPT), "--json", "--objective", "latency")
    by_latency = json.loads(printed(monkeypatch, capsys, *words)[1])
    by_memory = json.loads(printed(monkeypatch, capsys, *words[:-2])[1])
    choices = [
        [each["choices"] for each in found["pairs"][0]["choices"]]
        for found in (by_latency, by_memory)
    ]
    assert all(one == two for found in choices for one, two in found)
    assert choices[0] != choices[1]


def test_another_machine_is_one_line_and_exit_code_2(
    again: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed for runs that cannot be compared."""
    changed(again / "environment.json", cpu_flags=["avx2"])
    code, out, err = printed(monkeypatch, capsys, str(KEPT), "--beside", str(again))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"vitbench: {again} was measured on another machine than {KEPT}")
