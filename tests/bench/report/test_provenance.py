"""bench.report.provenance: hardware, versions, commit, time and command of a result."""

from typing import Any

import pytest

from bench.report.provenance import provenance
from helpers.records import make_environment


@pytest.mark.parametrize(
    ("changes", "hardware", "commit"),
    [
        ({}, "AMD EPYC 7B13, 2 threads", "commit 0123456789"),
        ({"dirty": True}, "AMD EPYC 7B13, 2 threads", "commit 0123456789 with changes"),
        ({"commit": None, "dirty": None}, "AMD EPYC 7B13, 2 threads", "no commit"),
        ({"gpus": ("H200",)}, "AMD EPYC 7B13, 2 threads, H200", "commit 0123456789"),
    ],
)
def test_provenance(changes: dict[str, Any], hardware: str, commit: str) -> None:
    """Hardware, versions, commit and time, and below them the command that repeats the run."""
    text = provenance(make_environment(**changes), "vitbench run --quick", "2026-01-02T03:04:05")
    versions = "torch 2.9.0, Python 3.12.1"
    assert text == (f"{hardware}; {versions}; {commit}; 2026-01-02T03:04:05\nvitbench run --quick")


def test_own_arms_have_a_commit_of_their_own() -> None:
    """That of vitbench says nothing of them."""
    text = provenance(make_environment(), "vitbench compare", "2026", "c0ffee" * 6)
    assert "arms at commit c0ffeec0ff, vitbench at 0123456789" in text
    text = provenance(make_environment(), "vitbench compare", "2026", "c0ffee" * 6, True)  # noqa: FBT003
    assert "arms at commit c0ffeec0ff with changes, vitbench at 0123456789;" in text
