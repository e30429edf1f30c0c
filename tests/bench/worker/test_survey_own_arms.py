"""bench.worker.survey with a user's own arms: measured values, and failures."""

import time
from pathlib import Path

import pytest

from bench.costs.kernels import INDUCTOR_CPP
from bench.records.arm_costs import Survey
from bench.records.notes import Note
from bench.records.task import SurveyJob
from bench.worker.survey import ArmSurvey
from helpers.own_arms import compare, write


def reasons(found: Survey) -> list[str]:
    """Return the notes other than on energy, since most machines have no meter."""
    return [
        str(note) for note in found.notes if isinstance(note, Note) and note.subject != "energy"
    ]


ARMS = """
import itertools, sys
import torch
def fails_at(number, error):
    calls = itertools.count(1)
    def work(x):
        if next(calls) == number:
            raise error
        return x + 1
    return work
def right(): return lambda x: x + 1
def raises(): return fails_at(1, ValueError("no such head"))
def leaves(): return fails_at(1, SystemExit(3))
def takes_all(): return lambda x: torch.empty(2**50)
def tires(): return fails_at(4, ValueError("no such kernel; none at all"))
def number(): return 3
"""


def own(folder: Path, name: str) -> Survey:
    """Return the survey of a user's own arm."""
    file = write(folder / "arms.py", ARMS)
    item = SurveyJob(comparison=compare(f"{file}:right", f"{file}:{name}"))
    return ArmSurvey(item, None).survey()


def test_an_own_arm(tmp_path: Path) -> None:
    """Memory is measured; values that need vitcore's shapes are empty with a reason."""
    found = own(tmp_path, "right")
    assert found.measured.status == "ok"
    assert (found.flop, found.moved_bytes, found.predicted, found.graphs) == (None,) * 4
    assert found.top1_agreement is None
    assert found.parameters == 0
    assert reasons(found) == [
        "predicted memory and top-1 not available: the arm is a user's own",
        "FLOPs not available: ValueError: FlopCounterMode recognises none of its operators",
    ]


def test_the_flops_of_an_own_module_are_counted(tmp_path: Path) -> None:
    """FLOPs are counted as the module runs: two per product of a Linear."""
    file = write(tmp_path / "arms.py", "from torch import nn\ndef make(): return nn.Linear(8, 3)\n")
    item = SurveyJob(comparison=compare(f"{file}:make", f"{file}:make"))
    found = ArmSurvey(item, None).survey()
    assert found.parameters == 8 * 3 + 3
    rows = found.flop / (2 * 8 * 3) if found.flop else 0
    assert rows >= 1
    assert rows == int(rows)


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("raises", "crashed", "ValueError: no such head (arms.py, line "),
        ("leaves", "crashed", "SystemExit: 3"),
        ("takes_all", "oom", "can't allocate memory"),
        ("number", "skipped", "expected a module or a function to call"),
        ("nothing", "skipped", "nothing"),
    ],
)
def test_a_failed_arm_has_a_status(tmp_path: Path, name: str, status: str, says: str) -> None:
    """The error has the cause in one line, and there are no numbers."""
    found = own(tmp_path, name)
    assert found.measured.status == status
    assert says in str(found.measured.error)
    assert (found.measured.allocated_bytes, found.measured.process_bytes) == (None, None)
    assert found.kernels == ()


def test_a_later_failure_keeps_earlier_values(tmp_path: Path) -> None:
    """Memory is kept; missing kernels have one note, and the survey continues."""
    found = own(tmp_path, "tires")
    assert found.measured.allocated_bytes
    assert found.kernels == ()
    (reason,) = [each for each in reasons(found) if each.startswith("kernels")]
    assert reason.startswith("kernels not available: ValueError: no such kernel; none at all")


@pytest.mark.slow
def test_a_named_vitcore_part_compiles_in_its_own_folder(tmp_path: Path) -> None:
    """The compile mode of a named part selects a cache of its own."""
    part = "vitcore:component=attention,attention=manual,variant=B/32,image_size=32"
    each = compare(part, f"{part},compile=compile_blocks", None)
    found = ArmSurvey(SurveyJob(comparison=each), tmp_path).survey()
    assert found.measured.status == "ok"
    assert INDUCTOR_CPP in found.kernels
    assert len(list(tmp_path.iterdir())) == 2


def test_a_late_own_arm_is_skipped() -> None:
    """An own arm after the deadline is not even loaded."""
    item = SurveyJob(comparison=compare("a.py:f", "a.py:g"))
    late = ArmSurvey(item, None, end_s=time.time() - 1).survey()
    assert (late.measured.status, late.flop, late.moved_bytes) == ("skipped", None, None)
