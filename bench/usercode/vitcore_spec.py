"""Parse a part of vitcore: ``vitcore:attention=sdpa,variant=L/16``. No torch."""

import re
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from bench.records.comparison import USUAL_PIXELS, Arm
from bench.records.errors import InputError
from bench.suite.grid import LEVELS
from vitcore.config import HEADS, VARIANTS, ViTConfig, known

# Factors whose levels change a component.
_USED = {
    "patcher": ("patcher", "layout"),
    "attention": ("attention", "kernel"),
    "block": ("attention", "kernel"),
    "model": ("patcher", "layout", "attention", "kernel", "head"),
}
# Kernels to which an attention can be pinned; ``mha`` to any, in training or in inference.
_PINNED = {
    "manual": ("auto",),
    "mha_weights": ("auto", "no_fast_path"),
    "sdpa": tuple(kernel for kernel in LEVELS["kernel"] if kernel != "no_fast_path"),
}
_KEYS: dict[str, Collection[str]] = {
    "component": tuple(_USED),
    "variant": VARIANTS,
    "head": HEADS,
    **LEVELS,
    "image_size": (),
}


@dataclass(frozen=True, kw_only=True)
class VitcorePart:
    """A part of vitcore; ``precision`` is None if it is that of the inputs."""

    component: str
    variant: str = "B/16"
    image_size: int = USUAL_PIXELS
    patcher: str = "conv"
    attention: str = "sdpa"
    head: str = "linear"
    compile: str = "eager"
    precision: str | None = None
    checkpoint: str = "none"
    optimizer: str = "adamw"
    kernel: str = "auto"
    layout: str = "contiguous"

    def __post_init__(self) -> None:
        known("component", self.component, tuple(_USED))
        for factor, levels in LEVELS.items():
            level = getattr(self, factor)
            if level is not None:
                known(factor, level, levels)
        _ = self.config

    @property
    def config(self) -> ViTConfig:
        """Configuration of the model that contains the part."""
        return ViTConfig.from_name(
            self.variant,
            image_size=self.image_size,
            patcher=self.patcher,
            attention=self.attention,
            head=self.head,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input at batch size 1: image_BCHW, or x_BND inside the encoder."""
        if self.component in ("patcher", "model"):
            return 1, self.config.channels, *self.config.image_hw
        return 1, self.config.tokens, self.config.width

    def arm(self, precision: str) -> Arm:
        """Return the levels of the part, with ``precision`` if it has none of its own."""
        levels = {factor: getattr(self, factor) for factor in LEVELS}
        return Arm(**levels | {"precision": self.precision or precision})


def read_part(what: str, text: str) -> VitcorePart:
    """Parse ``key=level,key=level``. Raises InputError with a message that begins with ``what``."""
    given: dict[str, Any] = {}
    for item in text.split(","):
        key, equals, level = (part.strip() for part in item.partition("="))
        if not equals:
            raise InputError(f"{what}: {key!r} is not key=level; {_hint(key)}")
        if key not in _KEYS:
            raise InputError(f"{what}: unknown key {key!r}; known: {', '.join(_KEYS)}")
        if key in given:
            raise InputError(f"{what} has {key!r} twice; give it once")
        given[key] = _pixels(what, level) if key == "image_size" else level
    try:
        part = VitcorePart(**{"component": _component(given.keys()), **given})
    except ValueError as error:
        raise InputError(f"{what}: {error}") from error
    _check_used(what, part, given)
    return part


def _pixels(what: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise InputError(f"{what}: image_size is {text!r}; expected pixels, such as 224")
    return int(text)


def _hint(level: str) -> str:
    for key, levels in _KEYS.items():
        if level in levels:
            return f"did you mean {key}={level}?"
    return f"known keys: {', '.join(_KEYS)}"


def _component(given: AbstractSet[str]) -> str:
    """Return the component that the keys concern: the model if they concern several, or none."""
    about = [part for part in ("patcher", "attention") if given & set(_USED[part])]
    return about[0] if len(about) == 1 and "head" not in given else "model"


def _check_used(what: str, part: VitcorePart, given: Collection[str]) -> None:
    for key in _USED["model"]:
        if key in given and key not in _USED[part.component]:
            raise InputError(
                f"{what}: {key!r} has no effect on component {part.component!r}; leave it "
                "out, or give component=model"
            )
    kernels = _PINNED.get(part.attention, LEVELS["kernel"])
    if part.kernel not in kernels:
        raise InputError(
            f"{what}: attention {part.attention!r} has no kernel {part.kernel!r}; "
            f"known: {', '.join(kernels)}"
        )
