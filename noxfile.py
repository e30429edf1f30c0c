"""Everything that people and CI do with the project. ``nox -l`` lists the sessions."""

import json
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
LOWEST_TORCH = "2.9.*"
# Pages that show the output of commands, each below the command that prints it.
PAGES = ("README.md", "results/README.md", "docs/*.md")
SHOWN = re.compile(r"^<!-- (vitbench .*?) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


def group(name: str) -> list[str]:
    """Requirements of one dependency group."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: ``nox -s bench``, or ``nox -s bench -- --quick`` for B/16 in two minutes."""
    session.install("-e", ".[digits]")
    session.run("python", "-m", "bench", "run", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest."""
    session.install("-e", ".", *group("tests"))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Run the tests that take long: real runs that are killed, hung and interrupted."""
    session.install("-e", ".", *group("tests"))
    session.run("python", "-m", "pytest", "-m", "long", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests with the lowest torch that the project supports."""
    session.install("-e", ".", f"torch=={LOWEST_TORCH}", *group("tests"))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and which layer imports which."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Check the type hints, tests included."""
    session.install("-e", ".", *group("types"))
    session.run("mypy", *session.posargs)


@nox.session
def overhead(session: nox.Session) -> None:
    """Show what the suite itself costs: microseconds a round, seconds to start."""
    session.install("-e", ".")
    session.run("python", "-m", "pytest", "tests/overhead.py", "-s", *session.posargs)


@nox.session
def readme(session: nox.Session) -> None:
    """Refresh the output shown in README.md, results and docs; ``-- RUN NAME`` keeps a run first.

    ``nox -s readme -- results/20261123-062052 my-machine`` copies what a run's folder is made from
    to results/reference/my-machine, under that name and without the host's.
    """
    session.install("-e", ".", *group("tests"))
    if session.posargs:
        run, name = session.posargs
        kept = Path("results/reference") / name
        _keep(Path(run), kept)
        session.run("vitbench", "report", str(kept), silent=True)

    def again(found: re.Match[str]) -> str:
        said = session.run(*shlex.split(found[1]), silent=True)
        return f"<!-- {found[1]} -->\n{str(said).strip()}\n<!-- end -->"

    for page in (path for pattern in PAGES for path in sorted(Path().glob(pattern))):
        page.write_text(SHOWN.sub(again, page.read_text("utf-8")), "utf-8")
    columns = "tests/bench/records/test_row.py"
    session.run("python", "-m", "pytest", "-q", columns, env={"VITBENCH_UPDATE_GOLDEN": "1"})


def _keep(run: Path, kept: Path) -> None:
    """Copy what a run's folder is made from; names and places of its machine stay behind."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    shutil.copy(run / "journal.jsonl", kept)
    for name, key, value in (("plan", "run_id", kept.name), ("environment", "host", "a machine")):
        record = json.loads((run / f"{name}.json").read_text("utf-8")) | {key: value}
        (kept / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it into an empty folder and measure there."""
    session.install("build[uv]")
    dist = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--installer", "uv", "--outdir", str(dist))
    (built,) = dist.glob("*.whl")
    session.install(str(built))
    session.install("--force-reinstall", "--no-deps", str(built))
    with tempfile.TemporaryDirectory() as empty, session.chdir(empty):
        session.run("vitbench", "run", "--quick", *session.posargs)
        code = "from pathlib import Path; next(Path().glob('results/*/results.csv'))"
        session.run("python", "-c", code)
