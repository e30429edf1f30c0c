"""Parse the arms and inputs that a user names, once, into records. No torch.

An arm is ``FILE.py:factory``, ``package.module:factory`` or ``vitcore:attention=sdpa``; ``#2``
after it marks a further copy, ``@main`` a git revision. Inputs are shapes such as ``1,197,768``
(several separated by ``;``) or a function that returns them. The command line parses them for a
request; a worker process parses the same text again, from its task.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from bench.records.comparison import OWN
from bench.records.errors import InputError
from bench.suite.own_arms import COPY_SUFFIX
from bench.usercode.sources import module_spec, origin_of
from bench.usercode.vitcore_spec import VitcorePart, read_part
from vitcore.config import known

# A function, and after the first @ a revision, which may hold any character: main@{0}, :/text.
_AT_REVISION = re.compile(r"((?:.+?\.py|[\w.]+):[^@:]*)@.*", re.DOTALL)
_SHAPE = re.compile(r"\s*[0-9]{1,12}\s*(,\s*[0-9]{1,12}\s*)*,?\s*")
_ARMS = "FILE.py:factory, package.module:factory or vitcore:attention=sdpa"
_INPUTS = "a shape such as 1,197,768, or FILE.py:make_inputs"
_INTEGERS = {name: name for name in ("int64", "int32", "int16", "int8", "uint8", "bool")}
DTYPES = {
    "float32": "fp32",
    "float64": "fp64",
    "float16": "fp16",
    "bfloat16": "bf16",
    **_INTEGERS,
}


@dataclass(frozen=True, kw_only=True)
class FunctionRef:
    """A function in a user's file or module, by its place and name.

    ``file`` is its file; None for a module without one, or before the look-up.
    """

    place: str
    name: str
    file: Path | None = field(default=None, compare=False)

    @property
    def is_file(self) -> bool:
        """Whether ``place`` is the path of a file; otherwise it is the name of a module."""
        return self.place.endswith(".py")

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Random inputs: one tensor of each shape, by position."""

    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    """An arm: the text that names it in rows and plans, and the code that the text refers to."""

    text: str
    code: FunctionRef | VitcorePart

    def __str__(self) -> str:
        return f"arm {self.text!r}"


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Inputs: the text that names them in plans, and the shapes or function it refers to."""

    text: str
    code: FunctionRef | Shapes

    def __str__(self) -> str:
        return f"input {self.text!r}"


def parse_arm(text: str) -> ArmSpec:
    """Parse the text of an arm without looking anything up. Raises InputError."""
    what, name = f"arm {text!r}", text.strip()
    base = COPY_SUFFIX.sub("", _AT_REVISION.sub(r"\1", name))
    place, colon, rest = base.partition(":")
    if colon and place == "vitcore":
        return ArmSpec(text=name, code=read_part(what, rest))
    return ArmSpec(text=name, code=_parse_function(what, base, _ARMS))


def read_arm(text: str) -> ArmSpec:
    """Parse an arm and look up its file or module. Raises InputError if that does not exist."""
    arm = parse_arm(text)
    if isinstance(arm.code, VitcorePart):
        return arm
    return replace(arm, code=_located(f"arm {text!r}", arm.code))


def read_inputs(text: str) -> InputSpec:
    """Parse inputs and look up their file or module. Raises InputError."""
    what, name = f"input {text!r}", text.strip()
    if ":" in text:
        return InputSpec(text=name, code=_located(what, _parse_function(what, name, _INPUTS)))
    shapes = text.split(";")
    for shape in shapes:
        if not _SHAPE.fullmatch(shape):
            raise InputError(f"{what}: {shape.strip()!r} is not a shape; expected {_INPUTS}")
    sizes = tuple(tuple(int(n) for n in shape.split(",") if n.strip()) for shape in shapes)
    if not all(number > 0 for shape in sizes for number in shape):
        raise InputError(f"{what} has a size of 0; expected whole numbers of at least 1")
    return InputSpec(text=name, code=Shapes(shapes=sizes))


def inputs_for(given: str | None, arms: Sequence[ArmSpec]) -> InputSpec:
    """Return the given inputs, or the input shape of the vitcore parts among the arms.

    Raises InputError for unusable inputs, and if none are given and no shape can be inferred.
    """
    if given is not None:
        return read_inputs(given)
    parts = (arm.code for arm in arms if isinstance(arm.code, VitcorePart))
    shapes = list(dict.fromkeys(part.shape for part in parts))
    if not shapes:
        raise InputError(
            "no inputs given, and the shape cannot be inferred from these arms; give --input with "
            "a shape such as 1,197,768, or --inputs with a function, FILE.py:make_inputs"
        )
    texts = [",".join(map(str, shape)) for shape in shapes]
    if len(texts) > 1:
        raise InputError(
            f"one arm takes {texts[0]} and another {texts[1]}; expected arms that take the same "
            "inputs: compare equal components, variants and image sizes"
        )
    return InputSpec(text=texts[0], code=Shapes(shapes=(shapes[0],)))


def precision_of(dtype: str | None) -> str:
    """Return the precision of a dtype: ``fp32`` for ``float32``; integer types keep their names."""
    if dtype is None:
        return OWN
    try:
        return DTYPES[known("dtype", dtype, DTYPES)]
    except ValueError as error:
        raise InputError(str(error)) from error


def _parse_function(what: str, text: str, expected: str) -> FunctionRef:
    place, colon, name = (part.strip() for part in text.rpartition(":"))
    if not text.isprintable():
        raise InputError(f"{what} has characters that cannot be printed; expected {expected}")
    if not colon:
        raise InputError(f"{what} names no function after a colon; expected {expected}")
    if not name.isidentifier():
        raise InputError(f"{what}: {name!r} is not the name of a function; expected {expected}")
    found = FunctionRef(place=place, name=name)
    if not found.is_file and not all(part.isidentifier() for part in place.split(".")):
        raise InputError(
            f"{what}: {place!r} is neither a Python file nor a module; expected {expected}"
        )
    return found


def _located(what: str, function: FunctionRef) -> FunctionRef:
    """Return the function with its file. Raises InputError if file or module do not exist."""
    place = function.place
    if function.is_file:
        _check_file(what, Path(place))
        return replace(function, file=Path(place))
    spec = module_spec(place)
    if spec is None:
        raise InputError(
            f"{what}: no module {place!r} here; install it, run from the folder that holds it, "
            "or give a file: FILE.py:factory"
        )
    return replace(function, file=origin_of(spec))


def _check_file(what: str, path: Path) -> None:
    try:
        if path.is_file():
            return
        names = [each.name for each in path.parent.glob("*.py")]
    except (OSError, ValueError):  # A name too long, an unreadable folder, a null byte.
        names = []
    close = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {path.with_name(close[0])}?" if close else "give its path from here"
    raise InputError(f"{what}: there is no file {str(path)!r}; {hint}")
