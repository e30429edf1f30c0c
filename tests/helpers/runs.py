"""A finished run of the program: its folder and output."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder, the program's standard output and error, and the job summary."""

    folder: Path
    done: subprocess.CompletedProcess[str]
    summary: str

    def copied(self, to: Path) -> Path:
        """Copy the folder to ``to``/run, for a test to change."""
        return Path(shutil.copytree(self.folder, to / "run"))
