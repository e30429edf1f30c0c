"""The order of the tests, and a finished run that tests read or copy."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from helpers.processes import SMALLEST, command, ended, environment, started
from helpers.runs import FinishedRun
from helpers.shared import made_once
from helpers.variants import TINY
from vitcore.config import VARIANTS

# Without a choice the comparisons are the same on any machine.
_ASKED = (
    *("--factors", "patcher,attention,precision", "--no-choose", "--objective", "memory"),
    *("--passes", "2", "--precision", "90%", "--budget", "100s"),
)


# Runs of tests compute everything, and leave the user's cache alone.
os.environ["VITBENCH_CACHE"] = "off"
# torch.compile starts a pool of processes, each of which imports the compiler, and compiles a
# program to see whether the CPU's own instructions can be used: two thirds of a small compilation.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")
# Fewer examples of each property; nox -s endurance tries as many as Hypothesis itself.
settings.register_profile("quick", max_examples=20)
settings.load_profile("quick")


@pytest.fixture(scope="module")
def tiny() -> Iterator[None]:
    """Add the variant ``Ti/16`` of two narrow layers to the published ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "Ti/16", TINY)
        yield


@pytest.fixture(scope="module")
def barely_trained() -> Iterator[None]:
    """Train the reader of digits for one epoch, which suffices for two arms to agree."""
    from bench.costs import top1

    def forget() -> None:
        top1.trained.cache_clear()
        top1._answers.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top1, "_EPOCHS", 1)
        forget()
        yield
        forget()


@pytest.fixture
def captured_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let modules be compiled without code: graphs are captured and run, forward and backward.

    Generating and building the code of a block takes half a minute of a core.
    """
    from torch import nn

    compiled = nn.Module.compile

    def capture(module: nn.Module, *, mode: str | None = None, **options: Any) -> None:
        del mode
        compiled(module, **{"backend": "aot_eager", **options})

    monkeypatch.setattr(nn.Module, "compile", capture)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of at least two passes; read-only."""

    def make() -> FinishedRun:
        cwd = tmp_path_factory.mktemp("finished")
        given = {**environment(cwd), "GITHUB_STEP_SUMMARY": str(cwd / "summary.md")}
        with started(*command("run", *SMALLEST, *_ASKED), cwd=cwd, env=given) as process:
            done = ended(process)
        assert done.returncode == 0, done.stderr
        (folder,) = (cwd / "results").iterdir()
        return FinishedRun(folder=folder, done=done, summary=(cwd / "summary.md").read_text())

    return made_once(tmp_path_factory, "finished", make)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no worker ends with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
