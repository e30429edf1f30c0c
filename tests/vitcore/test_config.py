"""vitcore.config and the package's surface: sizes, names, errors and imports."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

import vitcore
from vitcore.config import VARIANTS, ViTConfig

# Dosovitskiy et al. 2020, Table 1: layers, hidden size D, MLP size, heads; then the patch size.
PAPER = {
    "B/16": (12, 768, 3072, 12, 16),
    "B/32": (12, 768, 3072, 12, 32),
    "L/16": (24, 1024, 4096, 16, 16),
    "L/32": (24, 1024, 4096, 16, 32),
    "H/14": (32, 1280, 5120, 16, 14),
}


def test_surface() -> None:
    """The package exports these names and no others."""
    assert vitcore.__all__ == [
        "VARIANTS",
        "EncoderBlock",
        "Mlp",
        "ViT",
        "ViTConfig",
        "build_attention",
        "build_patcher",
        "transfer",
    ]


@pytest.mark.parametrize("name", vitcore.__all__)
def test_exported_name_resolves(name: str) -> None:
    """Each exported name loads and is the object of that name."""
    value = getattr(vitcore, name)
    assert getattr(value, "__name__", "VARIANTS") == name


def test_unknown_attribute() -> None:
    """A name that the package lacks raises AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="module 'vitcore' has no attribute 'ViTs'"):
        _ = vitcore.ViTs


@pytest.mark.parametrize("module", ["vitcore", "vitcore.config", "vitcore.costs"])
def test_import_without_torch(module: str) -> None:
    """Config and costs import without torch."""
    code = f"import sys, {module}; print('torch' in sys.modules, {module}.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", module]


def test_variants_are_the_papers() -> None:
    """The table of variants holds the paper's Table 1."""
    fields = ("depth", "width", "mlp_width", "heads", "patch_size")
    paper = {name: dict(zip(fields, row, strict=True)) for name, row in PAPER.items()}
    assert paper == VARIANTS


@pytest.mark.parametrize("name", PAPER)
def test_from_name(name: str) -> None:
    """A variant's name gives its sizes at 224 pixels and 1000 classes; keywords change fields."""
    config = ViTConfig.from_name(name)
    assert {field: getattr(config, field) for field in VARIANTS[name]} == VARIANTS[name]
    assert (config.image_hw, config.num_classes, config.head) == ((224, 224), 1000, "linear")
    changed = ViTConfig.from_name(name, depth=1, attention="manual")
    assert changed == replace(config, depth=1, attention="manual")


def test_derived_sizes() -> None:
    """Grid, tokens, head width and patch values follow from the fields, height before width."""
    config = ViTConfig(image_size=(64, 96), patch_size=32, channels=2, width=12, heads=3)
    assert (config.image_hw, config.grid_hw) == ((64, 96), (2, 3))
    assert (config.patches, config.tokens) == (6, 7)
    assert (config.head_width, config.patch_values) == (4, 2048)


def test_config_is_a_frozen_value() -> None:
    """A config cannot be changed, and equal ones are equal and hash alike."""
    config = ViTConfig(depth=2)
    with pytest.raises(FrozenInstanceError):
        config.depth = 3  # type: ignore[misc]
    assert config == ViTConfig(depth=2) != ViTConfig(depth=3)
    assert len({config, ViTConfig(depth=2)}) == 1


def test_config_takes_keywords_only() -> None:
    """Sizes cannot be confused by position."""
    with pytest.raises(TypeError, match="positional"):
        ViTConfig(224, 16)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patcher": "fold"}, r"unknown patcher 'fold'; known: unfold, conv, linear"),
        ({"attention": "x"}, r"unknown attention 'x'; known: mha, mha_weights, manual, sdpa"),
        ({"head": "mpl"}, r"unknown head 'mpl'; known: linear, mlp"),
        ({"image_size": 225}, r"image height 225 .* patch size 16; use 224 or 240"),
        ({"image_size": (224, 250)}, r"image width 250 .* patch size 16; use 240 or 256"),
        ({"image_size": 9}, r"image height 9 .* patch size 16; use 16"),
        ({"width": 6, "heads": 4}, r"4 heads do not divide width 6; .* heads: 1, 2, 3, 6"),
        ({"dropout": 1.0}, r"dropout is 1\.0; expected at least 0 and less than 1"),
        ({"dropout": -0.1}, r"dropout is -0\.1; expected at least 0 and less than 1"),
        ({"dropout": float("nan")}, r"dropout is nan; expected at least 0 and less than 1"),
        ({"image_size": (224,)}, r"image_size is \(224,\); expected one number or two"),
        ({"image_size": True}, r"image height is True; expected a whole number of at least 1"),
        ({"image_size": 0}, r"image height is 0; expected a whole number of at least 1"),
        ({"image_size": (16, -16)}, r"image width is -16; expected a whole number of at least 1"),
        ({"image_size": 224.0}, r"image height is 224\.0; expected a whole number of at least 1"),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    """An invalid config is refused with the value, the expectation and valid values."""
    with pytest.raises(ValueError, match=message):
        ViTConfig(**changes)


@pytest.mark.parametrize("size", [0, -1, 2.0])
@pytest.mark.parametrize(
    "field", ["patch_size", "channels", "width", "depth", "heads", "mlp_width", "num_classes"]
)
def test_sizes_are_whole_and_positive(field: str, size: float) -> None:
    """Every size is a whole number of at least 1."""
    with pytest.raises(ValueError, match=f"{field} is {size}; expected a whole number of at least"):
        ViTConfig(**{field: size})  # type: ignore[arg-type]


def test_unknown_variant() -> None:
    """An unknown variant's error lists the known ones."""
    known = "unknown variant 'B/8'; known: B/16, B/32, L/16, L/32, H/14"
    with pytest.raises(ValueError, match=known):
        ViTConfig.from_name("B/8")
