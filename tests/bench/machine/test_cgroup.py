"""bench.machine.cgroup: groups of both versions, and the tightest of their limits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.host import group_folders, memory_limit_bytes, quota_cores, throttling_files
from helpers.machine import write_files

OWN = "0::/pod/box\n"


def folders(root: Path, controller: str = "cpu", own: str = OWN) -> list[Path]:
    """Return the groups of a process with this text in /proc/self/cgroup."""
    path = write_files(root / "proc", {"cgroup": own}) / "cgroup"
    return group_folders(controller, root=root / "sys", own=path)


def test_groups_are_listed_from_the_inside(tmp_path: Path) -> None:
    """Groups are listed from the process's own outwards to the root."""
    (tmp_path / "sys/pod/box").mkdir(parents=True)
    root = tmp_path / "sys"
    assert folders(tmp_path) == [root / "pod/box", root / "pod", root]


def test_container_with_its_group_as_the_root(tmp_path: Path) -> None:
    """In a container, where the host's names do not exist, the root is the container's group."""
    (tmp_path / "sys").mkdir()
    assert folders(tmp_path) == [tmp_path / "sys"]


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """In version 1 only the lines of the requested controller count."""
    (tmp_path / "sys/cpu/box").mkdir(parents=True)
    (tmp_path / "sys/memory/other").mkdir(parents=True)
    own = "4:memory:/other\n3:cpu,cpuacct:/box\n"
    cpu, memory = tmp_path / "sys/cpu", tmp_path / "sys/memory"
    assert folders(tmp_path, "cpu", own) == [cpu / "box", cpu]
    assert folders(tmp_path, "memory", own) == [memory / "other", memory]


def test_no_control_groups_means_no_limits(tmp_path: Path) -> None:
    """Without control groups there are no folders and no limits."""
    none = group_folders("cpu", root=tmp_path, own=tmp_path / "absent")
    assert none == []
    assert quota_cores(none) is memory_limit_bytes(none) is None
    assert throttling_files(none) == []


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_quota_is_in_cores(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    """A quota is the time over the period, in cores, in both versions; none is None."""
    assert quota_cores([write_files(tmp_path, files)]) == cores


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "4294967296\n"}, 2**32),
        ({"memory.max": "max\n"}, None),
        ({"memory.limit_in_bytes": "1073741824\n"}, 2**30),
        ({"memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_a_memory_limit_is_in_bytes(
    tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    """A memory limit is in bytes; the huge number that version 1 writes for none is None."""
    assert memory_limit_bytes([write_files(tmp_path, files)]) == limit


@given(limits=st.lists(st.none() | st.integers(1000, 10**6), min_size=1, max_size=4))
def test_the_tightest_limit_of_all_groups_holds(
    tmp_path_factory: pytest.TempPathFactory, limits: list[int | None]
) -> None:
    """The tightest limit of a group and those around it counts."""
    root = tmp_path_factory.mktemp("groups")
    groups = [
        write_files(
            root / str(index),
            {"memory.max": str(limit or "max"), "cpu.max": f"{limit or 'max'} 1000"},
        )
        for index, limit in enumerate(limits)
    ]
    known = [limit for limit in limits if limit is not None]
    assert memory_limit_bytes(groups) == min(known, default=None)
    assert quota_cores(groups) == (min(known) / 1000 if known else None)


def test_only_groups_with_a_quota_can_be_throttled(tmp_path: Path) -> None:
    """Only groups with a quota are read for throttling."""
    files = {
        "inner/cpu.max": "50000 100000",
        "inner/cpu.stat": "nr_throttled 0",
        "cpu.max": "max 100000",
        "cpu.stat": "nr_throttled 0",
    }
    write_files(tmp_path, files)
    inner = tmp_path / "inner"
    assert throttling_files([inner, tmp_path]) == [inner / "cpu.stat"]
