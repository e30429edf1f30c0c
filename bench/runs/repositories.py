"""A user's repository, which is only read: its top folder, revisions and changes."""

from contextlib import suppress
from pathlib import Path

from bench.machine.git import advice_of, ask_git, run_git
from bench.records.errors import InputError

_OUTSIDE = "not a git repository (or any of the parent"
_NO_TREE = "must be run in a work tree"
_NO_COMMIT = "Needed a single revision"


def repository_of(folder: Path) -> Path:
    """Return the top folder of the working tree.

    Raises InputError with git's reason if there is none, or if git refuses to read it.
    """
    try:
        return Path(ask_git(folder, "rev-parse", "--show-toplevel"))
    except InputError as error:
        if _OUTSIDE in str(error):
            raise InputError(
                f"{folder} is not in a git repository; run from the tree to compare"
            ) from error
        if _NO_TREE in str(error):
            raise InputError(
                f"{folder} is in a repository without a working tree (bare, or .git itself); "
                "run from a working tree: git worktree add FOLDER makes one"
            ) from error
        raise


def commit_of(repository: Path, revision: str) -> str:
    """Return the commit of a revision: whatever git takes for one, such as ``:/text``.

    Raises InputError for an unknown revision, and for one that is no commit.
    """
    found = _object_of(repository, revision)
    try:
        # Apart: of ":/text^{commit}" git would look for the whole text.
        return ask_git(repository, "rev-parse", "--verify", f"{found}^{{commit}}")
    except InputError as error:
        raise InputError(
            f"revision {revision!r} is no commit in {repository} ({_reason(error)}); give a "
            "branch, tag or commit"
        ) from error


def _object_of(repository: Path, revision: str) -> str:
    try:
        return ask_git(repository, "rev-parse", "--verify", "--end-of-options", revision)
    except InputError as error:
        reason = _reason(error)
        said = "" if _NO_COMMIT in reason else f" ({reason})"
        raise InputError(
            f"revision {revision!r} is unknown in {repository}{said}; expected a branch, tag or "
            f"commit that is fetched (in CI: a checkout with its history, fetch-depth: 0)"
            f"{_deeper(repository)}"
        ) from error


def _reason(error: InputError) -> str:
    """Return what git said, without the command and the advice."""
    return str(error).partition(": ")[2].partition("; ")[0]


def _deeper(repository: Path) -> str:
    with suppress(InputError):
        if ask_git(repository, "rev-parse", "--is-shallow-repository") == "true":
            return ": this clone is shallow, and git fetch --unshallow gets its history"
    return ""


def remark_on(repository: Path, revision: str) -> str | None:
    """Return what git remarks on a revision that it knows, such as that its name is ambiguous."""
    try:
        done = run_git(repository, "rev-parse", "--verify", "--end-of-options", revision)
    except FileNotFoundError:
        return None
    lines = [line.removeprefix("warning: ") for line in done.stderr.splitlines() if line.strip()]
    return None if done.returncode or not lines else "; ".join(lines)


def head_of(folder: Path) -> str | None:
    """Return the commit checked out in a folder; None outside of a repository."""
    try:
        return commit_of(folder, "HEAD")
    except InputError:
        return None


def has_changes(folder: Path) -> bool:
    """Return whether tracked files of the working tree around a folder have changes."""
    try:
        return bool(ask_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except InputError:
        return False


def refusal(folder: Path) -> str | None:
    """Return why git does not read the repository around a folder, with the cure.

    None if it does, if there is no repository, and if git is not installed.
    """
    try:
        done = run_git(folder, "rev-parse", "--git-dir")
    except FileNotFoundError:
        return None
    if done.returncode == 0 or _OUTSIDE in done.stderr:
        return None
    return advice_of(done.stderr)
