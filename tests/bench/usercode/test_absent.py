"""bench.usercode.absent: files of this tree that the base lacks, named with a way out."""

import shutil
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.repositories import commit_of
from bench.runs.worktrees import checked_out
from bench.usercode.absent import absent_remedy
from bench.usercode.loading import call
from bench.usercode.spec import FunctionRef
from helpers.repositories import commit, git, make_repository

LOCAL = ("-c", "protocol.file.allow=always")
READS = """
from pathlib import Path
def make(): return Path(__file__).with_name("local.json").read_text
def read(): return Path(__file__).with_name("local.json").read_text()
def other(): raise RuntimeError(f"cannot read {Path(__file__).with_name('local.json')}: broken")
def nowhere(): return open(Path(__file__).with_name("nowhere.json"))
def ours(): import made.ours
def absent(): import no_such_package
"""


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"reads.py": READS, ".gitignore": "local.json\nmade/\n"}
    repository = make_repository(tmp_path / "project", files)
    (repository / "local.json").write_text("{}")
    (repository / "made").mkdir()
    (repository / "made" / "ours.py").write_text("")
    monkeypatch.chdir(repository)
    return repository


def message(repository: Path, name: str, copied: tuple[Path, ...] = (), place: str = "") -> str:
    """Return the error of a factory at the base."""
    function = FunctionRef(place=place or "reads.py", name=name)
    with checked_out(repository, commit_of(repository, "HEAD"), copied) as base:
        with pytest.raises(InputError) as raised:
            call(function, "arm 'it'", base)
        return str(raised.value)


@pytest.mark.parametrize("name", ["read", "other"])
def test_an_ignored_file_is_named(repository: Path, name: str) -> None:
    """By the error's file, or by a path in its text."""
    said = message(repository, name)
    assert said.endswith("local.json is not in git, so the base lacks it: give --copy local.json")


def test_an_ignored_module_is_named(repository: Path) -> None:
    """A file that a build made in a folder of its own."""
    assert message(repository, "ours").endswith("give --copy made")


def test_the_way_out_works(repository: Path) -> None:
    """What the message advises makes the base's factory work."""
    head = commit_of(repository, "HEAD")
    with checked_out(repository, head, (Path("local.json"),)) as base:
        assert call(FunctionRef(place="reads.py", name="read"), "it", base) == "{}"


@pytest.mark.parametrize("name", ["nowhere", "absent"])
def test_a_file_that_neither_has_is_not_explained(repository: Path, name: str) -> None:
    """The cause is elsewhere, and the usual advice stays."""
    assert "is not in git" not in message(repository, name)


def test_another_error_is_not_explained(repository: Path) -> None:
    """Git is not asked about errors that name no file."""
    assert absent_remedy(RuntimeError("shapes differ"), repository) is None


def test_an_empty_submodule_is_named_with_its_commit(tmp_path: Path, repository: Path) -> None:
    """The commands of the message fill it."""
    make_repository(tmp_path / "ops", {"fast.py": ""})
    git(repository, *LOCAL, "submodule", "--quiet", "add", "../ops", "vit_ops")
    commit(repository, {"uses.py": "from vit_ops.fast import mlp\n"})
    wanted = git(repository / "vit_ops", "rev-parse", "HEAD")
    git(repository, "submodule", "--quiet", "deinit", "--force", "vit_ops")
    shutil.rmtree(repository / ".git" / "modules")
    said = message(repository, "mlp", place="uses.py")
    assert "submodule vit_ops is empty at the base, whose commit of it is not on disk" in said
    assert said.endswith(
        f"git submodule update --init vit_ops && git -C vit_ops fetch origin {wanted}"
    )
