"""Targets of the gate: parsed once, and looked up in a version of a tree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.records.errors import InputError
from bench.usercode.sources import binds, module_spec, origin_of
from bench.usercode.spec import ArmSpec, FunctionRef, InputSpec, inputs_for, read_arm, read_inputs
from bench.usercode.vitcore_spec import VitcorePart

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
    """An arm that is compared with itself at the base, and its inputs."""

    arm: ArmSpec
    inputs: InputSpec

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


def read_targets(names: Iterable[str], inputs: str | None) -> tuple[Target, ...]:
    """Parse targets, each once, with the given inputs or those that the arm takes.

    Raises InputError for an unusable target, and if there are none.
    """
    arms = [read_arm(name) for name in dict.fromkeys(names)]
    if not arms:
        raise InputError("no target given; give --targets, or --target package.module:factory")
    given = None if inputs is None else read_inputs(inputs)
    return tuple(Target(arm=arm, inputs=given or inputs_for(None, [arm])) for arm in arms)


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


def is_at(base: Path, target: Target, root: Path, repository: Path) -> bool:
    """Return whether the base defines the function of a target, as far as its source shows."""
    code = target.arm.code
    if isinstance(code, VitcorePart) or code.file is None or code.file.suffix != ".py":
        return True
    folder = base / root.relative_to(repository)
    if code.is_file:
        return binds(folder / code.place, code.name)
    *packages, last = code.place.split(".")
    folder = folder.joinpath(*packages)
    return any(binds(folder / each, code.name) for each in (f"{last}.py", f"{last}/__init__.py"))


def check_here(roots: Mapping[Target, Path], repository: Path) -> None:
    """Raise InputError if this tree lacks the function of a target: it would stay new."""
    for target, root in roots.items():
        code = target.arm.code
        if isinstance(code, FunctionRef) and not is_at(repository, target, root, repository):
            raise InputError(
                f"{target}: {code.file} has no {code.name!r}; name a function that this tree has"
            )
