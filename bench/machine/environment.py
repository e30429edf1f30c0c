"""The environment of a run: ``python -m bench.machine.environment`` prints it as JSON.

It is a separate process, so that the program that starts the passes never loads torch.
"""

import hashlib
import json
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any

from bench.machine.energy import NoMeter, meter_for
from bench.machine.git import run_git
from bench.machine.gpu import gpu_facts
from bench.machine.host import host_facts
from bench.records.environment import Environment

_HERE = Path(__file__).parent
_PACKAGES = ("torch", "numpy", "pytest", "pytest-benchmark", "vitbench")
_CODE = ("bench", "vitcore")
# Each library and its version in torch's description of its build.
_LIBRARIES = {
    "mkl": r"Math Kernel Library Version (\S+)",
    "onednn": r"MKL-DNN v(\S+)|oneDNN v(\S+)",
    "openmp": r"OpenMP (\d+)",
    "lapack": r"LAPACK_INFO=(\w+)",
    "blas": r"BLAS_INFO=(\w+)",
}


def git(*arguments: str, folder: Path = _HERE) -> str | None:
    """Return the output of a git command about the measured code; None if git does not track it.

    An installed package may lie inside another repository, which does not track it.
    """
    try:
        known = run_git(folder, "ls-files", "--error-unmatch", ".")
        done = known if known.returncode else run_git(folder, *arguments)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()


def _version(package: str) -> str | None:
    """Return a package's version; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def code_digest(folders: Iterable[Path]) -> str:
    """Return 16 hexadecimal digits that change with the name or text of any ``.py`` file."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            text = file.read_bytes()
            name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
            digest.update(f"{name} {len(text)}\n".encode())
            digest.update(text)
    return digest.hexdigest()[:16]


def _code() -> str:
    """Return the digest of bench and vitcore, without importing them."""
    specs = [find_spec(name) for name in _CODE]
    return code_digest(
        Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or ()
    )


def math_libraries(build: str) -> dict[str, str]:
    """Return the versions of torch's math libraries, from its description of its build."""
    found = {name: re.search(pattern, build) for name, pattern in _LIBRARIES.items()}
    return {name: match[match.lastindex or 0] for name, match in found.items() if match}


def _torch_facts(torch: Any) -> dict[str, Any]:
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    build = torch.__config__.show()
    libraries = math_libraries(build)
    if gpus and torch.backends.cudnn.is_available():
        libraries["cudnn"] = str(torch.backends.cudnn.version())
    return {
        "torch": torch.__version__,
        "torch_build": build,
        "math_libraries": libraries,
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "gpus": tuple(torch.cuda.get_device_name(index) for index in gpus),
        "cuda": torch.version.cuda if gpus else None,
        "gpu_driver": None,
        **(gpu_facts() if gpus else {}),
    }


def read_environment() -> Environment:
    """Return this machine's environment, with the time to import torch."""
    host = host_facts()  # Before torch is imported, which loads the machine.
    start_s = time.perf_counter()
    import torch

    import_torch_s = time.perf_counter() - start_s
    from bench.timing.device import last_level_cache_bytes

    status = git("status", "--porcelain")
    return Environment(
        **host,
        **_torch_facts(torch),
        host=platform.node(),
        os=platform.platform(),
        python=platform.python_version(),
        last_level_cache_bytes=last_level_cache_bytes(),
        cxx=shutil.which(environ.get("CXX", "g++")),
        commit=git("rev-parse", "HEAD"),
        dirty=None if status is None else bool(status),
        code=_code(),
        packages={name: _version(name) for name in _PACKAGES},
        import_torch_s=import_torch_s,
        no_energy=_no_energy("cpu", *(["cuda"] if torch.cuda.is_available() else [])),
    )


def _no_energy(*devices: str) -> dict[str, str]:
    """Return the reason for each device whose energy cannot be measured here."""
    meters = {device: meter_for(device) for device in devices}
    return {name: meter.reason for name, meter in meters.items() if isinstance(meter, NoMeter)}


if __name__ == "__main__":
    json.dump(asdict(read_environment()), sys.stdout)
