"""bench.usercode.vitcore_spec: parts of vitcore by name, and their input shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.comparison import Arm
from bench.records.errors import InputError
from bench.suite.grid import LEVELS
from bench.usercode.vitcore_spec import VitcorePart, read_part
from vitcore.config import ATTENTIONS, HEADS, PATCHERS, VARIANTS


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("attention=sdpa", VitcorePart(component="attention")),
        (
            "attention=mha,variant=L/16",
            VitcorePart(component="attention", attention="mha", variant="L/16"),
        ),
        ("patcher=linear", VitcorePart(component="patcher", patcher="linear")),
        ("patcher=conv,attention=mha", VitcorePart(component="model", attention="mha")),
        ("head=mlp", VitcorePart(component="model", head="mlp")),
        (
            "variant=B/32,image_size=64",
            VitcorePart(component="model", variant="B/32", image_size=64),
        ),
        ("component=block,attention=mha", VitcorePart(component="block", attention="mha")),
        ("component=model,patcher=unfold", VitcorePart(component="model", patcher="unfold")),
        (
            "attention=mha,compile=compile_blocks,precision=amp_bf16",
            VitcorePart(
                component="attention",
                attention="mha",
                compile="compile_blocks",
                precision="amp_bf16",
            ),
        ),
        ("kernel=math", VitcorePart(component="attention", kernel="math")),
        (
            "attention=mha,kernel=no_fast_path,component=block",
            VitcorePart(component="block", attention="mha", kernel="no_fast_path"),
        ),
        ("layout=channels_last", VitcorePart(component="patcher", layout="channels_last")),
        (
            "layout=channels_last,kernel=flash",
            VitcorePart(component="model", layout="channels_last", kernel="flash"),
        ),
        ("head=mlp,kernel=flash", VitcorePart(component="model", head="mlp", kernel="flash")),
        ("checkpoint=blocks", VitcorePart(component="model", checkpoint="blocks")),
        ("patcher=conv,optimizer=sgd", VitcorePart(component="patcher", optimizer="sgd")),
        (" attention = sdpa , variant = B/16 ", VitcorePart(component="attention")),
    ],
)
def test_the_component_follows_from_the_keys(text: str, part: VitcorePart) -> None:
    """A lone attention or patcher key gives that component, anything else a model."""
    assert read_part("arm", text) == part


@given(
    patcher=st.sampled_from(PATCHERS),
    attention=st.sampled_from(ATTENTIONS),
    head=st.sampled_from(HEADS),
    variant=st.sampled_from(sorted(VARIANTS)),
    how=st.sampled_from(LEVELS["compile"]),
    precision=st.sampled_from(LEVELS["precision"]),
    layout=st.sampled_from(LEVELS["layout"]),
    checkpoint=st.sampled_from(LEVELS["checkpoint"]),
    optimizer=st.sampled_from(LEVELS["optimizer"]),
)
def test_every_level_is_accepted(head: str, variant: str, how: str, **levels: str) -> None:
    """Every level of vitcore and of the grid is accepted and set on the arm."""
    named = {"head": head, "variant": variant, "compile": how, **levels}
    part = read_part("arm", ",".join(f"{key}={level}" for key, level in named.items()))
    assert (part.head, part.config.head, part.variant) == (head, head, variant)
    assert part.arm("bf16") == Arm(compile=how, **levels)


KERNELS = {
    "mha": LEVELS["kernel"],
    "mha_weights": ("auto", "no_fast_path"),
    "manual": ("auto",),
    "sdpa": ("auto", "flash", "efficient", "cudnn", "math"),
}


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("kernel", LEVELS["kernel"])
def test_an_attention_accepts_only_its_kernels(attention: str, kernel: str) -> None:
    """A kernel that the attention cannot use is refused with the valid ones."""
    text = f"attention={attention},kernel={kernel}"
    if kernel in KERNELS[attention]:
        assert read_part("arm", text).arm("fp32") == Arm(attention=attention, kernel=kernel)
        return
    with pytest.raises(InputError, match=f"'{attention}' has no kernel '{kernel}'; known: auto"):
        read_part("arm", text)


def test_a_part_has_the_precision_of_the_inputs() -> None:
    """Without a precision of its own a part uses ``--dtype``."""
    assert VitcorePart(component="model").arm("bf16").precision == "bf16"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not key=level; known keys: component, variant"),
        ("sdpa", "'sdpa' is not key=level; did you mean attention=sdpa?"),
        ("attention=sdpa,L/16", "'L/16' is not key=level; did you mean variant=L/16?"),
        ("attention=sdpa,", "'' is not key=level"),
        ("speed=fast", "unknown key 'speed'; known: component, variant, head, patcher"),
        ("attention=flash", "unknown attention 'flash'; known: mha, mha_weights, manual, sdpa"),
        ("attention=", "unknown attention ''; known: mha"),
        ("attention=sdpa=2", "unknown attention 'sdpa=2'"),
        ("variant=b/16", "unknown variant 'b/16'; known: B/16"),
        ("component=head", "unknown component 'head'; known: patcher, attention, block, model"),
        ("compile=max", "unknown compile 'max'; known: eager, compile, compile_blocks"),
        ("precision=int8", "unknown precision 'int8'; known: fp32"),
        ("kernel=fast", "unknown kernel 'fast'; known: auto, flash, efficient, cudnn, math, no_"),
        ("layout=nhwc", "unknown layout 'nhwc'; known: contiguous, channels_last"),
        ("checkpoint=all", "unknown checkpoint 'all'; known: none, blocks"),
        ("optimizer=adam", "unknown optimizer 'adam'; known: adamw, adamw_loop"),
        ("math", "'math' is not key=level; did you mean kernel=math?"),
        ("attention=sdpa,attention=mha", "has 'attention' twice; give it once"),
        ("image_size=big", "image_size is 'big'; expected pixels, such as 224"),
        ("image_size=" + "9" * 5000, "expected pixels"),
        ("image_size=225", "image height 225 is not a multiple of patch size 16; use 224 or 240"),
        ("image_size=0", "expected a whole number of at least 1"),
    ],
)
def test_invalid_parts_are_refused(text: str, said: str) -> None:
    """The error starts with the arm and lists the valid names."""
    with pytest.raises(InputError) as raised:
        read_part("arm 'vitcore:…'", text)
    assert str(raised.value).startswith("arm 'vitcore:…'")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("component=patcher,attention=mha", "attention"),
        ("component=attention,patcher=conv", "patcher"),
        ("component=block,head=mlp", "head"),
        ("component=patcher,kernel=math", "kernel"),
        ("component=attention,layout=channels_last", "layout"),
        ("component=block,layout=channels_last", "layout"),
    ],
)
def test_a_level_without_effect_is_refused(text: str, key: str) -> None:
    """A level that does not change the component is refused."""
    with pytest.raises(InputError, match=f"'{key}' has no effect on component"):
        read_part("arm", text)


@pytest.mark.parametrize(
    ("component", "shape"),
    [
        ("patcher", (1, 3, 64, 64)),
        ("attention", (1, 5, 768)),
        ("block", (1, 5, 768)),
        ("model", (1, 3, 64, 64)),
    ],
)
def test_the_input_shape_of_a_part(component: str, shape: tuple[int, ...]) -> None:
    """Parts of the encoder take tokens, the others an image."""
    assert VitcorePart(component=component, variant="B/32", image_size=64).shape == shape
