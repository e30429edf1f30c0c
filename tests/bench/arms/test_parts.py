"""bench.arms.parts: parts of vitcore by name, and what each takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arms.parts import Part, read_part
from bench.cases import LEVELS
from bench.record import Arm, InputError
from vitcore.config import ATTENTIONS, HEADS, PATCHERS, VARIANTS


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("attention=sdpa", Part(component="attention")),
        (
            "attention=mha,variant=L/16",
            Part(component="attention", attention="mha", variant="L/16"),
        ),
        ("patcher=linear", Part(component="patcher", patcher="linear")),
        ("patcher=conv,attention=mha", Part(component="model", attention="mha")),
        ("head=mlp", Part(component="model", head="mlp")),
        ("variant=B/32,image_size=64", Part(component="model", variant="B/32", image_size=64)),
        ("component=block,attention=mha", Part(component="block", attention="mha")),
        ("component=model,patcher=unfold", Part(component="model", patcher="unfold")),
        (
            "attention=mha,compile=compile_blocks,precision=amp_bf16",
            Part(
                component="attention",
                attention="mha",
                compile="compile_blocks",
                precision="amp_bf16",
            ),
        ),
        (" attention = sdpa , variant = B/16 ", Part(component="attention")),
    ],
)
def test_the_component_is_what_the_keys_are_about(text: str, part: Part) -> None:
    """An attention alone is an attention, a patcher a patcher, everything else a model."""
    assert read_part("arm", text) == part


@given(
    patcher=st.sampled_from(PATCHERS),
    attention=st.sampled_from(ATTENTIONS),
    head=st.sampled_from(HEADS),
    variant=st.sampled_from(sorted(VARIANTS)),
    how=st.sampled_from(LEVELS["compile"]),
    precision=st.sampled_from(LEVELS["precision"]),
)
def test_every_level_is_known(
    patcher: str, attention: str, head: str, variant: str, how: str, precision: str
) -> None:
    """Whatever vitcore and the grid know can be named, and becomes the arm's levels."""
    text = f"patcher={patcher},attention={attention},head={head},variant={variant}"
    part = read_part("arm", f"{text},compile={how},precision={precision}")
    assert (part.head, part.config.head, part.variant) == (head, head, variant)
    assert part.arm("bf16") == Arm(
        patcher=patcher, attention=attention, compile=how, precision=precision
    )


def test_without_a_precision_a_part_takes_that_of_the_inputs() -> None:
    """``--dtype`` is for parts of vitcore too."""
    assert Part(component="model").arm("bf16").precision == "bf16"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no key=level; known keys: component, variant"),
        ("sdpa", "'sdpa' is no key=level; did you mean attention=sdpa?"),
        ("attention=sdpa,L/16", "'L/16' is no key=level; did you mean variant=L/16?"),
        ("attention=sdpa,", "'' is no key=level"),
        ("speed=fast", "unknown key 'speed'; known: component, variant, head, patcher"),
        ("attention=flash", "unknown attention 'flash'; known: mha, mha_weights, manual, sdpa"),
        ("attention=", "unknown attention ''; known: mha"),
        ("attention=sdpa=2", "unknown attention 'sdpa=2'"),
        ("variant=b/16", "unknown variant 'b/16'; known: B/16"),
        ("component=head", "unknown component 'head'; known: patcher, attention, block, model"),
        ("compile=max", "unknown compile 'max'; known: eager, compile, compile_blocks"),
        ("precision=int8", "unknown precision 'int8'; known: fp32"),
        ("attention=sdpa,attention=mha", "has 'attention' twice; give it once"),
        ("image_size=big", "image_size is 'big'; expected pixels, such as 224"),
        ("image_size=" + "9" * 5000, "expected pixels"),
        ("image_size=225", "image height 225 is no multiple of patch size 16; use 224 or 240"),
        ("image_size=0", "expected a whole number of at least 1"),
    ],
)
def test_what_is_no_part_is_refused(text: str, said: str) -> None:
    """The message begins with the arm, and lists what is known."""
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
    ],
)
def test_a_level_without_effect_is_refused(text: str, key: str) -> None:
    """Two arms that differ in it alone would be the same, and look like two."""
    with pytest.raises(InputError, match=f"'{key}' says nothing about component"):
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
def test_what_a_part_takes(component: str, shape: tuple[int, ...]) -> None:
    """Parts of the encoder take tokens, the others an image."""
    assert Part(component=component, variant="B/32", image_size=64).shape == shape
