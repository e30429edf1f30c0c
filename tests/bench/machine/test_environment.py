"""bench.machine.environment: fixture files of other machines, and the record of this one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.environment import code_digest, math_libraries, read_environment
from bench.machine.host import governor, host_facts, processor, turbo, waiting_percent
from bench.records.environment import Environment
from helpers.machine import pressure, write_files

X86 = """\
processor\t: 0
model name\t: AMD EPYC 9R14
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile
bugs\t\t:
"""
ARM = """\
processor\t: 0
Features\t: fp asimd asimdhp sve bf16
CPU part\t: 0xd40
"""
BUILD = """\
PyTorch built with:
  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605
  - Intel(R) MKL-DNN v3.13.3 (Git Hash b38f97eb)
  - OpenMP 201511 (a.k.a. OpenMP 4.5)
  - Build settings: BLAS_INFO=mkl, LAPACK_INFO=mkl, USE_CUDA=1
"""


def test_an_x86_processor() -> None:
    """An x86 processor has its model name and the flags that concern precision."""
    assert processor("\n".join([X86] * 4)) == {
        "cpu": "AMD EPYC 9R14",
        "cpu_flags": ("avx2", "avx512f", "avx512_bf16", "amx_tile"),
    }


def test_arm_processor_without_a_name() -> None:
    """An ARM processor has its features, and a name although cpuinfo has none."""
    found = processor(ARM)
    assert found["cpu_flags"] == ("asimdhp", "sve", "bf16")
    assert found["cpu"]


def test_no_file_about_the_processor() -> None:
    """Without /proc/cpuinfo there are no flags, and the name is Python's."""
    found = processor("")
    assert found["cpu_flags"] == ()
    assert found["cpu"]


@pytest.mark.parametrize(
    ("governors", "expected"),
    [
        ({0: "performance", 1: "performance"}, "performance"),
        ({0: "powersave", 1: "performance"}, "performance, powersave"),
        ({1: "powersave", 7: "schedutil"}, "powersave"),
        ({}, None),
    ],
)
def test_governor_of_the_usable_cores(
    tmp_path: Path, governors: dict[int, str], expected: str | None
) -> None:
    """The governors are those of the usable cores; in a virtual machine they are None."""
    files = {f"cpu{n}/cpufreq/scaling_governor": f"{name}\n" for n, name in governors.items()}
    assert governor(write_files(tmp_path, files), {0, 1}) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"intel_pstate/no_turbo": "0\n"}, True),
        ({"intel_pstate/no_turbo": "1\n"}, False),
        ({"cpufreq/boost": "1\n"}, True),
        ({"cpufreq/boost": "0\n"}, False),
        ({}, None),
    ],
)
def test_turbo_by_either_driver(
    tmp_path: Path, files: dict[str, str], *, expected: bool | None
) -> None:
    """Turbo is read from Intel's no_turbo or from cpufreq's boost."""
    assert turbo(write_files(tmp_path, files)) is expected


@given(percent=st.floats(0, 100), total_us=st.integers(0, 10**12))
def test_waiting_is_the_average_of_ten_seconds(percent: float, total_us: int) -> None:
    """CPU pressure is the ten-second average, in percent."""
    assert waiting_percent(pressure(total_us, avg10=percent)) == pytest.approx(percent, abs=0.01)


def test_kernel_without_pressure_has_none() -> None:
    """Without pressure files the pressure is None, not 0."""
    assert waiting_percent("") is None


def test_a_container_is_read_from_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container has its group's quota and memory limit, and the variables that are set."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("MY_TOKEN", "secret")
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/cpu.max": "400000 100000",
        "sys/fs/cgroup/memory.max": "2147483648",
        "proc/cpuinfo": X86,
        "proc/pressure/cpu": pressure(1, avg10=12.5),
    }
    facts = host_facts(write_files(tmp_path, files))
    assert facts["quota_cores"] == 4.0
    assert facts["memory_limit_bytes"] == 2**31
    assert facts["waiting_percent"] == 12.5
    assert facts["variables"]["OMP_NUM_THREADS"] == "3"
    assert {"MKL_NUM_THREADS", "MY_TOKEN"}.isdisjoint(facts["variables"])


def test_missing_files_give_none(tmp_path: Path) -> None:
    """Every fact from a missing file is None, never 0."""
    facts = host_facts(tmp_path)
    silent = ("quota_cores", "memory_limit_bytes", "governor", "turbo", "waiting_percent")
    assert [facts[name] for name in silent] == [None] * len(silent)


def test_cores_are_those_that_this_process_may_use() -> None:
    """Cores are counted from this process's affinity."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        facts = host_facts()
    finally:
        os.sched_setaffinity(0, allowed)
    assert facts["cores"] == 1
    assert facts["cores_total"] >= len(allowed)
    assert 1 <= facts["cores_physical"] <= facts["cores_total"]


def test_math_libraries_by_torchs_description() -> None:
    """Versions of math libraries are parsed from torch's text; absent libraries are left out."""
    assert math_libraries(BUILD) == {
        "mkl": "2024.2-Product",
        "onednn": "3.13.3",
        "openmp": "201511",
        "lapack": "mkl",
        "blas": "mkl",
    }
    assert math_libraries("PyTorch built with: clang") == {}


def _changed(folder: Path) -> None:
    (folder / "part/b.py").write_text("b = 2\n")


def _renamed(folder: Path) -> None:
    (folder / "part/b.py").rename(folder / "part/c.py")


def _added(folder: Path) -> None:
    (folder / "empty.py").touch()


def _moved_a_line(folder: Path) -> None:
    (folder / "a.py").write_text("")
    (folder / "part/b.py").write_text("a = 1\nb = 1\n")


@pytest.mark.parametrize("change", [_changed, _renamed, _added, _moved_a_line])
def test_the_digest_changes_with_the_code(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """The digest changes with a text, a name, a new file or a line moved between files."""
    package = write_files(tmp_path / "package", {"a.py": "a = 1\n", "part/b.py": "b = 1\n"})
    before = code_digest([package])
    change(package)
    assert code_digest([package]) != before


def test_the_digest_is_of_code_alone(tmp_path: Path) -> None:
    """The digest does not depend on the package's location or on compiled files."""
    texts = {"a.py": "a = 1\n", "part/b.py": "b = 1\n"}
    first = write_files(tmp_path / "one/package", texts)
    second = write_files(tmp_path / "two/package", {**texts, "__pycache__/a.pyc": "x", "n.md": "y"})
    assert code_digest([first]) == code_digest([second])
    assert len(code_digest([first])) == 16


def test_this_machine_has_the_universal_facts() -> None:
    """Cores, code, libraries and threads are known; the digest covers both packages."""
    environment = read_environment()
    root = Path(__file__).parents[3]
    assert environment.code == code_digest([root / "bench", root / "vitcore"])
    assert environment.interop_threads == torch.get_num_interop_threads()
    assert environment.cores_total is not None
    assert 1 <= environment.cores <= environment.cores_total
    assert environment.math_libraries == math_libraries(torch.__config__.show()) or environment.gpus
    assert environment.usable_cores >= 1


def test_the_probe_prints_every_field() -> None:
    """The probe prints every field as JSON, and no others."""
    command = [sys.executable, "-m", "bench.machine.environment"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    plain: dict[str, Any] = json.loads(done.stdout)
    assert set(plain) == set(Environment.__dataclass_fields__)
    assert plain["threads"] == 1
    assert plain["variables"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_real_gpu_is_in_the_environment() -> None:
    """A GPU's name, driver, CUDA and cuDNN versions and limits are in the environment."""
    environment = read_environment()
    assert environment.gpus[0] == torch.cuda.get_device_name(0)
    assert environment.cuda == torch.version.cuda
    assert environment.gpu_driver
    assert "cudnn" in environment.math_libraries
