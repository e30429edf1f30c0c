"""Which kernels one call dispatched, condensed to names that people know.

torch's profiler tells operators and, on CUDA, kernels. On a CPU only the libraries themselves tell
which of their routines multiplied or convolved: oneDNN and MKL print it, if asked, from C.
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

_STDOUT = 1
# A library's line, which may follow half a line of somebody else.
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

# Each table: a pattern, and the name of what it finds with its groups. The first that fits a name
# names it, so the particular stand before the general.
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
    # im2col and a product: what is left where no library convolves in this precision.
    (r"^aten::_slow_conv2d_forward$", ATEN_CONVOLUTION),
)
# Kernels on a CUDA device. Those of cuBLAS keep the part of the name that tells the instructions
# and precisions, without the tile sizes, which change with every shape.
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
_SAID = _table(
    (
        r"^onednn_verbose,.*?primitive,exec,cpu,((?:de)?convolution|inner_product|matmul),([^,\n]+)",
        r"oneDNN \1 \2",
    ),
    (r"^MKL_VERBOSE ([A-Z][A-Z0-9_]*GEM[A-Z0-9_]*|GEM[A-Z0-9_]*)\(", r"MKL \1"),
)

# What inductor's code runs in; that of Dynamo alone, with another backend, has no such region.
_INDUCTOR = re.compile(r"^## Call CompiledFxGraph ")
_FUSED = frozenset((FLASH, EFFICIENT, CUDNN_ATTENTION, NATIVE_MHA, ENCODER_LAYER))
_BATCHED = frozenset(("aten::bmm", "aten::baddbmm"))
_SOFTMAX = frozenset(("aten::_softmax", "aten::_safe_softmax"))
_PRODUCTS = _BATCHED | {"aten::mm", "aten::addmm"}
# Products that serve an operator. MKL's mixed ones, such as GEMM_BF16BF16F32, do not: they stand
# inside flash attention, beside Linear layers for which no library may have spoken.
_SERVING = re.compile(r"^(oneDNN (matmul|inner_product) |MKL (?!GEMM_))")
# What tells arms apart is named first; nearly all of them have products.
_TELLING = re.compile("attention|fast path|convolution")


def kernels_of(call: Callable[[], object], device: str) -> tuple[str, ...]:
    """Which kernels ``call`` dispatches on ``cpu`` or ``cuda``: names, each once, products last.

    The call should be warm. It is made once, on a CPU twice: under the profiler, and while the
    libraries are verbose. What nobody recognises is not named, so the names may be none.

    Raises what the call raises.
    """
    operators, device_kernels = _profiled(call, device)
    return condense(operators, device_kernels, None if device == "cuda" else said_in(call))


def condense(
    operators: Iterable[str], device_kernels: Iterable[str], said: str | None
) -> tuple[str, ...]:
    """Give the names of operators, of kernels on a device and of what libraries said: sorted.

    ``said`` is None where no library of the CPU was listened to. ``ATen gemm`` is a product of
    which none spoke: ATen's own, or that of another BLAS in a build of torch without MKL.
    """
    ran = frozenset(operators)
    found = _named(ran, _OPERATORS) | _named(device_kernels, _DEVICE_KERNELS)
    if ran & _BATCHED and ran & _SOFTMAX and not found & _FUSED:
        found.add(MATH)
    if said is not None:
        found |= _spoken(said)
        if ran & _PRODUCTS and not any(map(_SERVING.match, found)):
            found.add(ATEN_GEMM)
        if any(map(_INDUCTOR.match, ran)):
            found.add(INDUCTOR_CPP)
    return tuple(sorted(found, key=lambda name: (_TELLING.search(name) is None, name)))


def said_in(call: Callable[[], object]) -> str:
    """Make a call; gives the lines that oneDNN and MKL wrote about it to file descriptor 1.

    Whatever else was written there meanwhile is written there afterwards, also where the call
    raises.
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


def _spoken(said: str) -> set[str]:
    return {match.expand(name) for pattern, name in _SAID for match in pattern.finditer(said)}


def _profiled(call: Callable[[], object], device: str) -> tuple[set[str], set[str]]:
    """Names of what ran on the host, and of what ran on the device."""
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
    """Let those libraries speak that this build of torch has."""
    with ExitStack() as stack:
        for library in (torch.backends.mkldnn, torch.backends.mkl):
            if library.is_available():
                stack.enter_context(library.verbose(library.VERBOSE_ON))
        yield


@contextmanager
def _stdout_to(descriptor: int) -> Iterator[None]:
    """Send what Python and C write to standard output to another file for a while."""
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
    """Empty Python's buffer of standard output, then all of C's."""
    sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
