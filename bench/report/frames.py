"""Records as a pandas.DataFrame: one row per record, one typed column per field. No torch.

pandas takes half a second to import, so it is imported where a frame is made.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    import pandas as pd

# pandas' types that have a value for "missing", by the type of a record's field.
_DTYPES: dict[Any, str] = {
    bool: "boolean",
    float: "Float64",
    int: "Int64",
    str: "string",
}


def frame_of(records: Iterable[Any], kind: type[Any]) -> "pd.DataFrame":
    """Return records as a frame with the fields of the dataclass ``kind`` as its columns.

    A field that is None is ``pandas.NA``; infinite numbers stay infinite. Units are in the columns'
    names. Records of a subclass lose the fields that ``kind`` lacks.
    """
    import pandas as pd

    rows = list(records)
    columns = {
        each.name: pd.array([getattr(row, each.name) for row in rows], dtype=_dtype(each.type))
        for each in fields(kind)
    }
    return pd.DataFrame(columns)


def _dtype(kind: Any) -> Any:
    """Return pandas' name for the type of a field, such as ``Float64`` for ``float | None``."""
    options = get_args(kind) or (kind,)
    return next(_DTYPES[each] for each in options if each in _DTYPES)
