"""Git commands that change nothing, without the variables that a calling git has set.

A commit hook runs with GIT_INDEX_FILE and GIT_DIR of the commit under way: a git command that
inherits them would write that commit's index, whatever folder it runs in. Hooks do not run: some
are called by commands that only read, such as the file system monitor's by ``git status``.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bench.records.errors import InputError

# ``git rev-parse --local-env-vars`` of git 2.47, in case git is not installed.
_LOCAL_VARIABLES = (
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS"),
    *("GIT_CONFIG_COUNT", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_INTERNAL_SUPER_PREFIX", "GIT_SHALLOW_FILE"),
    "GIT_COMMON_DIR",
)
# Settings of a caller, such as ``git -c safe.directory=*``: git keeps them for other repositories.
_SETTINGS = {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}
# They change the meaning of paths, or the format of a new repository.
_MANNERS = {
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS"),
    *("GIT_ICASE_PATHSPECS", "GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT", "GIT_TEMPLATE_DIR"),
    *("GIT_EXTERNAL_DIFF", "GIT_TRACE"),
}
_QUIET = (
    *("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false"),
    *("-c", "core.splitIndex=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
)
# Messages untranslated, no lock for the sake of a cache, no question at the terminal, no download
# of objects that a partial clone lacks.
_SETUP = {
    "LANGUAGE": "en",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
}
_SEVERITY = re.compile(r"(?:fatal|error): *")
_SECONDS = 300.0
_REMEDY = "correct the cause and try again"


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
    """Return this process's environment without the variables that name a repository.

    Settings that a caller gave to git stay.
    """
    hidden = (local_variables() - _SETTINGS) | _MANNERS
    return {name: value for name, value in os.environ.items() if name not in hidden}


def run_git(
    folder: Path,
    *arguments: str,
    timeout_s: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git on the repository that contains ``folder``, or that ``variables`` name.

    Bytes that are not UTF-8 become surrogates, as in Python's paths. Raises FileNotFoundError if
    git is not installed, and subprocess.TimeoutExpired after ``timeout_s`` seconds.
    """
    program = shutil.which("git")
    if program is None:
        raise FileNotFoundError("git is not installed")
    return subprocess.run(
        [program, *_QUIET, "-C", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=timeout_s,
        env={**without_repository(), **_SETUP, **(variables or {})},
    )


def ask_git(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Return the output of git without its last line end.

    Raises InputError if it fails, with git's reason and its advice.
    """
    try:
        done = run_git(folder, *arguments, timeout_s=_SECONDS, variables=variables)
    except FileNotFoundError as error:
        raise InputError(f"{error}; install it to compare with a revision") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"git {arguments[0]} in {folder} took more than {_SECONDS:g} s; try it in a terminal"
        ) from error
    if done.returncode:
        raise InputError(f"git {arguments[0]} failed in {folder}: {advice_of(done.stderr)}")
    return done.stdout.removesuffix("\n")


def advice_of(message: str) -> str:
    """Return git's reason in one line, and after a semicolon the commands that git advises."""
    lines = [line for line in message.splitlines() if line.strip()]
    reasons = [line for line in lines if _SEVERITY.match(line)] or lines[:1] or ["no message"]
    commands = [line.strip() for line in lines if re.match(r"\s+git ", line)]
    reason = ": ".join(dict.fromkeys(_SEVERITY.sub("", line, count=1) for line in reasons))
    return f"{reason}; {' && '.join(commands) or _REMEDY}"
