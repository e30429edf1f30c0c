"""The docstrings of a record's fields."""

import ast
import inspect
import textwrap


def documentation(kind: type) -> dict[str, str]:
    """Return the docstring of each documented field of a dataclass, as one line."""
    (record,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(record, ast.ClassDef)
    found = {}
    for field, text in zip(record.body, record.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                found[name] = " ".join(words.split())
    return found
