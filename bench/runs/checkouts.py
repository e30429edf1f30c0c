"""Fill a folder with the files of a commit, without a change to the repository that has it.

A repository of its own is made for the folder. It borrows the objects of the user's (git's
alternates) and includes its settings, so that filters, line ends and sparse patterns are the
user's; what a filter or a partial clone fetches is written to the folder's own.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.machine.git import ask_git, run_git
from bench.records.errors import InputError
from bench.usercode.absent import gitlinks

# Files of a repository that have a say in what is checked out.
_COPIED = ("info/attributes", "info/sparse-checkout", "shallow")
# Later settings override earlier ones.
_SETTINGS = ("config", "config.worktree")
_PLACES = (*_SETTINGS, "objects", "modules", *_COPIED)
_CURES = {
    "smudge": "install the filter's program, for instance git-lfs, or set GIT_LFS_SKIP_SMUDGE=1 "
    "and git config the filter's required to false",
    "No space left": "set TMPDIR to a folder with more room",
}


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A repository to borrow from, and where its files are, by their names in ``.git``."""

    folder: Path
    variables: dict[str, str] | None
    places: dict[str, Path]
    common: Path
    """The folder that linked worktrees share."""

    @classmethod
    def of(cls, folder: Path, variables: dict[str, str] | None = None) -> Self:
        """Ask git for the places. Raises InputError if it refuses."""
        words = [word for name in _PLACES for word in ("--git-path", name)]
        ask = ("rev-parse", *words, "--git-common-dir")
        found = ask_git(folder, *ask, variables=variables).split("\n")
        *places, common = [(folder / each).resolve() for each in found]
        named = dict(zip(_PLACES, places, strict=True))
        return cls(folder=folder, variables=variables, places=named, common=common)

    def has(self, commit: str) -> bool:
        """Return whether the commit is on disk."""
        words = ("cat-file", "-e", f"{commit}^{{commit}}")
        return run_git(self.folder, *words, variables=self.variables).returncode == 0


def fill(repository: Path, commit: str, folder: Path, git_folder: Path) -> None:
    """Check out a commit and its submodules into a folder, whose own repository is ``git_folder``.

    A submodule whose commit is not on disk stays empty. Raises InputError with git's reason.
    """
    _fill(_Source.of(repository), commit, folder, git_folder)


def _fill(source: _Source, commit: str, folder: Path, git_folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    variables = own_repository(git_folder, folder)
    _make_repository(source, commit, git_folder, variables)
    update = ("read-tree", "-m", "-u", "--no-recurse-submodules", commit)
    try:
        ask_git(folder, *update, variables=variables)
    except InputError as error:
        cures = (cure for text, cure in _CURES.items() if text in str(error))
        reason = str(error).rpartition("; ")[0]
        raise InputError(f"{reason}; {next(cures, 'correct the cause')}") from error
    if (source.folder / ".git").exists():
        _copy_generated(source.folder, folder)
    for path, wanted in gitlinks(folder, variables):
        if found := _submodule(source, folder, path, wanted):
            own = Path(tempfile.mkdtemp(dir=git_folder.parents[1], suffix=".git"))
            _fill(found, wanted, folder / path, own)


def own_repository(git_folder: Path, folder: Path) -> dict[str, str]:
    """Return the variables that tie git to a folder's own repository; it may fetch."""
    return {"GIT_DIR": str(git_folder), "GIT_WORK_TREE": str(folder), "GIT_NO_LAZY_FETCH": "0"}


def _make_repository(
    source: _Source, commit: str, git_folder: Path, variables: dict[str, str]
) -> None:
    kind = ask_git(source.folder, "rev-parse", "--show-object-format", variables=source.variables)
    ask_git(
        git_folder.parent,
        *("-c", "init.defaultRefFormat=files", "init", "--quiet", "--template="),
        *(f"--object-format={kind}", str(git_folder)),
        variables=variables,
    )
    config = git_folder / "config"
    includes = "".join(f"[include]\n\tpath = {_quoted(source.places[n])}\n" for n in _SETTINGS)
    # First, so that the folder's own settings override the user's.
    config.write_bytes(includes.encode(errors="surrogateescape") + config.read_bytes())
    (git_folder / "info").mkdir(exist_ok=True)
    for name in _COPIED:
        with suppress(FileNotFoundError):
            shutil.copyfile(source.places[name], git_folder / name)
    objects = git_folder / "objects" / "info" / "alternates"
    objects.parent.mkdir(exist_ok=True)
    objects.write_bytes(f"{source.places['objects']}\n".encode(errors="surrogateescape"))
    refs = ask_git(
        source.folder,
        *("for-each-ref", "--format=%(objectname) %(refname)"),
        variables=source.variables,
    )
    (git_folder / "packed-refs").write_bytes(f"{refs}\n".encode(errors="surrogateescape"))
    (git_folder / "HEAD").write_text(f"{commit}\n")


def _quoted(path: Path) -> str:
    """Return a path as a value of git's settings."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _copy_generated(repository: Path, folder: Path) -> None:
    """Copy the modules that an installation generates and git ignores.

    For example ``_version.py``: the package would not import without it.
    """
    ignored = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "*.py")
    for name in filter(None, ask_git(repository, *ignored).split("\0")):
        origin, goal = repository / name, folder / name
        if goal.parent.is_dir() and not goal.exists():
            with suppress(OSError):  # A broken link, or unreadable: the tree cannot import it.
                shutil.copy(origin, goal)


def _submodule(source: _Source, folder: Path, path: str, commit: str) -> _Source | None:
    """Return the repository on disk that has the commit of a submodule; None if there is none."""
    sources = (*_worktree(source.folder / path), *_kept(source, _names(folder).get(path, path)))
    return next((each for each in sources if each.has(commit)), None)


def _worktree(folder: Path) -> Iterator[_Source]:
    """Yield the repository of a submodule that is checked out."""
    if (folder / ".git").exists():
        with suppress(InputError):
            yield _Source.of(folder)


def _kept(source: _Source, name: str) -> Iterator[_Source]:
    """Yield the repositories of a submodule that git keeps, also without a working tree."""
    for place in (source.places["modules"] / name, source.common / "modules" / name):
        # Named outright, git does not check the owner: it must be that of the repository.
        if ".." in Path(name).parts or not (place / "HEAD").is_file():
            continue
        if place.stat().st_uid == source.common.stat().st_uid:
            variables = {"GIT_DIR": str(place), "GIT_WORK_TREE": str(place)}
            with suppress(InputError):
                yield _Source.of(place, variables)


def _names(folder: Path) -> dict[str, str]:
    """Return the names of submodules by their paths, as a checked-out ``.gitmodules`` has them."""
    words = ("config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    found = run_git(folder, *words).stdout
    pairs = (entry.partition("\n") for entry in found.split("\0") if entry)
    return {path: key.removeprefix("submodule.").removesuffix(".path") for key, _, path in pairs}
