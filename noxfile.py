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
# Tests start Python some hundred times, and each time it imports torch: half of that is compiling,
# where the installer leaves no bytecode and the environment forbids Python to write any.
BYTECODE = {"UV_COMPILE_BYTECODE": "1", "PYTHONDONTWRITEBYTECODE": None}
# Two workers share the tests; one thread for each of them, so that they do not wait for each other.
# Real runs count the threads of torch, as they do in any other environment.
WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "20")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
# Operators take other memory inside themselves on CPUs with other instructions: newer ones pretend.
INSTRUCTIONS: dict[str, dict[str, str]] = {
    "AVX2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "AVX-512 without AMX": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}
STYLE = (("ruff", "check"), ("ruff", "format", "--check"), ("lint-imports", "--no-logo"))
PREDICTIONS = (
    "tests/bench/costs/test_decomposed_ops.py",
    "tests/bench/costs/test_memory_prediction.py::test_prediction_of_a_block",
)
REFERENCE = Path("results/reference")
# What a kept run has beside its journal.
RECORDS = ("plan", "environment")
# The commands between these lines of results/README.md compare the kept runs of each machine.
BESIDE = re.compile(
    r"(?<=^<!-- runs side by side -->\n).*?(?=^<!-- end of runs -->$)", re.MULTILINE | re.DOTALL
)
SHOWN = re.compile(r"^<!-- (vitbench .*?) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


def group(name: str) -> list[str]:
    """Requirements of one dependency group."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


def install(session: nox.Session, *packages: str) -> None:
    """Install the project and packages with their bytecode; what the session runs may write it."""
    session.env.update(BYTECODE)
    session.install("-e", ".", *packages)


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run pytest; of the same options the last one counts, and so those from the command line."""
    words = ("python", "-m", "pytest", *WORKERS, *arguments, *session.posargs)
    session.run(*words, env=ONE_THREAD)


def run_predictions(session: nox.Session) -> None:
    """Run what depends on the CPU's instructions under each set of them."""
    for name, environment in INSTRUCTIONS.items():
        session.log(f"as on a CPU with {name}")
        words = ("python", "-m", "pytest", *WORKERS, *PREDICTIONS, *session.posargs)
        session.run(*words, env={**ONE_THREAD, **environment})


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: ``nox -s bench``, or ``nox -s bench -- --quick`` for B/16 in two minutes."""
    session.install("-e", ".[digits]")
    session.run("python", "-m", "bench", "run", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests but the long ones; arguments go to pytest."""
    install(session, *group("tests"))
    run_tests(session)


@nox.session
def faults(session: nox.Session) -> None:
    """Run the long tests: real runs, killed, hung, interrupted and resumed."""
    install(session, *group("tests"))
    run_tests(session, "-m", "long and not endurance")


@nox.session
def endurance(session: nox.Session) -> None:
    """Run the tests that repeat others many times, and more examples of each; for the night."""
    install(session, *group("tests"))
    run_tests(session, "-m", "endurance")
    run_tests(session, "--hypothesis-profile", "default")


@nox.session
def instructions(session: nox.Session) -> None:
    """Run the tests of predicted memory with the instruction sets of older CPUs."""
    install(session, *group("tests"))
    run_predictions(session)


@nox.session
def checks(session: nox.Session) -> None:
    """Run lint, types, every test but endurance, and predictions in one environment, as CI does."""
    install(session, *group("lint"), *group("types"))
    for words in (*STYLE, ("mypy",)):
        session.run(*words)
    run_tests(session, "-m", "not endurance")
    run_predictions(session)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests with the lowest torch that the project supports."""
    install(session, f"torch=={LOWEST_TORCH}", *group("tests"))
    run_tests(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and which layer imports which."""
    session.install(*group("lint"))
    for words in STYLE:
        session.run(*words)


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
    to results/reference/my-machine, under that name and without the host's. A second run of that
    machine, kept as my-machine-2, is compared with the first in results/README.md.
    """
    session.install("-e", ".", *group("tests"))
    if session.posargs:
        run, name = session.posargs
        kept = REFERENCE / name
        _keep(Path(run), kept)
        session.run("vitbench", "report", str(kept), silent=True)

    def again(found: re.Match[str]) -> str:
        said = session.run(*shlex.split(found[1]), silent=True)
        return f"<!-- {found[1]} -->\n{str(said).strip()}\n<!-- end -->"

    index = Path("results/README.md")
    index.write_text(BESIDE.sub(_beside(), index.read_text("utf-8")), "utf-8")
    for page in (path for pattern in PAGES for path in sorted(Path().glob(pattern))):
        page.write_text(SHOWN.sub(again, page.read_text("utf-8")), "utf-8")
    columns = "tests/bench/records/test_row.py"
    session.run("python", "-m", "pytest", "-q", columns, env={"VITBENCH_UPDATE_GOLDEN": "1"})


def _beside() -> str:
    """Return a command for each machine with several kept runs: NAME, NAME-2, … NAME-9."""
    lines = []
    for run in sorted(path.parent for path in REFERENCE.glob("*/journal.jsonl")):
        if others := sorted(REFERENCE.glob(f"{run.name}-[2-9]")):
            beside = " ".join(f"--beside {each}" for each in others)
            lines.append(f"<!-- vitbench report {run} {beside} --markdown -->\n<!-- end -->\n\n")
    return "".join(lines) or "(One run of each machine is kept at present.)\n\n"


def _keep(run: Path, kept: Path) -> None:
    """Copy what a run's folder is made from; names and places of its machine stay behind."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    shutil.copy(run / "journal.jsonl", kept)
    records = {name: json.loads((run / f"{name}.json").read_text("utf-8")) for name in RECORDS}
    records["plan"] |= {"run_id": kept.name, "command": _without_out(records["plan"]["command"])}
    records["environment"] |= {"host": "a machine"}
    for name, record in records.items():
        (kept / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _without_out(command: str) -> str:
    """Return a run's command without the folder that it was written to."""
    return re.sub(r" --out[ =]\S+", "", command)


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
