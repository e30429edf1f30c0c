"""Map an exception of an arm to a status and one line, with the line of the user's code."""

import sysconfig
import traceback
from pathlib import Path

from bench.records.errors import InputError, UnavailableError, one_line
from bench.timing.device import is_out_of_memory

_BENCH = Path(__file__).parents[1]
# Errors of scaled_dot_product_attention if the only allowed kernel cannot be used.
_NO_KERNEL = ("No available kernel", "No viable backend")
_STDLIB = Path(sysconfig.get_path("stdlib"))


def failure(error: BaseException) -> tuple[str, str]:
    """Return the status of an arm that raised, and one line."""
    if isinstance(error, UnavailableError | InputError):
        return "skipped", str(error)
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_KERNEL):
        return "skipped", f"this device has no such kernel for these inputs ({one_line(error)})"
    status = "oom" if is_out_of_memory(error) else "crashed"
    return status, f"{one_line(error)}{own_line(error)}"


def own_line(error: BaseException) -> str:
    """Return the last line of the user's own code, as `` (mine.py, line 3)``, or nothing."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    own = [f"{Path(f.filename).name}, line {f.lineno}" for f in frames if _is_own(f.filename)]
    return f" ({own[-1]})" if own else ""


def _is_own(file: str) -> bool:
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    others = (_BENCH, _STDLIB)
    return path.is_file() and not installed and not any(map(path.is_relative_to, others))
