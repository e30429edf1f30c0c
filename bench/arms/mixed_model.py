"""A model whose parts are exchanged from call to call, timed at their borders.

Each block of a call uses the attention, or the whole block, of one arm; all arms hold the same
weights. So every part is measured in the state that it has inside a model: its weights are cold,
its input has just been written.

Axes: B batch, N tokens, D token width.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from bench.arms import building
from bench.arms.candidate import Candidate
from bench.arms.compiling import compile_in_place
from bench.arms.levels import lay_out, pinned_kernel
from bench.arms.placebos import put_placebo
from bench.records.comparison import Arm, Workload
from bench.timing.clocks import Marks
from vitcore.weights import tie

# The place of an arm's own part; the baseline and its copy are everywhere their own.
PATCHER, ATTENTION, BLOCK, EVERYWHERE = "patcher", "attention", "block", "everywhere"
MLP = "mlp"


@dataclass(frozen=True)
class Draw:
    """The arms of one call by name: patchers, all called in this order, and one for each block."""

    patchers: tuple[str, ...]
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """Seconds of one part of a call, by its place and its arm; an MLP is that behind the arm's."""

    place: str
    arm: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CallTimes:
    """Seconds of one call: of its parts in their order, of everything else, in total."""

    spans: Sequence[Span]
    rest_s: float
    total_s: float

    @cached_property
    def parts_s(self) -> Mapping[tuple[str, str], Sequence[float]]:
        """Seconds by place and arm; a block is its attention and its MLP."""
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        attention_s = 0.0
        for span in self.spans:
            if span.place == MLP:
                found[BLOCK, span.arm].append(attention_s + span.seconds)
            else:
                found[span.place, span.arm].append(span.seconds)
                attention_s = span.seconds
        return found


@dataclass(frozen=True, kw_only=True)
class _Part:
    place: str
    arm: Arm
    patcher: nn.Module
    blocks: Sequence[Any]
    pin: Callable[[], Any]


class MixedModel:
    """A model of ``depth`` blocks with the baseline everywhere; ``add`` adds arms.

    ``workload`` is that of the whole model. Raises UnavailableError if this machine cannot run the
    baseline.
    """

    def __init__(self, workload: Workload, baseline: Arm, depth: int) -> None:
        self.workload = replace(workload, component="model")
        self.baseline, self.depth = baseline, depth
        module = building.build_module(baseline, self.workload, depth=depth)
        input_BCHW = building.random_inputs(self.workload)
        self.host = building.candidate_of(baseline, self.workload, module, input_BCHW)
        self._parts: dict[str, _Part] = {}
        # The arm whose part is under way, to name it where a call raises.
        self.running = ""

    def add(self, name: str, place: str, arm: Arm) -> None:
        """Add an arm under a name; ``place`` is the part in which it differs from the baseline.

        Raises UnavailableError if this machine cannot run it.
        """
        module: Any = building.blank_module(arm, self.workload, depth=self.depth, device="meta")
        tie(self.host.module, module)
        put_placebo(module, arm.placebo)
        module.eval()
        lay_out(module.patcher, arm.layout)
        compile_in_place(module, arm.compile)
        self._parts[name] = _Part(
            place=place,
            arm=arm,
            patcher=module.patcher,
            blocks=module.blocks,
            pin=pinned_kernel(arm.kernel),
        )

    def alone(self, name: str, place: str) -> Candidate:
        """Return an arm's part of the first block, or its patcher, as an arm by itself."""
        part = self._parts[name]
        module: nn.Module = part.patcher
        if place != PATCHER:
            module = part.blocks[0].attention.branch if place == ATTENTION else part.blocks[0]
        workload = replace(self.workload, component=place)
        # The module is compiled already.
        levels = replace(part.arm, compile="eager")
        return building.candidate_of(levels, workload, module, building.random_inputs(workload))

    def drop(self, name: str) -> None:
        """Remove an arm."""
        self._parts.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def place(self, name: str) -> str:
        """Return the place of an arm."""
        return self._parts[name].place

    def names(self, *places: str) -> list[str]:
        """Return the names of the arms with these places, in the order in which they were added."""
        return [name for name, part in self._parts.items() if part.place in places]

    def call(self, draw: Draw, marks: Marks, images: int | None = None) -> CallTimes:
        """Call the model once with the drawn arms, on the first ``images`` (None: the batch)."""
        host: Any = self.host.module
        places: list[tuple[str, str] | None] = []

        def end(place: tuple[str, str] | None) -> None:
            marks.mark()
            places.append(place)

        with self.host.autocast(), self.host.products():
            (image_BCHW,) = self.host.inputs.args
            self.host.touch_inputs()
            image_BCHW = image_BCHW[:images]
            marks.begin()
            for name in draw.patchers:
                self.running = name
                x_BND = self._parts[name].patcher(image_BCHW)
                end((PATCHER, name))
            x_BND = host.dropout(host.position(host.class_token(x_BND)))
            end(None)
            for place, name in enumerate(draw.blocks):
                x_BND = self._block(place, name, x_BND, end)
            self.running = ""
            host.head(host.first_token(x_BND))
            end(None)
        return _summed(places, marks.spans_s())

    def _block(
        self, place: int, name: str, x_BND: Tensor, end: Callable[[tuple[str, str] | None], None]
    ) -> Tensor:
        """Run one block; the MLP behind an arm's attention is the baseline's."""
        part, self.running = self._parts[name], name
        host: Any = self.host.module
        block = part.blocks[place]
        if part.place == BLOCK:
            with part.pin():
                x_BND = block(x_BND)
            end((BLOCK, name))
            return x_BND
        with part.pin():
            x_BND = block.attention(x_BND)
        end((ATTENTION, name))
        x_BND = (block if part.place == EVERYWHERE else host.blocks[place]).mlp(x_BND)
        end((MLP, name))
        return x_BND


def balanced_draw(
    patchers: Sequence[str], blocks: Sequence[str], depth: int, source: random.Random
) -> Draw:
    """Draw the arms of a call: each has as many blocks as any other, or one more, at random.

    A model has one patcher and it takes little time, so every patcher is called in every call.
    """
    start = source.randrange(len(blocks))
    drawn = [blocks[(start + place) % len(blocks)] for place in range(depth)]
    source.shuffle(drawn)
    return Draw(tuple(source.sample(patchers, len(patchers))), tuple(drawn))


def _summed(places: Sequence[tuple[str, str] | None], spans_s: Sequence[float]) -> CallTimes:
    found = list(zip(places, spans_s, strict=True))
    return CallTimes(
        spans=tuple(Span(*place, span_s) for place, span_s in found if place is not None),
        rest_s=sum(span_s for place, span_s in found if place is None),
        total_s=sum(spans_s),
    )
