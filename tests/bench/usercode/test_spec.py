"""bench.usercode.spec: arms and inputs as text, refused before anything is imported."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.errors import InputError
from bench.usercode.spec import (
    ArmSpec,
    FunctionRef,
    InputSpec,
    Shapes,
    inputs_for,
    parse_arm,
    precision_of,
    read_arm,
    read_inputs,
)
from bench.usercode.vitcore_spec import VitcorePart
from helpers.own_arms import write

ALPHABET = st.sampled_from(["vitcore", ":", "attention", "=", "sdpa", ",", ".py", "a", "é", "#2",
                            ";", "1", "0", " ", "\n", "\0", ".", "/", "×"])  # fmt: skip


def function_of(text: str) -> FunctionRef:
    """Return the function that an arm names."""
    code = read_arm(text).code
    assert isinstance(code, FunctionRef)
    return code


def part(**levels: Any) -> ArmSpec:
    """Build an arm that is a part of vitcore."""
    return ArmSpec(text="vitcore:…", code=VitcorePart(**levels))


OWN_ARM = ArmSpec(text="json:loads", code=FunctionRef(place="json", name="loads"))


def refused(text: str) -> str:
    """Return the one-line error of an arm."""
    with pytest.raises(InputError) as raised:
        read_arm(text)
    return str(raised.value)


@pytest.mark.parametrize(
    "name", ["model.py", "my models/vit model.py", "modèle.py", "a:b/c=d,e.py", "#1/model.py"]
)
def test_a_file_may_have_any_path(tmp_path: Path, name: str) -> None:
    """A path may contain spaces, other letters and colons; the last colon separates."""
    path = write(tmp_path / name, "")
    function = function_of(f"{path}:make")
    assert function == FunctionRef(place=str(path), name="make")
    assert (function.is_file, function.file) == (True, path)
    assert str(function) == read_arm(f"{path}:make").text == f"{path}:make"


def test_a_relative_path_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the working directory and kept as written."""
    write(tmp_path / "sub" / "model.py", "")
    monkeypatch.chdir(tmp_path)
    assert function_of("sub/model.py:make") == FunctionRef(place="sub/model.py", name="make")


def test_surrounding_blanks_are_removed(tmp_path: Path) -> None:
    """Blanks and newlines around an arm are removed."""
    path = write(tmp_path / "model.py", "")
    assert function_of(f"  {path}:make\n") == FunctionRef(place=str(path), name="make")
    assert read_arm(f"  {path}:make\n").text == f"{path}:make"


@pytest.mark.parametrize("copy", ["#2", "#3", "#12"])
@pytest.mark.parametrize("text", ["json:loads", "vitcore:attention=sdpa"])
def test_a_further_copy_is_the_same_arm(text: str, copy: str) -> None:
    """The number of a copy changes the name only."""
    assert read_arm(text + copy) == ArmSpec(text=text + copy, code=read_arm(text).code)


@pytest.mark.parametrize(
    "revision", ["main", "@", "@~0", "@{u}", "HEAD@{0}", "HEAD^{/a: b}", ":/x.py:y", "a@b", "fix#2"]
)
@pytest.mark.parametrize(
    "text", ["json:loads", "a b@c/d:e.py:make", "vitcore:attention=sdpa", "./a.py:make"]
)
def test_a_revision_may_have_any_characters(text: str, revision: str) -> None:
    """The first @ after the function begins it."""
    found = parse_arm(f"{text}@{revision}")
    assert (found.text, found.code) == (f"{text}@{revision}", parse_arm(text).code)


def test_an_installed_module_is_found_without_being_imported() -> None:
    """An installed module is found and not imported."""
    function = function_of("this:make")
    assert function == FunctionRef(place="this", name="make")
    assert not function.is_file
    assert function.file is not None
    assert function.file.name == "this.py"
    assert "this" not in sys.modules, "import this prints a poem"


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package in the working directory is found and not executed."""
    write(tmp_path / "own_package" / "arms.py", "raise SystemExit")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    function = function_of("own_package.arms:make")
    assert function == FunctionRef(place="own_package.arms", name="make")
    assert function.file == tmp_path / "own_package" / "arms.py"
    assert sys.path == before
    assert "own_package" not in sys.modules


def test_main_is_a_module() -> None:
    """``__main__`` is accepted as a module without a file."""
    function = function_of("__main__:make")
    assert function == FunctionRef(place="__main__", name="make")
    assert function.file is None


def test_parsing_alone_looks_nothing_up() -> None:
    """Names are parsed although their module is missing; other text is refused."""
    arm = parse_arm("no_such_package.arms:make#2")
    assert arm.text == "no_such_package.arms:make#2"
    assert arm.code == FunctionRef(place="no_such_package.arms", name="make")
    with pytest.raises(InputError, match="names no function after a colon"):
        parse_arm("mha")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "arm '' names no function after a colon; expected FILE.py:factory"),
        ("   ", "arm '   ' names no function after a colon"),
        ("model.py", "arm 'model.py' names no function after a colon"),
        ("vitcore", "or vitcore:attention=sdpa"),
        ("json:", "'' is not the name of a function"),
        ("json:2b", "'2b' is not the name of a function"),
        ("json:a b", "'a b' is not the name of a function"),
        ("json:loads()", "'loads()' is not the name of a function"),
        ("json:loads#", "'loads#' is not the name of a function"),
        (":make", "'' is neither a Python file nor a module"),
        ("::::make", "':::' is neither a Python file nor a module"),
        ("some folder:make", "'some folder' is neither a Python file nor a module"),
        ("model.txt/:make", "'model.txt/' is neither a Python file nor a module"),
        ("json..tool:make", "'json..tool' is neither a Python file nor a module"),
        ("no_such_package.arms:make", "no module 'no_such_package.arms' here; install it"),
        ("no/such/file.py:make", "there is no file 'no/such/file.py'; give its path from here"),
        ("a\0b.py:make", "has characters that cannot be printed; expected FILE.py:factory"),
        ("a\udc80.py:make", "has characters that cannot be printed"),
        ("x" * 5000 + ".py:make", "there is no file 'xxx"),
    ],
)
def test_invalid_arms_are_refused(text: str, said: str) -> None:
    """The error starts with the text and has what was expected."""
    message = refused(text)
    assert message.startswith(f"arm {text!r}")
    assert said in message
    assert "\n" not in message


def test_a_misspelt_file_is_guessed(tmp_path: Path) -> None:
    """The error suggests a file with a similar name."""
    meant = write(tmp_path / "model.py", "")
    assert refused(f"{tmp_path}/modle.py:make").endswith(f"did you mean {meant}?")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    """A folder that ends in .py is refused."""
    (tmp_path / "model.py").mkdir()
    assert "there is no file" in refused(f"{tmp_path}/model.py:make")


@settings(deadline=None)
@given(parts=st.lists(ALPHABET, max_size=12))
def test_any_text_is_read_or_refused_in_one_line(parts: list[str]) -> None:
    """Any text is parsed or raises a one-line InputError."""
    for read in (read_arm, read_inputs):
        said = ""
        try:
            read("".join(parts))
        except InputError as error:
            said = str(error)
        assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("1,197,768", ((1, 197, 768),)),
        ("8", ((8,),)),
        ("8,", ((8,),)),
        (" 2 , 3 ", ((2, 3),)),
        ("1,197,768; 1,12", ((1, 197, 768), (1, 12))),
    ],
)
def test_shapes(text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Commas separate dimensions, semicolons the arguments' shapes."""
    assert read_inputs(text) == InputSpec(text=text.strip(), code=Shapes(shapes=shapes))


@given(shapes=st.lists(st.lists(st.integers(1, 10**12 - 1), min_size=1), min_size=1))
def test_any_shape_is_parsed(shapes: list[list[int]]) -> None:
    """Shapes written as documented are parsed to the same numbers."""
    text = ";".join(",".join(map(str, shape)) for shape in shapes)
    assert read_inputs(text).code == Shapes(shapes=tuple(tuple(shape) for shape in shapes))


def test_inputs_may_be_a_function(tmp_path: Path) -> None:
    """A function that makes the inputs is named like an arm."""
    path = write(tmp_path / "inputs.py", "")
    made = read_inputs(f"{path}:make_inputs").code
    assert made == FunctionRef(place=str(path), name="make_inputs")
    assert read_inputs("json:loads").code == FunctionRef(place="json", name="loads")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not a shape; expected a shape such as 1,197,768, or FILE.py:make_inputs"),
        ("1x197x768", "'1x197x768' is not a shape"),
        ("1,,2", "'1,,2' is not a shape"),
        ("1,-2", "'1,-2' is not a shape"),
        ("1.5", "'1.5' is not a shape"),
        ("1,2;", "'' is not a shape"),
        ("١,٢", "is not a shape"),
        ("9" * 5000, "is not a shape"),
        ("1,0,3", "has a size of 0; expected whole numbers of at least 1"),
        ("no_file.py:make", "there is no file 'no_file.py'"),
        (":", "'' is not the name of a function"),
    ],
)
def test_invalid_inputs_are_refused(text: str, said: str) -> None:
    """The error starts with the text and has what was expected."""
    with pytest.raises(InputError) as raised:
        read_inputs(text)
    assert str(raised.value).startswith(f"input {text!r}")
    assert said in str(raised.value)


def test_given_inputs_take_precedence() -> None:
    """Given inputs are checked and kept, regardless of the arms."""
    found = inputs_for(" 4,8 ", [part(component="model")])
    assert found == InputSpec(text="4,8", code=Shapes(shapes=((4, 8),)))
    with pytest.raises(InputError, match="is not a shape"):
        inputs_for("4x8", [part(component="model")])


def test_inputs_default_to_those_of_a_vitcore_part() -> None:
    """One part among the arms sets the inputs of all."""
    attention = part(component="attention", variant="L/16")
    assert inputs_for(None, [OWN_ARM, attention]) == read_inputs("1,197,1024")
    model = part(component="model", image_size=32)
    assert inputs_for(None, [model, OWN_ARM]) == read_inputs("1,3,32,32")


def test_own_arms_without_inputs_are_refused() -> None:
    """The error names both options."""
    with pytest.raises(InputError, match=r"give --input with a shape .* or --inputs with a func"):
        inputs_for(None, [OWN_ARM] * 2)


def test_parts_with_different_inputs_are_refused() -> None:
    """Two different shapes give no default."""
    with pytest.raises(InputError, match="one arm takes 1,197,768 and another 1,3,224,224"):
        inputs_for(None, [part(component="block"), part(component="model")])


@pytest.mark.parametrize(
    ("dtype", "precision"), [("float32", "fp32"), ("bfloat16", "bf16"), ("int64", "int64")]
)
def test_precision_of_a_dtype(dtype: str, precision: str) -> None:
    """A dtype of torch maps to a precision; integer dtypes keep their name."""
    assert precision_of(dtype) == precision


def test_an_unknown_dtype_lists_the_known() -> None:
    """The error for an unknown dtype lists the valid ones."""
    with pytest.raises(InputError, match="unknown dtype 'float'; known: float32, float64, float16"):
        precision_of("float")


def test_no_torch_is_imported() -> None:
    """Parsing an arm does not import torch."""
    code = "import sys; from bench.usercode.spec import *; read_arm('vitcore:head=mlp')"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
