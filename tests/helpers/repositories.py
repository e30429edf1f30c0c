"""Small git repositories, made of one commit after another, and all that is in a folder."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

GIT = shutil.which("git") or "git"
WHO = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return its output."""
    done = subprocess.run([GIT, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str]) -> None:
    """Write files and commit them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    subprocess.run([GIT, "add", "-A"], cwd=folder, check=True)
    command = [GIT, *WHO, "commit", "--quiet", "--no-verify", "-m", "a commit"]
    subprocess.run(command, cwd=folder, check=True)


def make_repository(folder: Path, *commits: Mapping[str, str]) -> Path:
    """Make a repository with one commit per set of files."""
    folder.mkdir(parents=True)
    subprocess.run([GIT, "init", "--quiet", "--initial-branch=main"], cwd=folder, check=True)
    for files in commits:
        commit(folder, files)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time of the last change and content of all below a folder, ``.git`` included."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }
