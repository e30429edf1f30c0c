"""bench.runs.worktrees: revisions checked out beside the working tree."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.repositories import commit_of
from bench.runs.worktrees import checked_out
from helpers.processes import wait_for
from helpers.repositories import WHO, git, make_repository, snapshot

ROOT = Path(__file__).parents[3]
HOOK = """#!{python}
import sys
from pathlib import Path

sys.path.insert(0, "{root}")
from bench.runs.repositories import commit_of, has_changes, repository_of
from bench.runs.worktrees import checked_out

top, place = repository_of(Path.cwd()), Path("{folder}")
has_changes(top)
with checked_out(top, commit_of(top, "HEAD~1")) as base:
    (place / "found").write_text((base / "a.py").read_text())
"""


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"a.py": "A = 1\n"}, {"a.py": "A = 2\n"})


def test_a_revision_is_checked_out_beside_the_tree(repository: Path) -> None:
    """The worktree has the commit; uncommitted changes of the tree are kept."""
    (repository / "a.py").write_text("A = 3\n")
    before = snapshot(repository)
    with checked_out(repository, commit_of(repository, "HEAD~1")) as base:
        assert (base / "a.py").read_text() == "A = 1\n"
        assert (repository / "a.py").read_text() == "A = 3\n"
    assert not base.parent.exists()
    assert snapshot(repository) == before


def test_the_worktree_is_always_removed(repository: Path) -> None:
    """The worktree is removed even if its block raises."""
    with (
        pytest.raises(KeyboardInterrupt),
        checked_out(repository, commit_of(repository, "HEAD")) as base,
    ):
        raise KeyboardInterrupt
    assert not base.parent.exists()


def test_a_hook_of_the_repository_keeps_its_commit(repository: Path, tmp_path: Path) -> None:
    """A worktree made in a commit hook leaves the hook's index and folder unchanged."""
    (repository / "b.py").write_text("B = 1\n")
    (repository / "a.py").write_text("A = 3\n")
    hook, found = repository / ".git" / "hooks" / "pre-commit", tmp_path / "found"
    hook.write_text(HOOK.format(python=sys.executable, root=ROOT, folder=tmp_path))
    hook.chmod(0o755)
    git(repository, "add", "a.py", "b.py")
    git(repository, *WHO, "commit", "--quiet", "--message", "with a hook", "a.py")
    assert git(repository, "show", "--format=", "--name-status") == "M\ta.py"
    assert git(repository, "show", "HEAD:a.py") == "A = 3"
    assert git(repository, "status", "--short") == "A  b.py"
    assert found.read_text() == "A = 1\n"


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, "{root}")
from bench.runs.worktrees import checked_out

with checked_out(Path("{repository}"), "{commit}") as base:
    print(base, flush=True)
    time.sleep(600)
"""


def test_a_killed_process_leaves_the_repository_as_it_was(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder stays for the next process, which keeps those of living ones and of the user."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    mine = tmp_path / "vitbench-regress-mine"
    mine.mkdir()
    before, head = snapshot(repository), commit_of(repository, "HEAD")
    code = HOLDER.format(root=ROOT, repository=repository, commit=head)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        base = Path(held.stdout.readline().strip())
        with checked_out(repository, head):
            assert (base / "a.py").exists()
        held.send_signal(signal.SIGKILL)
    assert held.returncode == -signal.SIGKILL
    assert snapshot(repository) == before
    assert (base / "a.py").exists()
    with checked_out(repository, head):
        assert not base.parent.exists()
    assert mine.exists()


def test_a_process_killed_while_it_checks_out_changes_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that hangs stands for a large checkout; git ends with its caller's group."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    git(repository, "config", "filter.slow.smudge", f"echo > '{tmp_path}/begun'; sleep 600")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("*.py filter=slow\n")
    before = snapshot(repository)
    code = HOLDER.format(root=ROOT, repository=repository, commit=commit_of(repository, "HEAD"))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, start_new_session=True) as held:
        wait_for((tmp_path / "begun").exists, "a checkout", held)
        os.killpg(held.pid, signal.SIGKILL)
    assert snapshot(repository) == before


def test_files_outside_of_git_are_copied(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their paths from the working folder; links as what they point to, folders whole."""
    (repository / "inner" / "weights").mkdir(parents=True)
    (repository / "inner" / "weights" / "a.pt").write_bytes(b"1")
    (repository / "inner" / "link.json").symlink_to(repository / "a.py")
    monkeypatch.chdir(repository / "inner")
    head = commit_of(repository, "HEAD")
    with checked_out(repository, head, [Path("weights"), Path("link.json")]) as base:
        assert (base / "inner" / "weights" / "a.pt").read_bytes() == b"1"
        assert (base / "inner" / "link.json").read_text() == "A = 2\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.json", "nowhere.json to copy is not in"),
        ("../outside.json", "is not in .*; give a path from here"),
        ("a.py", "is at the base already"),
    ],
)
def test_an_unusable_copy_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    """A file of the base is never replaced, and none from elsewhere is copied."""
    (repository.parent / "outside.json").write_text("{}")
    monkeypatch.chdir(repository)
    head = commit_of(repository, "HEAD")
    with pytest.raises(InputError, match=message), checked_out(repository, head, [Path(name)]):
        pass
