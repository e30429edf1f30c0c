"""The steps of a workflow, run locally in bash as a CI runner does."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from helpers.processes import environment

_FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
_BASH = shutil.which("bash") or "bash"


class Runner:
    """A checkout with a CI job's environment: variables, job summary and a temporary folder."""

    def __init__(self, checkout: Path, room: Path, known: Mapping[str, str]) -> None:
        room.mkdir(parents=True)
        self.checkout, self.known = checkout, known
        self.summary, self._later = room / "summary.md", room / "variables"
        self._given = {
            **environment(room),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(room / "temp"),
            "GITHUB_ENV": str(self._later),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        (room / "temp").mkdir()
        self._later.touch()

    def run(self, workflow: str, job: str) -> subprocess.CompletedProcess[str]:
        """Run a job's steps until one fails; return the last process."""
        content = yaml.safe_load((_FOLDER / workflow).read_text(encoding="utf-8"))
        for step in content["jobs"][job]["steps"]:
            if "run" in step:
                done = self._run(step)
                if done.returncode:
                    break
        return done

    def _run(self, step: Mapping[str, dict[str, str]]) -> subprocess.CompletedProcess[str]:
        later = dict(line.split("=", 1) for line in self._later.read_text().splitlines())
        own = {name: self._filled(str(text)) for name, text in step.get("env", {}).items()}
        return subprocess.run(
            [_BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", self._filled(step["run"])],
            cwd=self.checkout,
            env={**self._given, **later, **own, **self._variables()},
            capture_output=True,
            text=True,
            check=False,
        )

    def _variables(self) -> dict[str, str]:
        named = (name for name in self.known if name.startswith("GITHUB_"))
        return {name: self.known[name] for name in named}

    def _filled(self, text: object) -> str:
        """Return text with its expressions replaced: ``a || b`` is the first known value."""
        return _EXPRESSION.sub(lambda found: self._value(found[1]), str(text))

    def _value(self, expression: str) -> str:
        values = (
            each.strip("'") if each.startswith("'") else self.known.get(each, "")
            for each in expression.split(" || ")
        )
        return next((value for value in values if value), "")
