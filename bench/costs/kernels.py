"""List the kernels that one call dispatched, condensed to well-known names.

torch's profiler reports operators and, on CUDA, kernels. On a CPU only the libraries report the
routines of their products and convolutions: oneDNN and MKL print them from C in verbose mode.
"""

import ctypes
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile

import torch
from torch.profiler import ProfilerActivity, profile

from bench.records.call_profile import COMPILED_GRAPH

_STDOUT = 1
# A library's line, which may follow an unfinished line of other output.
_LINE = re.compile(r"(?:onednn_verbose,|MKL_VERBOSE )[^\n]*\n?")

FLASH = "flash attention"
EFFICIENT = "efficient attention"
CUDNN_ATTENTION = "cuDNN attention"
MATH = "math attention"
NATIVE_MHA = "native MHA fast path"
ENCODER_LAYER = "encoder layer fast path"
CUDNN_CONVOLUTION = "cuDNN convolution"
ATEN_CONVOLUTION = "ATen convolution"
ATEN_GEMM = "ATen gemm"
INDUCTOR_CPP = "inductor C++"
INDUCTOR_TRITON = "inductor Triton"

# Rows of a table: a pattern, and the name for a match, with its groups. The first match counts, so
# special patterns come before general ones.
_Table = tuple[tuple[re.Pattern[str], str], ...]


def _table(*rows: tuple[str, str]) -> _Table:
    return tuple((re.compile(pattern, re.MULTILINE), name) for pattern, name in rows)


# Operators of ATen, as the profiler names them.
_OPERATORS = _table(
    (r"^aten::_(scaled_dot_product_flash_attention(_for_cpu)?|flash_attention_forward)$", FLASH),
    (r"^aten::_(scaled_dot_product_efficient_attention|efficient_attention_forward)$", EFFICIENT),
    (r"^aten::_(scaled_dot_product_cudnn_attention|cudnn_attention_forward)$", CUDNN_ATTENTION),
    (r"^aten::_scaled_dot_product_attention_math", MATH),
    (r"^aten::_native_multi_head_attention$", NATIVE_MHA),
    (r"^aten::_transformer_encoder_layer_fwd$", ENCODER_LAYER),
    (r"^aten::cudnn_convolution", CUDNN_CONVOLUTION),
    # im2col and a product: the fallback if no library convolves in this precision.
    (r"^aten::_slow_conv2d_forward$", ATEN_CONVOLUTION),
)
# Kernels on a CUDA device. Names of cuBLAS keep their instructions and precisions, and lose their
# tile sizes, which change with every shape.
_DEVICE_KERNELS = _table(
    (r"^triton_", INDUCTOR_TRITON),
    (r"cudnn\w*_sdpa_", CUDNN_ATTENTION),
    (r"fmha_cutlass", EFFICIENT),
    (r"pytorch_flash|flash_(fwd|bwd)|FlashAttn", FLASH),
    (r"implicit_gemm|convolve|fprop|dgrad|wgrad|[sh]\d*cudnn_|cudnn.*conv", CUDNN_CONVOLUTION),
    (r"cutlass_(\d+_\w*?gemm)", r"cutlass \1"),
    (r"cutlass.*[Gg]emm", "cutlass"),
    (r"((?:volta|turing|ampere|hopper)_\w*?gemm)", r"cuBLAS \1"),
    (r"(sm\d+_xmma_gemm_\w+?)_[nt]+_", r"cuBLAS \1"),
    (r"(nvjet_(?:sm\d+_)?[a-z]+)_", r"cuBLAS \1"),
    (r"cublas|gemv|gemmSN|gemmk1", "cuBLAS"),
)
# Lines of oneDNN and MKL. Reorders and MKL's heading are left out.
_LIBRARY_LINES = _table(
    (
        r"^onednn_verbose,.*?primitive,exec,cpu,((?:de)?convolution|inner_product|matmul),([^,\n]+)",
        r"oneDNN \1 \2",
    ),
    (r"^MKL_VERBOSE ([A-Z][A-Z0-9_]*GEM[A-Z0-9_]*|GEM[A-Z0-9_]*)\(", r"MKL \1"),
)

# Region around inductor's code; other backends have none.
_INDUCTOR = f"{COMPILED_GRAPH} "
_FUSED = frozenset((FLASH, EFFICIENT, CUDNN_ATTENTION, NATIVE_MHA, ENCODER_LAYER))
_BATCHED = frozenset(("aten::bmm", "aten::baddbmm"))
_SOFTMAX = frozenset(("aten::_softmax", "aten::_safe_softmax"))
_PRODUCTS = _BATCHED | {"aten::mm", "aten::addmm"}
# Products of operators such as Linear. MKL's mixed ones, such as GEMM_BF16BF16F32, do not count:
# they belong to flash attention, and a Linear beside it may still be ATen's own.
_SERVING = re.compile(r"^(oneDNN (matmul|inner_product) |MKL (?!GEMM_))")
# Kernels that distinguish arms come first; nearly all arms have products.
_TELLING = re.compile("attention|fast path|convolution")


def kernels_of(call: Callable[[], object], device: str) -> tuple[str, ...]:
    """Return the names of the kernels of ``call`` on ``cpu`` or ``cuda``, each once, products last.

    The call should be warm. It is made once, on a CPU twice: under the profiler, and with verbose
    libraries. Unrecognised kernels are left out, so the result may be empty.

    Raises what the call raises.
    """
    operators, device_kernels = _profiled(call, device)
    return condense(operators, device_kernels, None if device == "cuda" else library_lines(call))


def condense(
    operators: Iterable[str], device_kernels: Iterable[str], verbose: str | None
) -> tuple[str, ...]:
    """Return the sorted names for operators, device kernels and verbose lines of CPU libraries.

    ``verbose`` is None if the CPU's libraries were not verbose. ``ATen gemm`` is a product without
    a verbose line: ATen's own, or that of another BLAS in a build of torch without MKL.
    """
    ran = frozenset(operators)
    found = _named(ran, _OPERATORS) | _named(device_kernels, _DEVICE_KERNELS)
    if ran & _BATCHED and ran & _SOFTMAX and not found & _FUSED:
        found.add(MATH)
    if verbose is not None:
        found |= _library_names(verbose)
        if ran & _PRODUCTS and not any(map(_SERVING.match, found)):
            found.add(ATEN_GEMM)
        if any(name.startswith(_INDUCTOR) for name in ran):
            found.add(INDUCTOR_CPP)
    return tuple(sorted(found, key=lambda name: (_TELLING.search(name) is None, name)))


def library_lines(call: Callable[[], object]) -> str:
    """Make a call and return the lines that oneDNN and MKL wrote to file descriptor 1.

    Other output to it is written afterwards, also if the call raises.
    """
    with TemporaryFile() as file:
        try:
            with _stdout_to(file.fileno()), _verbose():
                call()
        finally:
            file.seek(0)
            written = file.read().decode(errors="surrogateescape")
            with os.fdopen(_STDOUT, "wb", closefd=False) as stdout:
                stdout.write(_LINE.sub("", written).encode(errors="surrogateescape"))
    return "".join(_LINE.findall(written))


def _named(names: Iterable[str], table: _Table) -> set[str]:
    found = set()
    for name in names:
        matches = ((pattern.search(name), title) for pattern, title in table)
        found.update([match.expand(title) for match, title in matches if match][:1])
    return found


def _library_names(verbose: str) -> set[str]:
    matches = ((name, pattern.finditer(verbose)) for pattern, name in _LIBRARY_LINES)
    return {match.expand(name) for name, found in matches for match in found}


def _profiled(call: Callable[[], object], device: str) -> tuple[set[str], set[str]]:
    """Return the names of the events on the host and of those on the device."""
    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    # Without acc_events some releases (2.11) warn that only one cycle is kept; there is only one.
    with profile(activities=activities, acc_events=True) as profiled:
        call()
        if device == "cuda":
            torch.cuda.synchronize()
    names: dict[bool, set[str]] = {False: set(), True: set()}
    for event in profiled.profiler.kineto_results.events():
        names[event.device_type().name == "CUDA"].add(event.name())
    return names[False], names[True]


@contextmanager
def _verbose() -> Iterator[None]:
    """Make the libraries of this build of torch verbose."""
    with ExitStack() as stack:
        for library in (torch.backends.mkldnn, torch.backends.mkl):
            if library.is_available():
                stack.enter_context(library.verbose(library.VERBOSE_ON))
        yield


@contextmanager
def _stdout_to(descriptor: int) -> Iterator[None]:
    """Redirect standard output of Python and C to another file."""
    _flush()
    kept = os.dup(_STDOUT)
    os.dup2(descriptor, _STDOUT)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _flush() -> None:
    """Flush Python's buffer of standard output, then all buffers of C."""
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
