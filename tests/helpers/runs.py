"""A finished run of the program: its folder, and what it printed."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder, standard output and error of the program, and the summary for a job."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    summary: str

    def copied(self, to: Path) -> Path:
        """Copy the folder to ``to``/run, for a test to change."""
        return Path(shutil.copytree(self.folder, to / "run"))
