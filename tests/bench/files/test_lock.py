"""Locks between real processes: who is refused, what is said, and what frees them."""

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
    """Keep these locks apart from those of a run that measures meanwhile."""
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
    """The lock of the CPU."""
    return device_locks(["cpu"], "vitbench compare")


def refusal(lock: AbstractContextManager[None]) -> str:
    """What is said to someone who is refused."""
    with pytest.raises(InputError) as refused, lock:
        pytest.fail("the lock was given to two")
    message = str(refused.value)
    assert "\n" not in message
    return message


def is_free(lock: AbstractContextManager[None]) -> bool:
    """Whether a lock can be had."""
    with lock:
        return True


@pytest.mark.parametrize(("name", "lock"), [("cpu", cpu_lock), ("folder", folder_lock)])
def test_a_second_process_is_refused_and_told_who_holds_it(
    tmp_path: Path, name: str, lock: Lock
) -> None:
    """With its number, since when, what it does, and what to do about it."""
    with held_by_another(tmp_path, name) as other:
        message = refusal(lock(tmp_path))
    assert f"process {other.pid} of " in message
    assert " since 20" in message
    assert "wait until it ends" in message


def test_the_refusal_says_what_is_measured_and_how_to_go_on(tmp_path: Path) -> None:
    """The holder's command line, and the option that measures all the same."""
    with held_by_another(tmp_path, "cpu"):
        message = refusal(cpu_lock(tmp_path))
    assert message.startswith("device 'cpu' is being measured by process ")
    assert "(vitbench run --quick)" in message
    assert "--no-lock" in message


@pytest.mark.parametrize(("name", "lock"), [("cpu", cpu_lock), ("folder", folder_lock)])
def test_killing_the_holder_frees_its_lock(tmp_path: Path, name: str, lock: Lock) -> None:
    """The kernel does it, whatever the holder left lying about, which then fools nobody."""
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


def test_a_run_of_two_devices_keeps_neither_if_it_is_refused_one(tmp_path: Path) -> None:
    """The one that it got first is free for others at once."""
    with held_by_another(tmp_path, "cuda"):
        assert "device 'cuda'" in refusal(device_locks(["cuda", "cpu"], "me"))
        assert is_free(device_locks(["cpu"], "me"))


def test_a_device_named_twice_is_locked_once() -> None:
    """A run does not stand in its own way."""
    assert is_free(device_locks(["cpu", "cpu"], "me"))


@pytest.mark.parametrize(
    ("mine", "others", "shared"),
    [("", "0", True), ("0", "0,1", True), ("1", "0", False), ("GPU-ab/c", "GPU-ab/c", True)],
)
def test_gpus_are_told_apart_by_the_first_visible(
    monkeypatch: pytest.MonkeyPatch, mine: str, others: str, *, shared: bool
) -> None:
    """Two users of a machine with several GPUs do not wait for each other."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", others)
    with device_locks(["cuda"], "other"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mine)
        lock = device_locks(["cuda"], "me")
        assert "process" in refusal(lock) if shared else is_free(lock)


def test_a_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    """And its note is gone; the lock's file stays, since removing it would let two in."""
    for lock in (cpu_lock, folder_lock):
        assert is_free(lock(tmp_path))
        assert is_free(lock(tmp_path))
    assert not list(tmp_path.rglob("*.json*"))


def test_an_error_in_the_block_is_not_taken_for_the_locks(tmp_path: Path) -> None:
    """A full disk while measuring keeps its own words, and the locks are freed."""
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
def test_a_note_that_is_no_note_is_not_believed(tmp_path: Path, note: bytes) -> None:
    """Who is refused hears that another holds it, whatever stands in the file."""
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_bytes(note)
        assert "an unidentified process" in refusal(cpu_lock(tmp_path))


@pytest.mark.parametrize("pid", [0, -1, 10**30])
def test_a_note_of_no_process_is_not_believed(tmp_path: Path, pid: int) -> None:
    """A number that no process has belongs to a holder of long ago."""
    note = {"pid": pid, "user": "eve", "since": "2020-01-01", "holder": "nothing"}
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_text(json.dumps(note))
        assert "eve" not in refusal(cpu_lock(tmp_path))


def test_a_note_of_a_process_that_has_ended_is_not_believed(tmp_path: Path) -> None:
    """It was left by an earlier holder; the present one has not written its own yet."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    note = {"pid": ended.pid, "user": "eve", "since": "2020-01-01", "holder": "nothing"}
    with cpu_lock(tmp_path):
        (tmp_path / "vitbench-locks/cpu.lock.json").write_text(json.dumps(note))
        assert "eve" not in refusal(cpu_lock(tmp_path))


def test_the_refusal_is_one_short_line_whatever_the_holder_is_called(tmp_path: Path) -> None:
    """A command line of many lines is cut."""
    with device_locks(["cpu"], "line\nline\t" + "x" * 5000):
        message = refusal(cpu_lock(tmp_path))
    assert "(line line xxx" in message
    assert len(message) < 400


def test_every_user_may_open_the_locks(tmp_path: Path) -> None:
    """The folder has no sticky bit, the locks are for all to open and the notes for all to read."""
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


def test_where_no_locks_can_be_kept_the_option_is_named(tmp_path: Path) -> None:
    """A file in the folder's place, or a folder in the lock's: one line, with --no-lock."""
    (tmp_path / "vitbench-locks").touch()
    assert "give --no-lock" in refusal(cpu_lock(tmp_path))
    (tmp_path / "vitbench-locks").unlink()
    (tmp_path / "vitbench-locks/cpu.lock").mkdir(parents=True)
    assert "give --no-lock" in refusal(cpu_lock(tmp_path))


def test_no_link_that_another_user_laid_is_followed(tmp_path: Path) -> None:
    """Links in the place of the folder or of a lock lead nobody to write elsewhere."""
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


def test_a_folder_that_is_gone_cannot_be_locked(tmp_path: Path) -> None:
    """The message names it."""
    assert "absent cannot be locked (No such file" in refusal(folder_lock(tmp_path / "absent"))


def test_a_disk_without_room_for_notes_still_locks(tmp_path: Path) -> None:
    """The note is for people; the lock holds without it."""
    with files_of_at_most(0), cpu_lock(tmp_path):
        assert "an unidentified process" in refusal(cpu_lock(tmp_path))
