"""bench.records.environment: differences that forbid a resume, and warnings with remedies."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.environment import (
    Environment,
    differences,
    machine_differences,
    short_commit,
    version_differences,
    warnings,
)
from bench.records.notes import NoteKind
from helpers.records import ENVIRONMENT, make_environment

# Fields that change within minutes or repeat another field.
PASSING = {
    "host": "other",
    "load_1min": 7.0,
    "waiting_percent": 50.0,
    "import_torch_s": 9.9,
    "gpu_sm_mhz": 300,
    "gpu_memory_mhz": 300,
    "gpu_other_processes": 3,
    "variables": {"OMP_NUM_THREADS": "2"},
    "packages": {},
    "dirty": True,
    "memory_bytes": 1,
    "governor": "powersave",
}
CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"torch": "2.9.0"}, {"torch": "2.15.0"}, "torch was 2.9.0, is 2.15.0"),
    ({"python": "3.11.7"}, {"python": "3.12.1"}, "Python was 3.11.7, is 3.12.1"),
    ({"cpu": "AMD"}, {"cpu": "Intel"}, "CPU was AMD, is Intel"),
    ({"cores": 2}, {"cores": 16}, "number of cores was 2, is 16"),
    ({"threads": 2}, {"threads": 1}, "number of torch threads was 2, is 1"),
    ({"gpus": ()}, {"gpus": ("H200", "H200")}, "GPUs was none, is H200, H200"),
    ({"commit": "a" * 40}, {"commit": "b" * 40}, "commit was aaaaaaaaaa, is bbbbbbbbbb"),
    ({"code": "1" * 16}, {"code": "2" * 16}, "code of vitbench was 1111111111, is 2222222222"),
    (
        {"memory_limit_bytes": None},
        {"memory_limit_bytes": 3 * 2**29},
        "memory limit was none, is 1.5 GiB",
    ),
    ({"quota_cores": 1.5}, {"quota_cores": None}, "quota of cores was 1.5, is none"),
]


@pytest.mark.parametrize(("before", "now", "line"), CASES)
def test_another_machine_or_code_is_named(
    before: dict[str, Any], now: dict[str, Any], line: str
) -> None:
    """Each difference gives one line with both values."""
    assert differences(make_environment(**before), make_environment(**now)) == [line]
    (reverse,) = differences(make_environment(**now), make_environment(**before))
    assert reverse != line


@pytest.mark.parametrize(("one", "two", "_"), CASES)
def test_a_difference_is_of_the_machine_or_of_the_versions(
    one: dict[str, Any], two: dict[str, Any], _: str
) -> None:
    """Each has both values; a limit of memory changes no time."""
    first, second = make_environment(**one), make_environment(**two)
    machine, versions = machine_differences(first, second), version_differences(first, second)
    (name,) = one
    assert len(versions) == (name in ("torch", "python", "commit", "code"))
    assert len(machine) == (name in ("cpu", "cores", "threads", "gpus", "quota_cores"))
    back = [*machine_differences(second, first), *version_differences(second, first)]
    assert len(back) == len(machine + versions)
    assert not set(back) & {*machine, *versions}


def test_processors_of_one_name_may_be_of_two_kinds() -> None:
    """Clouds name all of theirs alike; instructions tell them apart."""
    old, new = make_environment(), make_environment(cpu_flags=("avx2", "avx512_bf16"))
    assert machine_differences(old, new) == ["CPU instructions (avx2 against avx2, avx512_bf16)"]
    assert machine_differences(old, old) == []


def test_the_code_of_two_commits_is_not_named_beside_them() -> None:
    """Of one commit, changes that were not committed are."""
    one, two = make_environment(code="1" * 16), make_environment(code="2" * 16)
    assert version_differences(one, two) == ["code of vitbench (1111111111 against 2222222222)"]
    other = replace(two, commit="f" * 40)
    assert version_differences(one, other) == ["commit (0123456789 against ffffffffff)"]


def test_all_differences_are_named() -> None:
    """All differences are listed, not only the first."""
    before = replace(ENVIRONMENT, **{k: v for case in CASES for k, v in case[0].items()})
    now = replace(ENVIRONMENT, **{k: v for case in CASES for k, v in case[1].items()})
    assert sorted(differences(before, now)) == sorted(line for _, _, line in CASES)


@pytest.mark.parametrize("name", sorted(PASSING))
def test_passing_states_are_not_differences(name: str) -> None:
    """Load and other passing states do not forbid a resume on the same machine."""
    changed = make_environment(**{name: PASSING[name]})
    assert changed != ENVIRONMENT
    assert differences(ENVIRONMENT, changed) == []


@pytest.mark.parametrize("name", ["commit", "code"])
def test_unknown_values_are_not_differences(name: str) -> None:
    """A missing commit or digest is not a difference; the other of the two is compared."""
    known, unknown = make_environment(**{name: "abc"}), make_environment(**{name: None})
    assert differences(known, unknown) == differences(unknown, known) == []


def test_an_old_record_still_loads() -> None:
    """A record with only the fields that have no default loads."""
    old = {
        each.name: getattr(ENVIRONMENT, each.name)
        for each in fields(Environment)
        if each.name in _REQUIRED
    }
    assert Environment(**old) == ENVIRONMENT


# Frozen: an environment.json of an old run has these and no others.
_REQUIRED = {
    *("host", "os", "python", "torch", "torch_build", "cpu", "cpu_flags", "cores", "threads"),
    *("memory_bytes", "last_level_cache_bytes", "cxx", "gpus", "gpu_driver", "cuda"),
    *("commit", "dirty", "packages", "import_torch_s"),
}


def test_a_quiet_machine_warns_of_nothing() -> None:
    """A quiet machine and one without any facts have no warnings."""
    quiet = make_environment(
        governor="performance",
        load_1min=0.3,
        waiting_percent=1.0,
        gpus=("H200",),
        gpu_persistence=True,
        gpu_mig=False,
        gpu_other_processes=0,
    )
    assert warnings(quiet) == warnings(ENVIRONMENT) == []


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"threads": 4}, "4 torch threads on 2 usable cores", "OMP_NUM_THREADS=2"),
        ({"quota_cores": 1.5}, "2 torch threads on 1 usable core", "OMP_NUM_THREADS=1"),
        ({"quota_cores": 0.5}, "on 1 usable core", "OMP_NUM_THREADS=1"),
        ({"governor": "powersave"}, "powersave", "cpupower frequency-set -g performance"),
        ({"load_1min": 1.5}, "load average is 1.5 on 2 cores", "stop other programs"),
        ({"waiting_percent": 33.3}, "33 %", "stop other programs"),
        ({"gpu_persistence": False}, "persistence", "nvidia-smi -pm 1"),
        ({"gpu_other_processes": 2}, "2", "list them with nvidia-smi"),
        ({"gpu_mig": True}, "MIG", "nvidia-smi -mig 0"),
    ],
)
def test_a_warning_names_the_remedy(changes: dict[str, Any], words: str, remedy: str) -> None:
    """A warning is one line with the problem and the remedy."""
    (note,) = warnings(make_environment(**changes))
    assert note.kind is NoteKind.MACHINE
    assert words in note.text
    assert remedy in str(note.remedy)
    assert str(note) == f"{note.text}; {note.remedy}"
    assert "\n" not in str(note)


def test_load_is_compared_with_all_cores() -> None:
    """The load average is compared with all cores, not only those of this process."""
    assert warnings(make_environment(load_1min=3.0, cores=2, cores_total=16)) == []
    assert len(warnings(make_environment(load_1min=9.0, cores=2, cores_total=16))) == 1


@given(
    cores=st.integers(1, 256),
    quota_cores=st.none() | st.floats(0.1, 512),
    threads=st.integers(1, 256),
)
def test_the_remedy_of_oversubscription_is_enough(
    cores: int, quota_cores: float | None, threads: int
) -> None:
    """With the suggested number of threads the warning is gone; it is at least one thread."""
    environment = make_environment(cores=cores, quota_cores=quota_cores, threads=threads)
    assert 1 <= environment.usable_cores <= cores
    for note in warnings(environment):
        remedy = int(str(note.remedy).removeprefix("set OMP_NUM_THREADS="))
        assert remedy < threads
        assert warnings(replace(environment, threads=remedy)) == []


def test_the_device_has_a_name() -> None:
    """The name is the first GPU's on CUDA and the CPU's otherwise, also without a GPU."""
    both = make_environment(cpu="AMD", gpus=("H200", "A100"))
    assert (both.device_name("cpu"), both.device_name("cuda")) == ("AMD", "H200")
    assert both.devices == ("cpu", "cuda")
    assert make_environment().devices == ("cpu",)


def test_commits_are_short() -> None:
    """Ten digits, everywhere."""
    assert short_commit("0123456789abcdef") == "0123456789"
