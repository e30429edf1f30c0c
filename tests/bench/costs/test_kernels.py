"""Kernels of vitcore's parts on this machine, and side effects of recording them.

The library of a product depends on the CPU, so the tests accept any.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.costs.kernels import (
    ATEN_CONVOLUTION,
    ATEN_GEMM,
    CUDNN_ATTENTION,
    EFFICIENT,
    ENCODER_LAYER,
    FLASH,
    INDUCTOR_CPP,
    MATH,
    NATIVE_MHA,
    kernels_of,
    library_lines,
)
from vitcore.attention import build_attention
from vitcore.config import ViTConfig
from vitcore.patchers import build_patcher

NARROW = {"width": 256, "heads": 4, "image_size": 112}
ATTENTION = {FLASH, EFFICIENT, CUDNN_ATTENTION, MATH, NATIVE_MHA}
PRECISIONS = (torch.float32, torch.bfloat16)


def dispatched(module: nn.Module, x: Tensor, *, train: bool) -> set[str]:
    """Kernels of a warm module, in inference mode or with its backward."""
    module.train(train)

    def call() -> None:
        y = module(x)
        if train:
            y.sum().backward()

    with torch.inference_mode(mode=not train):
        call()
        return set(kernels_of(call, "cpu"))


def multiplied(names: set[str]) -> bool:
    """Whether the names have a product of a library or of ATen."""
    told = ("oneDNN matmul", "oneDNN inner_product", "MKL ", ATEN_GEMM)
    return any(name.startswith(told) for name in names)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    ("attention", "inference", "train"),
    [
        ("sdpa", FLASH, FLASH),
        ("mha", NATIVE_MHA, FLASH),
        ("mha_weights", NATIVE_MHA, MATH),
        ("manual", MATH, MATH),
    ],
)
def test_attentions_dispatch_their_kernels(
    attention: str, inference: str, train: str, dtype: torch.dtype
) -> None:
    """nn.MultiheadAttention is three arms: its fast path, with weights and without."""
    module = build_attention(ViTConfig.from_name("B/16", attention=attention, **NARROW)).to(dtype)
    x_BND = torch.randn(2, 50, 256, dtype=dtype)
    for training, name in ((False, inference), (True, train)):
        names = dispatched(module, x_BND, train=training)
        assert names & ATTENTION == {name}
        assert multiplied(names)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("train", [False, True])
def test_patchers_dispatch_a_convolution_or_a_product(dtype: torch.dtype, *, train: bool) -> None:
    """One patcher has a convolution, the others a product, and none an attention."""
    image_BCHW = torch.randn(2, 3, 112, 112, dtype=dtype)
    for patcher in ("conv", "unfold", "linear"):
        module = build_patcher(ViTConfig.from_name("B/16", patcher=patcher, **NARROW)).to(dtype)
        names = dispatched(module, image_BCHW, train=train)
        assert any("convolution" in name for name in names) is (patcher == "conv")
        assert multiplied(names) is (patcher != "conv")
        assert not names & ATTENTION


def test_a_convolution_that_no_library_has_is_atens() -> None:
    """In float64, which oneDNN lacks, the convolution is ATen's."""
    convolution = nn.Conv2d(3, 8, 4, stride=4).double()
    names = dispatched(convolution, torch.randn(1, 3, 16, 16, dtype=torch.float64), train=False)
    assert ATEN_CONVOLUTION in names


def test_an_encoder_layer_has_a_fast_path_of_its_own() -> None:
    """The fast path runs in inference; with gradients the layer runs its parts."""
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    x_BND = torch.randn(2, 9, 64)
    assert {ENCODER_LAYER, NATIVE_MHA} <= dispatched(layer, x_BND, train=False)
    assert not {ENCODER_LAYER, NATIVE_MHA} & dispatched(layer, x_BND, train=True)


def test_the_caller_chooses_the_surroundings() -> None:
    """The caller's context, here the backend of scaled_dot_product_attention, applies."""
    q_BANK = torch.randn(2, 4, 9, 16)
    for backend, name in ((SDPBackend.MATH, MATH), (SDPBackend.FLASH_ATTENTION, FLASH)):
        with sdpa_kernel(backend):
            found = kernels_of(
                lambda: nn.functional.scaled_dot_product_attention(q_BANK, q_BANK, q_BANK), "cpu"
            )
        assert name in found


def test_a_call_without_kernels_has_no_names() -> None:
    """A call without a recognised kernel gives an empty list."""
    x_N = torch.ones(8)
    assert kernels_of(lambda: x_N + x_N, "cpu") == ()


@pytest.mark.slow
def test_inductor_differs_from_other_backends() -> None:
    """Inductor fuses the softmax of the hand-written attention; products stay a library's."""
    config = ViTConfig.from_name("B/16", attention="manual", **NARROW)
    x_BND = torch.randn(2, 50, 256)
    for backend, compiled in (("inductor", True), ("eager", False)):
        torch.compiler.reset()
        module = build_attention(config)
        module.compile(backend=backend)
        names = dispatched(module, x_BND, train=False)
        assert (INDUCTOR_CPP in names) is compiled
        assert (MATH in names) is not compiled
        assert multiplied(names)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_kernels_of_a_gpu() -> None:
    """A GPU gives one attention kernel and its products, and none of the CPU's."""
    config = ViTConfig.from_name("B/16")
    module = build_attention(config).to("cuda", torch.bfloat16).eval()
    x_BND = torch.randn(2, 197, 768, device="cuda", dtype=torch.bfloat16)
    with torch.inference_mode():
        module(x_BND)
        names = set(kernels_of(lambda: module(x_BND), "cuda"))
    assert len(names & ATTENTION) == 1
    assert any(name.startswith(("cuBLAS", "cutlass")) for name in names)
    assert not any(name.startswith(("oneDNN", "MKL", "ATen")) for name in names)


SPEAKING = """
import ctypes, torch
from bench.costs.kernels import kernels_of
x_NN = torch.ones(64, 64)
def call():
    print("Python")
    ctypes.CDLL(None).puts(b"C")
    x_NN @ x_NN
print("before")
found = kernels_of(call, "cpu")
print("after", len(found))
"""


def test_output_of_others_is_kept_in_order() -> None:
    """Buffered output of Python and C passes in order, without the libraries' lines."""
    command = [sys.executable, "-c", SPEAKING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["before", *2 * ["Python", "C"], "after 1", ""]


def test_undecodable_bytes_pass_unchanged(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Other writers' bytes pass unchanged, even if they are not text."""
    assert library_lines(lambda: os.write(1, b"\xff\x00 half a line")) == ""
    assert capfdbinary.readouterr().out == b"\xff\x00 half a line"


@pytest.mark.parametrize("watch", [library_lines, lambda call: kernels_of(call, "cpu")])
def test_an_error_restores_standard_output(
    watch: Callable[[Callable[[], object]], object], capfd: pytest.CaptureFixture[str]
) -> None:
    """After an exception earlier output is kept and the libraries are silent again."""
    x_NN = torch.ones(64, 64)

    def call() -> None:
        os.write(1, b"inside ")
        x_NN @ x_NN
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch(call)
    os.write(1, b"outside")
    x_NN @ x_NN
    assert capfd.readouterr().out == "inside outside"


def test_no_descriptor_is_left_open() -> None:
    """Repeated use leaves the number of open descriptors unchanged."""
    library_lines(lambda: None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        library_lines(lambda: None)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
