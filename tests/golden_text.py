"""Texts that people read, kept as files under tests/golden and compared to the last sign.

Where a text changed on purpose, write it anew and read the difference before committing it::

    VITBENCH_UPDATE_GOLDEN=1 python -m pytest tests/bench/report/test_tables.py
"""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Compare a text with its file; write the file first where the environment asks for it."""
    path = GOLDEN / name
    if os.environ.get("VITBENCH_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; see tests/golden_text.py"
