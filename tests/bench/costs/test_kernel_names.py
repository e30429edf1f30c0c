"""Kernel names from real output of profilers and libraries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.costs.kernels import (
    ATEN_CONVOLUTION,
    ATEN_GEMM,
    CUDNN_ATTENTION,
    CUDNN_CONVOLUTION,
    EFFICIENT,
    ENCODER_LAYER,
    FLASH,
    INDUCTOR_CPP,
    INDUCTOR_TRITON,
    MATH,
    NATIVE_MHA,
    condense,
)

OPERATORS = {
    "aten::_scaled_dot_product_flash_attention_for_cpu": FLASH,
    "aten::_scaled_dot_product_flash_attention": FLASH,
    "aten::_flash_attention_forward": FLASH,
    "aten::_scaled_dot_product_efficient_attention": EFFICIENT,
    "aten::_efficient_attention_forward": EFFICIENT,
    "aten::_scaled_dot_product_cudnn_attention": CUDNN_ATTENTION,
    "aten::_scaled_dot_product_attention_math": MATH,
    "aten::_native_multi_head_attention": NATIVE_MHA,
    "aten::_transformer_encoder_layer_fwd": ENCODER_LAYER,
    "aten::cudnn_convolution": CUDNN_CONVOLUTION,
    "aten::_slow_conv2d_forward": ATEN_CONVOLUTION,
    "aten::scaled_dot_product_attention": None,
    "aten::_slow_conv2d_backward": None,
    "aten::linear": None,
    "aten::mkldnn_convolution": None,
    "autograd::engine::evaluate_function: AddmmBackward0": None,
    "AOTDispatcher Runtime Wrapper Prologue": None,
}
DEVICE_KERNELS = {
    "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4, false, false, "
    "cutlass::bfloat16_t, Flash_kernel_traits<64, 128, 128, 4, cutlass::bfloat16_t> >>": FLASH,
    "void flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<Flash_bwd_kernel_traits<64>>": FLASH,
    "fmha_cutlassF_f32_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel)": EFFICIENT,
    "fmha_cutlassB_bf16_aligned_64x64_k64_sm80(PyTorchMemEffAttention::X)": EFFICIENT,
    "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128_4x": (
        CUDNN_ATTENTION
    ),
    "cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma_f16_knob_26_64x64x128_1x": (
        CUDNN_ATTENTION
    ),
    "sm80_xmma_fprop_implicit_gemm_f32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize256x64x32": (
        CUDNN_CONVOLUTION
    ),
    "void implicit_convolve_sgemm<float, float, 1024, 5, 5, 3, 3, 3, 1, false>": (
        CUDNN_CONVOLUTION
    ),
    "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688fprop_optimized_tf32_64x64_16x10>": (
        CUDNN_CONVOLUTION
    ),
    "ampere_scudnn_128x64_relu_xregs_large_nn_v": CUDNN_CONVOLUTION,
    "void cudnn::cnn::conv2d_grouped_direct_kernel<false, true>": CUDNN_CONVOLUTION,
    "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_256x64_32x4_nn_align8>": (
        "cutlass 80_tensorop_bf16_s16816gemm"
    ),
    "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x64_8x5_nn_align1>(Params)": (
        "cutlass 80_simt_sgemm"
    ),
    "void cutlass::device_kernel<cutlass::gemm::kernel::GemmUniversal<cute::tuple<int>>>": (
        "cutlass"
    ),
    "ampere_sgemm_128x64_tn": "cuBLAS ampere_sgemm",
    "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_nn": ("cuBLAS ampere_bf16_s16816gemm"),
    "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1": (
        "cuBLAS sm90_xmma_gemm_bf16bf16_bf16f32_f32"
    ),
    "nvjet_tst_256x128_64x4_1x2_h_bz_coopA_NTN": "cuBLAS nvjet_tst",
    "nvjet_sm100_tst_64x32_64x16_2x1_2cta_h_bz_TNT": "cuBLAS nvjet_sm100_tst",
    "void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16>": "cuBLAS",
    "void gemv2T_kernel_val<int, int, float, float, float, float, 128, 16, 4, 4>": "cuBLAS",
    "triton_per_fused_add_native_layer_norm_3": INDUCTOR_TRITON,
    "triton_tem_fused_addmm_7": INDUCTOR_TRITON,
    "void at::native::vectorized_elementwise_kernel<4, at::native::GeluCUDAKernelImpl>": None,
    "void cudnn::engines_precompiled::nchwToNhwcKernel<float, float, float, false>": None,
    "Memcpy HtoD (Pageable -> Device)": None,
}
SAID = {
    "onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx512_core,forward_training,src:f32": (
        "oneDNN convolution jit:avx512_core"
    ),
    "onednn_verbose,v1,primitive,exec,cpu,convolution,x64:gemm:jit,backward_weights,src:f32": (
        "oneDNN convolution x64:gemm:jit"
    ),
    "onednn_verbose,v1,1714.25,primitive,exec,cpu,matmul,brg_matmul:avx512_core_bf16,undef,src": (
        "oneDNN matmul brg_matmul:avx512_core_bf16"
    ),
    "onednn_verbose,primitive,exec,cpu,inner_product,gemm:acl,forward_inference,src_f32": (
        "oneDNN inner_product gemm:acl"
    ),
    "onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32:a:blocked:abcd::f0": None,
    "onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support": None,
    "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation": None,
    "MKL_VERBOSE SGEMM(T,N,2304,394,768,0x7ffc,0x7f93,768,0x7f93,768) 7.98ms CNR:OFF": "MKL SGEMM",
    "MKL_VERBOSE SGEMM_BATCH(T,N,0x7f,0x55,0x7f) 1.2ms CNR:OFF Dyn:1": "MKL SGEMM_BATCH",
    "MKL_VERBOSE GEMM_BF16BF16F32(T,N,197,64,64,0x7f,0x55) 8us": "MKL GEMM_BF16BF16F32",
    "MKL_VERBOSE SAXPY(768,0x7f,0x55,1,0x55,1) 1us": None,
    "MKL_VERBOSE oneMKL 2024.0 Update 2 Product build 20240605 for Intel(R) 64": None,
    "MKL_VERBOSE Intel(R) MKL 2020.0 Update 4 Product build 20200917": None,
}


def only(name: str | None) -> tuple[str, ...]:
    """One name or none."""
    return () if name is None else (name,)


@pytest.mark.parametrize(("operator", "name"), OPERATORS.items())
def test_operators_have_names(operator: str, name: str | None) -> None:
    """Operators that choose a kernel have names; wrappers, preparation and backward have none."""
    assert condense([operator], [], None) == only(name)


@pytest.mark.parametrize(("kernel", "name"), DEVICE_KERNELS.items())
def test_kernels_of_a_device_have_names(kernel: str, name: str | None) -> None:
    """Device kernels of any library have names without tile sizes."""
    assert condense([], [kernel], None) == only(name)


@pytest.mark.parametrize(("line", "name"), SAID.items())
def test_lines_of_libraries_have_names(line: str, name: str | None) -> None:
    """A verbose line gives a routine or implementation; headings and reorders give none."""
    assert condense([], [], f"{line}\n") == only(name)


def test_a_routine_is_named_once_however_often_it_ran() -> None:
    """A routine of thousands of verbose lines is listed once."""
    said = "".join(f"{line}\n" for line in SAID) * 1000
    names = {name for name in SAID.values() if name}
    found = condense([], [], said)
    assert (len(found), set(found)) == (len(names), names)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", (ATEN_GEMM,)),
        ("MKL_VERBOSE SGEMM(T,N) 1us\n", ("MKL SGEMM",)),
        ("MKL_VERBOSE GEMM_F16F16F32(T,N) 1us\n", (ATEN_GEMM, "MKL GEMM_F16F16F32")),
        ("onednn_verbose,v1,primitive,exec,cpu,matmul,jit:x,undef\n", ("oneDNN matmul jit:x",)),
        (
            "onednn_verbose,v1,primitive,exec,cpu,convolution,jit:x,undef\n",
            ("oneDNN convolution jit:x", ATEN_GEMM),
        ),
        (None, ()),
    ],
)
def test_a_product_without_a_library_line_is_atens(
    said: str | None, found: tuple[str, ...]
) -> None:
    """A product is ATen's without a verbose line of its own, and unknown without any output."""
    for operator in ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"):
        assert condense([operator], [], said) == found


def test_batched_products_and_a_softmax_are_attention() -> None:
    """Both together are hand-written attention, unless a fused kernel ran; one alone is not."""
    by_hand = ["aten::bmm", "aten::_softmax"]
    assert condense(by_hand, [], None) == (MATH,)
    assert condense([*by_hand, "aten::_native_multi_head_attention"], [], None) == (NATIVE_MHA,)
    assert condense([*by_hand, "aten::addmm"], ["fmha_cutlassF_f32"], None) == (EFFICIENT,)
    assert condense(["aten::bmm", "aten::_log_softmax"], [], None) == ()
    assert condense(["aten::mm", "aten::_softmax"], [], None) == ()


def test_inductors_code_is_cpp_where_the_cpu_ran_it() -> None:
    """A compiled region is C++ without device kernels; another backend's region has no name."""
    region = "## Call CompiledFxGraph f45w5uie6vu26muvstr4w7xu24vqjehqqv4qkqr5mzq7vms6urbu ##"
    assert condense([region], [], "") == (INDUCTOR_CPP,)
    assert condense([region], ["triton_poi_fused_gelu_0"], None) == (INDUCTOR_TRITON,)
    assert condense(["Torch-Compiled Region: 0/0"], [], "") == ()


@settings(deadline=None)
@given(
    operators=st.lists(st.sampled_from(sorted(OPERATORS)) | st.text()),
    kernels=st.lists(st.sampled_from(sorted(DEVICE_KERNELS)) | st.text()),
    lines=st.lists(st.sampled_from(sorted(SAID)) | st.text()),
)
def test_names_are_unique_with_products_last(
    operators: list[str], kernels: list[str], lines: list[str]
) -> None:
    """Names are unique, products last, for any order and number of inputs."""
    found = condense(operators, kernels, "\n".join(lines))
    assert len(found) == len(set(found))
    tells = [
        any(word in name for word in ("attention", "fast path", "convolution")) for name in found
    ]
    assert tells == sorted(tells, reverse=True)
    again = condense(operators[::-1] * 2, kernels[::-1] * 2, "\n".join(lines[::-1] * 2))
    assert again == found
