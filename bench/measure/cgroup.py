"""Control groups: what a container or a service manager lets this process have. No torch."""

from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
# Version 1 has no word for "no limit": it writes the largest number of pages that it can count.
_UNLIMITED_BYTES = 2**60


def group_folders(controller: str, *, root: Path = _ROOT, own: Path = _OWN) -> list[Path]:
    """Folders of this process's group and of the groups around it, innermost first.

    ``controller`` matters to version 1 only, where each has its own tree. A container may show its
    own group as the root of the tree: what does not exist here is passed over. Empty where the
    system knows no control groups.
    """
    found: list[Path] = []
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            base = root / controller if controllers else root
            inner = base / name.lstrip("/")
            around = [inner, *inner.parents]
            found += [each for each in around[: around.index(base) + 1] if each.is_dir()]
    return found


def quota_cores(folders: list[Path]) -> float | None:
    """The tightest quota of processor time, in cores; None where there is none."""
    quotas = [_quota(folder) for folder in folders]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes(folders: list[Path]) -> int | None:
    """The tightest limit of memory; None where there is none."""
    words = [
        word
        for folder in folders
        for name in ("memory.max", "memory.limit_in_bytes")
        for word in _words(folder / name)
    ]
    limits = [int(word) for word in words if word.isdecimal()]
    return min((limit for limit in limits if limit < _UNLIMITED_BYTES), default=None)


def throttling_files(folders: list[Path]) -> list[Path]:
    """The statistics of those groups that can be throttled because they have a quota."""
    files = [folder / "cpu.stat" for folder in folders if _quota(folder) is not None]
    return [file for file in files if file.exists()]


def _quota(folder: Path) -> float | None:
    """Cores' worth of time that one group may use in each period."""
    quota = _words(folder / "cpu.max") or (
        _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    )
    limited = len(quota) == 2 and all(word.isdecimal() for word in quota)  # noqa: PLR2004 (a pair)
    return int(quota[0]) / int(quota[1]) if limited else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
