"""bench.machine.git: commands that only read, whatever a caller has set."""

import os
import subprocess
from pathlib import Path

import pytest

from bench.machine.git import advice_of, ask_git, run_git, without_repository
from bench.records.errors import InputError
from helpers.repositories import make_repository, snapshot

DUBIOUS = """fatal: detected dubious ownership in repository at '/srv/tree'
To add an exception for this directory, call:

\tgit config --global --add safe.directory /srv/tree
"""


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "project", {"a.py": "A = 1\n"})


def test_the_repository_of_a_calling_git_is_not_used(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's variables name another repository and index; git is asked about the folder's."""
    other = make_repository(tmp_path / "other", {"b.py": ""})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert ask_git(repository, "ls-files", "--", "*.py") == "a.py"
    assert not {"GIT_DIR", "GIT_INDEX_FILE", "GIT_LITERAL_PATHSPECS"} & set(without_repository())


def test_settings_of_a_caller_are_kept(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings in the environment, as a container gives safe.directory, reach git."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "vit.answer")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "42")
    assert ask_git(repository, "config", "vit.answer") == "42"


def test_no_hook_and_no_monitor_runs(repository: Path, tmp_path: Path) -> None:
    """The status neither starts the user's file system monitor nor writes the index."""
    script, called = tmp_path / "monitor", tmp_path / "called"
    script.write_text(f"#!/bin/sh\necho called >> '{called}'\n")
    script.chmod(0o755)
    ask_git(repository, "config", "core.fsmonitor", str(script))
    os.utime(repository / "a.py", (1, 1))  # The index would be refreshed.
    before = snapshot(repository)
    plain = ["git", "--no-optional-locks", "status", "--short"]
    assert ask_git(repository, "status", "--short") == ""
    assert snapshot(repository) == before
    assert not called.exists()
    subprocess.run(plain, cwd=repository, check=True)
    assert called.exists()


def test_names_that_are_not_utf8_are_kept(repository: Path) -> None:
    """Bytes become surrogates, as in Python's paths."""
    name = os.fsdecode(b"caf\xe9.py")
    (repository / name).write_text("")
    assert ask_git(repository, "ls-files", "--others", "-z") == f"{name}\0"


def test_an_error_has_the_reason_of_git_and_its_advice(repository: Path) -> None:
    """One line, in English, whatever the length of git's message."""
    with pytest.raises(
        InputError, match=r"^git cat-file failed in .*: Not a valid object name x; "
    ):
        ask_git(repository, "cat-file", "-e", "x")
    assert advice_of(DUBIOUS) == (
        "detected dubious ownership in repository at '/srv/tree'; "
        "git config --global --add safe.directory /srv/tree"
    )
    assert advice_of("") == "no message; correct the cause and try again"
    assert advice_of("warning: x\nerror: a\nfatal: b\n").startswith("a: b; ")


def test_messages_are_not_translated(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reasons are recognised by their words."""
    monkeypatch.setenv("LANGUAGE", "de")
    assert "Not a valid object name" in run_git(repository, "cat-file", "-e", "x").stderr


def test_a_missing_git_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git there is a sentence with the remedy."""
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(InputError, match="git is not installed; install it"):
        ask_git(repository, "status")
