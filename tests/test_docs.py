"""README and docs: valid commands, current output, runnable code, and existing links and names."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import bench
from bench.__main__ import cli
from bench.suite.grid import LEVELS, Selection
from bench.usercode.spec import read_arm
from helpers.manual import (
    PAGES,
    ROOT,
    SHOWN,
    anchors,
    blocks,
    commands,
    inline,
    nox_sessions,
    option_names,
    parsed,
    steps,
)

MOST_LINES = 150
# Options of pytest, pytest-benchmark and bench/conftest.py that the pages name.
OTHER_OPTIONS = {"--seconds", "--benchmark-autosave", "--benchmark-compare", "--help"}


def check_names(command: str, values: dict[str, Any]) -> None:
    """Check names that only the command itself validates: grid, levels and vitcore parts."""
    if command == "run":
        given = ("variants", "factors", "modes", "batch_sizes", "component", "cache")
        devices = values["devices"] or ("cpu",)
        Selection(devices=devices, **{name: values[name] for name in given})
    if command in ("memory", "profile"):
        for factor in LEVELS.keys() & values.keys():
            assert values[factor] in LEVELS[factor]
    if command == "compare":
        for arm in (values["baseline"], *values["candidates"]):
            if arm.startswith("vitcore:"):
                read_arm(arm)


@pytest.mark.parametrize("line", commands())
def test_every_command_parses(line: str) -> None:
    """Every command line of the docs parses; programs without a check here fail."""
    program, *words = shlex.split(line, comments=True)
    if program == "vitbench":
        check_names(*parsed(words))
    elif program == "nox":
        named, _, passed = line.partition(" -- ")
        option, *sessions = shlex.split(named, comments=True)[1:]
        assert option == "-s"
        assert set(sessions) <= nox_sessions()
        if sessions == ["bench"]:
            check_names(*parsed(["run", *shlex.split(passed)]))
    elif program == "python":
        assert words == ["-m", "pip", "install", "nox[uv]"]
    else:
        assert (program, words[0]) == ("pytest", "bench"), "tested below"


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_parse(page: str) -> None:
    """Inline commands may omit arguments, but every option exists."""
    for code in inline(page):
        if code.startswith("vitbench "):
            try:
                parsed(shlex.split(code)[1:])
            except (click.MissingParameter, click.BadOptionUsage):
                continue
        if code.startswith("nox -s "):
            assert set(code.partition(" -- ")[0].split()[2:]) <= nox_sessions()


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    """Inline options belong to a vitbench command or to OTHER_OPTIONS."""
    known = {name for command in cli.commands.values() for name in option_names(command)}
    named = {word for code in inline(page) for word in re.findall(r"(?<![\w-])--[a-z-]+", code)}
    assert named - known - OTHER_OPTIONS == set()


@pytest.mark.slow
def test_pytest_takes_the_options() -> None:
    """The benchmark modules are collected with the options of all documented pytest commands."""
    lines = [shlex.split(c.values[0])[1:] for c in commands() if c.values[0].startswith("pytest")]
    assert len(lines) > 1
    words = dict.fromkeys(word for line in lines for word in line)
    command = [sys.executable, "-m", "pytest", *words, "--collect-only", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "bench_patcher[" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("line", [c for c in commands() if "vitbench s" in c.values[0]])
def test_cheap_commands_run(line: str) -> None:
    """The documented shapes, summary and simulation commands run."""
    words = shlex.split(line, comments=True)[1:]
    words = ["1" if word == "100" else word for word in words]
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0


def test_every_command_is_documented() -> None:
    """The manual has a table row and an example for every command."""
    text = PAGES["docs/commands.md"]
    for name in cli.commands:
        assert re.search(rf"^\| \[`{name}\b", text, re.MULTILINE), name
        assert re.search(rf"^\$ vitbench {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("command", "block"),
    [(found[1], found[0]) for text in PAGES.values() for found in SHOWN.finditer(text)],
)
def test_shown_output_is_current(command: str, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refresh the shown output with: nox -s readme."""
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(cli, shlex.split(command)[1:])
    assert done.exit_code == 0
    assert block.splitlines()[1:-1] == done.stdout.strip().splitlines()


def test_kept_runs_of_one_machine_are_shown_side_by_side() -> None:
    """Every run kept as NAME-2 to NAME-9 is compared with NAME: refresh with nox -s readme."""
    shown = [found[1] for found in SHOWN.finditer(PAGES["results/README.md"])]
    beside = {word for command in shown for word in shlex.split(command) if "--beside" in command}
    folders = sorted((ROOT / "results/reference").glob("*-[2-9]"))
    first = [path.with_name(path.name[:-2]) for path in folders]
    kept = {path for pair in zip(first, folders, strict=True) if pair[0].exists() for path in pair}
    assert {str(path.relative_to(ROOT)) for path in kept} <= beside


def test_the_readme_shows_the_decision_in_few_columns() -> None:
    """The README is short, and its decision table has at most seven columns."""
    text = PAGES["README.md"]
    assert len(text.splitlines()) <= MOST_LINES
    (found,) = SHOWN.finditer(text)
    (header,) = [line for line in found[0].splitlines() if line.startswith("| workload ")]
    assert 5 <= len(header.strip("|").split("|")) <= 7
    assert any("--factors" in found[1] for found in SHOWN.finditer(PAGES["results/README.md"]))


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manual's Python code runs with two modules in place of the reader's."""
    from torch import nn

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # Locks of other runs are elsewhere.
    monkeypatch.chdir(ROOT)
    names = {"old": nn.Linear(768, 8), "new": nn.Linear(768, 8)}
    exec(code.replace("budget_s=10", "budget_s=0.2"), names)  # noqa: S102 (code of the manual)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_calls_match_the_signature(code: str) -> None:
    """The manual's calls of bench.compare match its signature."""
    for each in ast.walk(ast.parse(code)):
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "bench.compare":
            named = {one.arg: None for one in each.keywords if one.arg}
            inspect.signature(bench.compare).bind(*each.args, **named)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_documented_workflows_call_ours(text: str) -> None:
    """The documented workflows pass existing inputs and valid command lines."""
    for job in yaml.safe_load(text)["jobs"].values():
        path, _, _ = job["uses"].partition("@")
        ours = yaml.safe_load((ROOT / path.removeprefix("OWNER/vitbench/")).read_text("utf-8"))
        # YAML 1.1 reads the key "on" as true.
        assert set(job["with"]) <= set(ours[True]["workflow_call"]["inputs"])
        if "targets" in job["with"]:
            parsed(["regress", "--base", "main", *shlex.split(job["with"]["targets"])])
        if "measure" in job["with"]:
            check_names(*parsed(shlex.split(job["with"]["measure"])))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_has_a_target(page: str) -> None:
    """Every relative link leads to an existing file and heading."""
    links = re.findall(r"\]\(([^)\s]+)\)", PAGES[page])
    assert links
    for link in links:
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_the_text_exists(page: str) -> None:
    """Paths in the text exist relative to the root."""
    paths = re.compile(r"(bench|vitcore|tests|docs|\.github|\.ci)/[\w./-]*")
    named = [code for code in inline(page) if paths.fullmatch(code)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_name_in_the_guide_exists() -> None:
    """The names in each step of ``adding-an-arm.md`` exist in that step's files."""
    checked = 0
    for step in steps(PAGES["docs/adding-an-arm.md"]):
        spans = re.findall(r"`([^`]+)`", step)
        files = [ROOT / span for span in spans if span.endswith(".py") and "<" not in span]
        code = "\n".join(path.read_text("utf-8") for path in files)
        words = (span.removesuffix("()") for span in spans)
        named = {word for word in words if re.fullmatch(r"[A-Za-z_]\w+", word)}
        if files:
            checked += len(named)
            assert {word for word in named if not re.search(rf"\b{word}\b", code)} == set(), step
    assert checked > 20


def test_the_layout_matches_the_contracts() -> None:
    """The table of folders has the order of the import layers."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in settings["contracts"] if each["type"] == "layers"]
    folders = [name for name in layers if (ROOT / "bench" / name).is_dir()]
    table = re.findall(r"^\| `bench/(\w+)/` \|", PAGES["CONTRIBUTING.md"], re.MULTILINE)
    assert table == folders
