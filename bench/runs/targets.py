"""What a gate measures: targets by their names, and whether a version of a tree has them."""

from collections.abc import Mapping
from pathlib import Path

from bench.records.errors import InputError
from bench.usercode.sources import binds, module_spec
from bench.usercode.spec import read_arm
from bench.usercode.vitcore_spec import Part

# What is gated where nobody says: every part that a forward pass is made of.
TARGETS = {
    "patcher": ("conv", "unfold", "linear"),
    "attention": ("mha", "manual", "sdpa"),
    "block": ("sdpa",),
    "compile": ("compile_blocks",),
    "model": ("sdpa",),
}
USUAL_TARGETS = ("patcher", "attention", "block")


def named_targets(names: tuple[str, ...], variant: str) -> tuple[str, ...]:
    """The arms behind names of TARGETS. Raises InputError for another name."""
    found = []
    for name in names:
        if name not in TARGETS:
            raise InputError(f"unknown target {name!r}; known: {', '.join(TARGETS)}")
        factor = name if name in ("patcher", "attention", "compile") else "attention"
        component = {"block": "block,", "compile": "block,", "model": "model,"}.get(name, "")
        parts = f"component={component}" if component else ""
        found += [f"vitcore:{parts}{factor}={each},variant={variant}" for each in TARGETS[name]]
    return tuple(found)


def root_of(target: str, repository: Path) -> Path:
    """The folder of the tree from which a target is imported.

    Raises InputError where it comes from elsewhere, as an installed package does.
    """
    spec = read_arm(target)
    if not isinstance(spec, Part) and spec.is_file:
        # The same path from the base's folder must be the base's file.
        path = Path(spec.place)
        if path.is_absolute() or not path.resolve().is_relative_to(repository):
            raise InputError(
                f"target {target!r} is no path from here into {repository}; give it as a relative "
                "one, which both trees have"
            )
        return Path.cwd()
    name = "vitcore" if isinstance(spec, Part) else spec.place
    found = module_spec(name)
    places = [found.origin] if found and found.has_location and found.origin else []
    for place in map(Path, places):
        levels = len(name.split(".")) + (place.name == "__init__.py") - 1
        root = place.resolve().parents[levels]
        if root.is_relative_to(repository):
            return root
    raise InputError(
        f"target {target!r} is imported from {places[0] if places else 'nowhere'}, not from "
        f"{repository}; run from the folder that holds it, or install it with pip install -e"
    )


def is_at(base: Path, target: str, root: Path, repository: Path) -> bool:
    """Whether the base has what a target names, as far as reading its file tells."""
    spec = read_arm(target)
    if isinstance(spec, Part) or spec.file is None or spec.file.suffix != ".py":
        return True
    place = base / root.relative_to(repository)
    if spec.is_file:
        return binds(place / spec.place, spec.name)
    *packages, last = spec.place.split(".")
    folder = place.joinpath(*packages)
    return any(binds(folder / each, spec.name) for each in (f"{last}.py", f"{last}/__init__.py"))


def check_here(roots: Mapping[str, Path], repository: Path) -> None:
    """Raise InputError where this tree has not what a target names: it would be new for ever."""
    for target, root in roots.items():
        spec = read_arm(target)
        if not is_at(repository, target, root, repository) and not isinstance(spec, Part):
            raise InputError(
                f"target {target!r}: {spec.file} has no {spec.name!r}; name a function that this "
                "tree has"
            )
