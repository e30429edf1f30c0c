"""Git commands, without the variables that a calling git has set in the environment.

A commit hook runs with GIT_INDEX_FILE and GIT_DIR of the commit under way: a git command that
inherits them would write that commit's index, whatever folder it runs in.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

# ``git rev-parse --local-env-vars`` of git 2.47, in case git is not installed.
_LOCAL_VARIABLES = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS"),
    *("GIT_CONFIG_COUNT", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_INTERNAL_SUPER_PREFIX", "GIT_SHALLOW_FILE"),
    "GIT_COMMON_DIR",
)


@cache
def local_variables() -> frozenset[str]:
    """Return the names of the variables that tie a git command to one repository."""
    program = shutil.which("git")
    if program is None:
        return frozenset(_LOCAL_VARIABLES)
    command = [program, "rev-parse", "--local-env-vars"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return frozenset((*_LOCAL_VARIABLES, *done.stdout.split()))


def without_repository() -> dict[str, str]:
    """Return this process's environment without the variables of ``local_variables``."""
    return {name: value for name, value in os.environ.items() if name not in local_variables()}


def run_git(
    folder: Path, *arguments: str, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run git on the repository that contains ``folder``, and on no other.

    Optional locks are off. Raises FileNotFoundError if git is not installed, and
    subprocess.TimeoutExpired after ``timeout_s`` seconds.
    """
    program = shutil.which("git")
    if program is None:
        raise FileNotFoundError("git is not installed")
    return subprocess.run(
        [program, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env={**without_repository(), "GIT_OPTIONAL_LOCKS": "0"},
    )
