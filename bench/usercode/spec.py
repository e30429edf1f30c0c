"""What a user names on the command line, read and checked early: own arms and their inputs.

An arm is ``FILE.py:factory``, ``package.module:factory`` or ``vitcore:attention=sdpa``; ``#2``
after it marks a further copy, ``@main`` of which git revision it is. Inputs are shapes such as
``1,197,768`` (several with ``;`` between them) or a function that makes them. No torch.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bench.records.comparison import OWN
from bench.records.errors import InputError
from bench.suite.grid import COPY_SUFFIX
from bench.usercode.sources import module_spec
from bench.usercode.vitcore_spec import Part, read_part
from vitcore.config import known

_REVISION = re.compile(r"@[^@:]+$")
_SHAPE = re.compile(r"\s*[0-9]{1,12}\s*(,\s*[0-9]{1,12}\s*)*,?\s*")
_ARMS = "FILE.py:factory, package.module:factory or vitcore:attention=sdpa"
_INPUTS = "a shape such as 1,197,768, or FILE.py:make_inputs"
_WHOLE = {name: name for name in ("int64", "int32", "int16", "int8", "uint8", "bool")}
DTYPES = {
    "float32": "fp32",
    "float64": "fp64",
    "float16": "fp16",
    "bfloat16": "bf16",
    **_WHOLE,
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A function in a user's file or module."""

    place: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether ``place`` is a file's path; else it is a module's name."""
        return self.place.endswith(".py")

    @property
    def file(self) -> Path | None:
        """The file that holds it; None where a module has none."""
        if self.is_file:
            return Path(self.place)
        spec = module_spec(self.place)
        return Path(spec.origin) if spec and spec.has_location and spec.origin else None

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Inputs that are random numbers: one tensor of each shape, by position."""

    shapes: tuple[tuple[int, ...], ...]


ArmSpec = Source | Part
InputSpec = Source | Shapes


def read_arm(text: str) -> ArmSpec:
    """Read an arm. Raises InputError where it cannot be one."""
    what, text = f"arm {text!r}", _REVISION.sub("", COPY_SUFFIX.sub("", text.strip()))
    place, colon, rest = text.partition(":")
    if colon and place == "vitcore":
        return read_part(what, rest)
    return _source(what, text, _ARMS)


def read_inputs(text: str) -> InputSpec:
    """Read inputs. Raises InputError where they cannot be any."""
    what = f"input {text!r}"
    if ":" in text:
        return _source(what, text.strip(), _INPUTS)
    shapes = text.split(";")
    for shape in shapes:
        if not _SHAPE.fullmatch(shape):
            raise InputError(f"{what}: {shape.strip()!r} is no shape; expected {_INPUTS}")
    sizes = tuple(tuple(int(n) for n in shape.split(",") if n.strip()) for shape in shapes)
    if not all(number > 0 for shape in sizes for number in shape):
        raise InputError(f"{what} has a size of 0; expected whole numbers of at least 1")
    return Shapes(shapes=sizes)


def inputs_for(given: str | None, arms: Sequence[ArmSpec]) -> str:
    """The inputs that were given, or else the shape that parts of vitcore among the arms take.

    Raises InputError for inputs that cannot be any, and where none can be inferred.
    """
    if given is not None:
        read_inputs(given)
        return given.strip()
    shapes = list(dict.fromkeys(arm.shape for arm in arms if isinstance(arm, Part)))
    if not shapes:
        raise InputError(
            "no inputs given, and these arms do not tell what they take; give --input with a "
            "shape such as 1,197,768, or --inputs with a function, FILE.py:make_inputs"
        )
    texts = [",".join(map(str, shape)) for shape in shapes]
    if len(texts) > 1:
        raise InputError(
            f"one arm takes {texts[0]} and another {texts[1]}; expected arms that take the same "
            "inputs: compare equal components, variants and image sizes"
        )
    return texts[0]


def precision_of(dtype: str | None) -> str:
    """How an arm calls a type of numbers: ``fp32`` for ``float32``; whole numbers as they are."""
    if dtype is None:
        return OWN
    try:
        return DTYPES[known("dtype", dtype, DTYPES)]
    except ValueError as error:
        raise InputError(str(error)) from error


def _source(what: str, text: str, expected: str) -> Source:
    place, colon, name = (part.strip() for part in text.rpartition(":"))
    if not text.isprintable():
        raise InputError(f"{what} has signs that cannot be shown; expected {expected}")
    if not colon:
        raise InputError(f"{what} names no function after a colon; expected {expected}")
    if not name.isidentifier():
        raise InputError(f"{what}: {name!r} is no name of a function; expected {expected}")
    if place.endswith(".py"):
        _check_file(what, Path(place))
    elif not all(part.isidentifier() for part in place.split(".")):
        raise InputError(
            f"{what}: {place!r} is neither a Python file nor a module; expected {expected}"
        )
    elif module_spec(place) is None:
        raise InputError(
            f"{what}: no module {place!r} here; install it, run from the folder that holds it, "
            "or give a file: FILE.py:factory"
        )
    return Source(place=place, name=name)


def _check_file(what: str, path: Path) -> None:
    try:
        if path.is_file():
            return
        names = [each.name for each in path.parent.glob("*.py")]
    except (OSError, ValueError):  # A name too long, a folder that may not be read, a null byte.
        names = []
    close = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.with_name(close[0])}?" if close else "give its path from here"
    raise InputError(f"{what}: there is no file {str(path)!r}; {hint}")
