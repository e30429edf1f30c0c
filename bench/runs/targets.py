"""Targets of the gate: parsed once, and where they are imported from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.records.errors import InputError
from bench.usercode.sources import module_spec, origin_of
from bench.usercode.spec import (
    ArmSpec,
    FunctionRef,
    InputSpec,
    inputs_for,
    parse_arm,
    read_arm,
    read_inputs,
)

# Targets by name; the usual ones are all parts of a forward pass.
TARGETS = {
    "patcher": ("conv", "unfold", "linear"),
    "attention": ("mha", "manual", "sdpa"),
    "block": ("sdpa",),
    "compile": ("compile_blocks",),
    "model": ("sdpa",),
}
USUAL_TARGETS = ("patcher", "attention", "block")


@dataclass(frozen=True, kw_only=True)
class Target:
    """An arm that is compared with itself at the base, and its inputs.

    ``at_base`` is the arm that the base has in its place, if it was given.
    """

    arm: ArmSpec
    inputs: InputSpec
    at_base: ArmSpec | None = None

    @property
    def name(self) -> str:
        """The text that names the arm."""
        return self.arm.text

    def __str__(self) -> str:
        return f"target {self.name!r}"


def named_targets(names: tuple[str, ...], variant: str) -> tuple[str, ...]:
    """Return the arms of names in TARGETS. Raises InputError for another name."""
    found = []
    for name in names:
        if name not in TARGETS:
            raise InputError(f"unknown target {name!r}; known: {', '.join(TARGETS)}")
        factor = name if name in ("patcher", "attention", "compile") else "attention"
        component = {"block": "block,", "compile": "block,", "model": "model,"}.get(name, "")
        parts = f"component={component}" if component else ""
        found += [f"vitcore:{parts}{factor}={each},variant={variant}" for each in TARGETS[name]]
    return tuple(found)


def read_targets(
    names: Iterable[str], inputs: str | None, at_base: Mapping[str, str] | None = None
) -> tuple[Target, ...]:
    """Parse targets, each once, with the given inputs or those that the arm takes.

    ``at_base`` maps names to those at the base. Raises InputError for an unusable target, and if
    there are none.
    """
    arms = [read_arm(name) for name in dict.fromkeys(names)]
    if not arms:
        raise InputError("no target given; give --targets, or --target package.module:factory")
    given = None if inputs is None else read_inputs(inputs)
    base_arms = {name.strip(): parse_arm(text) for name, text in (at_base or {}).items()}
    return tuple(
        Target(arm=a, inputs=given or inputs_for(None, [a]), at_base=base_arms.get(a.text))
        for a in arms
    )


def paired(targets: Sequence[str], at_base: Sequence[str]) -> dict[str, str]:
    """Return the names of targets at the base by those in this tree, given in the same order.

    Raises InputError unless there are none, or one for each target.
    """
    if at_base and len(at_base) != len(targets):
        raise InputError(
            f"{len(at_base)} --base-target for {len(targets)} --target; give one for each, in the "
            "same order"
        )
    return dict(zip(targets, at_base, strict=False))


def root_of(target: Target, repository: Path) -> Path:
    """Return the folder of the tree from which a target is imported.

    Raises InputError if it comes from elsewhere, as an installed package does.
    """
    code = target.arm.code
    if isinstance(code, FunctionRef) and code.is_file:
        # The same relative path must name the base's file.
        path = Path(code.place)
        if path.is_absolute() or not path.resolve().is_relative_to(repository):
            raise InputError(
                f"{target} is not a path from here into {repository}; give it as a relative path, "
                "which both trees have"
            )
        return Path.cwd()
    if isinstance(code, FunctionRef):
        name, file = code.place, code.file
    else:
        name, file = "vitcore", origin_of(module_spec("vitcore"))
    if file is not None:
        levels = len(name.split(".")) + (file.name == "__init__.py") - 1
        root = file.resolve().parents[levels]
        if root.is_relative_to(repository):
            return root
    raise InputError(
        f"{target} is imported from {file or 'nowhere'}, not from {repository}; run from the "
        "folder that holds it, or install it with pip install -e"
    )
