"""``python -m bench.worker TASK``: do the jobs of a task file, and end when the parent ends."""

import signal
import sys
from importlib import import_module
from pathlib import Path

from bench.files.run_folder import read_task
from bench.worker.process import end_with

_PACKAGE = Path(__file__).parents[1]


def main() -> None:
    """Read the task and do its jobs; signals and parent are handled before torch is loaded."""
    # Before there are pairs to finish, an interrupt kills: torch swallows a KeyboardInterrupt while
    # it loads, and a shell makes its background processes ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    file = Path(sys.argv[1])
    task = read_task(file)
    end_with(task.parent)
    if task.threads is not None:
        import torch

        torch.set_num_threads(task.threads)
    if task.kind == "pass":
        sys.exit(_run_pytest(file, task.stem))
    import_module(f"bench.worker.{_MODULES[task.kind]}").run(task)


_MODULES = {"survey": "survey", "memory": "memory", "profile": "profiling"}


def _run_pytest(file: Path, stem: Path) -> int:
    """Run a pass with pytest and pytest-benchmark; output of arms goes to the log at once."""
    import pytest

    return pytest.main(
        [
            *("-s", str(_PACKAGE), "-c", str(_PACKAGE / "pytest.ini")),
            *("-p", "pytest_benchmark.plugin", "--pass-plan", str(file)),
            *("--benchmark-storage", f"file://{stem.parent}"),
            *("--benchmark-json", str(stem.with_suffix(".json"))),
        ]
    )


if __name__ == "__main__":
    main()
