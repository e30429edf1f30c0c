"""``python -m bench.worker TASK``: do the jobs of a task file, and end when the parent ends."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from bench.files.run_folder import read_task
from bench.worker.process import end_with


def main() -> None:
    """Read the task and do its jobs; signals and parent are handled before torch is loaded."""
    # Before there are pairs to finish, an interrupt kills: torch swallows a KeyboardInterrupt while
    # it loads, and a shell makes its background processes ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    task = read_task(Path(sys.argv[1]))
    end_with(task.parent)
    if task.threads is not None:
        import torch

        torch.set_num_threads(task.threads)
    import_module(f"bench.worker.{_MODULES[task.kind]}").run(task)


_MODULES = {"pass": "passes", "survey": "survey", "memory": "memory", "profile": "profiling"}


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would take torch, the compiler and their threads apart: seconds of a run, each time.
    os._exit(0)
