"""Control groups of both versions: which folders count, and the tightest limit of all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.host import group_folders, memory_limit_bytes, quota_cores, throttling_files
from helpers.machine import write_files

OWN = "0::/pod/box\n"


def folders(root: Path, controller: str = "cpu", own: str = OWN) -> list[Path]:
    """The groups around a process whose /proc/self/cgroup has this text."""
    path = write_files(root / "proc", {"cgroup": own}) / "cgroup"
    return group_folders(controller, root=root / "sys", own=path)


def test_groups_are_listed_from_the_inside(tmp_path: Path) -> None:
    """The process's own, those around it, and the root of the tree."""
    (tmp_path / "sys/pod/box").mkdir(parents=True)
    root = tmp_path / "sys"
    assert folders(tmp_path) == [root / "pod/box", root / "pod", root]


def test_a_container_that_shows_its_group_as_the_root(tmp_path: Path) -> None:
    """The names that the host uses do not exist inside; the root is the container's group."""
    (tmp_path / "sys").mkdir()
    assert folders(tmp_path) == [tmp_path / "sys"]


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """Only the lines of the controller asked for count, whatever shares its tree."""
    (tmp_path / "sys/cpu/box").mkdir(parents=True)
    (tmp_path / "sys/memory/other").mkdir(parents=True)
    own = "4:memory:/other\n3:cpu,cpuacct:/box\n"
    cpu, memory = tmp_path / "sys/cpu", tmp_path / "sys/memory"
    assert folders(tmp_path, "cpu", own) == [cpu / "box", cpu]
    assert folders(tmp_path, "memory", own) == [memory / "other", memory]


def test_no_control_groups_means_no_limits(tmp_path: Path) -> None:
    """Another system, or a file that says something else, gives no folder and no limit."""
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
    """Time in each period, in either version; no quota is None."""
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
    """Version 1 writes a huge number where there is no limit."""
    assert memory_limit_bytes([write_files(tmp_path, files)]) == limit


@given(limits=st.lists(st.none() | st.integers(1000, 10**6), min_size=1, max_size=4))
def test_the_tightest_limit_of_all_groups_holds(
    tmp_path_factory: pytest.TempPathFactory, limits: list[int | None]
) -> None:
    """A group cannot have more than any group around it."""
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
    """The others are not read while measuring."""
    files = {
        "inner/cpu.max": "50000 100000",
        "inner/cpu.stat": "nr_throttled 0",
        "cpu.max": "max 100000",
        "cpu.stat": "nr_throttled 0",
    }
    write_files(tmp_path, files)
    inner = tmp_path / "inner"
    assert throttling_files([inner, tmp_path]) == [inner / "cpu.stat"]
