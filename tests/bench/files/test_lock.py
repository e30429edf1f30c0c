"""bench.files.lock between real processes: which are refused, with which message, until when."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.files.lock import device_locks, folder_lock
from bench.records.errors import InputError
from helpers.disks import files_of_at_most

Lock = Callable[[Path], AbstractContextManager[None]]

HOLD = """
import sys, tempfile
from pathlib import Path
from bench.files.lock import device_locks, folder_lock
tempfile.tempdir = sys.argv[1]
lock = device_locks(sys.argv[2:], "vitbench run --quick")
with folder_lock(Path(sys.argv[1])) if sys.argv[2] == "folder" else lock:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep these locks apart from those of a run in progress."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@contextmanager
def held_by_another(folder: Path, *devices: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold locks until the block ends."""
    command = [sys.executable, "-c", HOLD, str(folder), *devices]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


def cpu_lock(_: Path) -> AbstractContextManager[None]:
    """Return the lock of the CPU."""
    return device_locks(["cpu"], "vitbench compare")


def refusal(lock: AbstractContextManager[None]) -> str:
    """Return the message of a refused lock."""
    with pytest.raises(InputError) as refused, lock:
        pytest.fail("the lock was given to two")
    message = str(refused.value)
    assert "\n" not in message
    return message


def is_free(lock: AbstractContextManager[None]) -> bool:
    """Return whether a lock can be acquired."""
    with lock:
        return True


@pytest.mark.parametrize(("name", "lock"), [("cpu", cpu_lock), ("folder", folder_lock)])
def test_second_process_is_refused_with_the_holder(tmp_path: Path, name: str, lock: Lock) -> None:
    """The refusal names the holder's process ID, start time, purpose and the remedy."""
    with held_by_another(tmp_path, name) as other:
        message = refusal(lock(tmp_path))
    assert f"process {other.pid} of " in message
    assert " since 20" in message
    assert "wait until it ends" in message


def test_refusal_names_the_command_and_the_option(tmp_path: Path) -> None:
    """The refusal names the holder's command line and the option --no-lock."""
    with held_by_another(tmp_path, "cpu"):
        message = refusal(cpu_lock(tmp_path))
    assert message.startswith("device 'cpu' is being measured by process ")
    assert "(vitbench run --quick)" in message
    assert "--no-lock" in message


@pytest.mark.parametrize(("name", "lock"), [("cpu", cpu_lock), ("folder", folder_lock)])
def test_killing_the_holder_frees_its_lock(tmp_path: Path, name: str, lock: Lock) -> None:
    """The kernel frees the lock of a killed holder; its stale note is replaced."""
    with held_by_another(tmp_path, name) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        notes = list(tmp_path.rglob("*lock.json"))
        assert [json.loads(note.read_text())["pid"] for note in notes] == [other.pid]
        with lock(tmp_path):
            assert [json.loads(note.read_text())["pid"] for note in notes] == [os.getpid()]
            message = refusal(lock(tmp_path))
    assert f"process {os.getpid()} of " in message


def test_other_devices_are_free(tmp_path: Path) -> None:
    """One run may measure the GPU while another measures the CPU."""
    with held_by_another(tmp_path, "cuda"):
        assert is_free(device_locks(["cpu"], "me"))
        assert "device 'cuda'" in refusal(device_locks(["cuda"], "me"))


def test_refused_device_frees_the_other_device(tmp_path: Path) -> None:
    """A run that is refused one of two devices frees the other one at once."""
    with held_by_another(tmp_path, "cuda"):
        assert "device 'cuda'" in refusal(device_locks(["cuda", "cpu"], "me"))
        assert is_free(device_locks(["cpu"], "me"))


def test_a_device_named_twice_is_locked_once() -> None:
    """A device named twice does not block its own run."""
    assert is_free(device_locks(["cpu", "cpu"], "me"))


@pytest.mark.parametrize(
    ("mine", "others", "shared"),
    [("", "0", True), ("0", "0,1", True), ("1", "0", False), ("GPU-ab/c", "GPU-ab/c", True)],
)
def test_gpu_locks_follow_the_first_visible_device(
    monkeypatch: pytest.MonkeyPatch, mine: str, others: str, *, shared: bool
) -> None:
    """Runs on different GPUs of one machine do not block each other."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", others)
    with device_locks(["cuda"], "other"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mine)
        lock = device_locks(["cuda"], "me")
        assert "process" in refusal(lock) if shared else is_free(lock)


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    """A lock is free after its block and its note is removed."""
    for lock in (cpu_lock, folder_lock):
        assert is_free(lock(tmp_path))
        assert is_free(lock(tmp_path))
    assert not list(tmp_path.rglob("*.json*"))


def test_error_in_the_block_passes_unchanged(tmp_path: Path) -> None:
    """An OSError from the block keeps its message, and the locks are freed."""
    for lock in (cpu_lock, folder_lock):
        with pytest.raises(OSError, match="No space left"), lock(tmp_path):
            raise OSError(28, "No space left on device")
        assert is_free(lock(tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    note=st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: st.dictionaries(st.sampled_from(["pid", "user", "since"]), inner),
        ).map(lambda plain: json.dumps(plain).encode()),
    )
)
def test_invalid_note_is_ignored(tmp_path: Path, note: bytes) -> None:
    """With any invalid note, the refusal names another process without a note."""
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_bytes(note)
        assert "an unidentified process" in refusal(cpu_lock(tmp_path))


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_note_with_an_impossible_pid_is_ignored(tmp_path: Path, pid: int) -> None:
    """A note with a process ID that cannot exist is not quoted."""
    note = {"pid": pid, "user": "eve", "since": "2020-01-01", "holder": "nothing"}
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_text(json.dumps(note))
        assert "eve" not in refusal(cpu_lock(tmp_path))


def test_note_of_an_ended_process_is_ignored(tmp_path: Path) -> None:
    """A note of an ended process is not quoted: the present holder has yet to write its own."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    note = {"pid": ended.pid, "user": "eve", "since": "2020-01-01", "holder": "nothing"}
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_text(json.dumps(note))
        assert "eve" not in refusal(cpu_lock(tmp_path))


def test_refusal_is_one_short_line(tmp_path: Path) -> None:
    """A long command line of several lines is joined and cut in the refusal."""
    with device_locks(["cpu"], "line\nline\t" + "x" * 5000):
        message = refusal(cpu_lock(tmp_path))
    assert "(line line xxx" in message
    assert len(message) < 400


def test_every_user_may_open_the_locks(tmp_path: Path) -> None:
    """Every user may write the folder, open the locks and read the notes, whatever the umask."""
    umask = os.umask(0o077)
    try:
        with cpu_lock(tmp_path):
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in (tmp_path / "vitbench-locks").rglob("*")
            }
            folder_mode = stat.S_IMODE((tmp_path / "vitbench-locks").stat().st_mode)
    finally:
        os.umask(umask)
    assert folder_mode == 0o777
    assert modes == {"cpu.lock": 0o666, "cpu.lock.json": 0o644}


def test_unusable_lock_folder_names_the_option(tmp_path: Path) -> None:
    """A file in place of the folder, or a folder in place of a lock, is refused with --no-lock."""
    (tmp_path / "vitbench-locks").touch()
    assert "give --no-lock" in refusal(cpu_lock(tmp_path))
    (tmp_path / "vitbench-locks").unlink()
    (tmp_path / "vitbench-locks/cpu.lock").mkdir(parents=True)
    assert "give --no-lock" in refusal(cpu_lock(tmp_path))


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    """Symbolic links in place of the folder, a lock or a note change nothing at their targets."""
    victim, locks = tmp_path / "victim", tmp_path / "vitbench-locks"
    victim.mkdir(mode=0o700)
    locks.symlink_to(victim)
    assert "it is a symbolic link" in refusal(cpu_lock(tmp_path))
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700
    locks.unlink()
    locks.mkdir()
    (victim / "text").write_text("kept")
    (locks / "cpu.lock.json").symlink_to(victim / "text")
    assert is_free(cpu_lock(tmp_path))
    (locks / "cpu.lock").unlink()
    (locks / "cpu.lock").symlink_to(victim / "text")
    assert "give --no-lock" in refusal(cpu_lock(tmp_path))
    assert (victim / "text").read_text() == "kept"


def test_missing_folder_cannot_be_locked(tmp_path: Path) -> None:
    """The error for a missing folder names it."""
    assert "absent cannot be locked (No such file" in refusal(folder_lock(tmp_path / "absent"))


def test_full_disk_still_locks(tmp_path: Path) -> None:
    """A lock holds without its note where the disk has no room for it."""
    with files_of_at_most(0), cpu_lock(tmp_path):
        assert "an unidentified process" in refusal(cpu_lock(tmp_path))
