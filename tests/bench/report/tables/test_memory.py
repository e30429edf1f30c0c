"""bench.report.tables.memory: tables of memory, against golden text."""

import re
from dataclasses import replace
from io import StringIO

from rich.console import Console

from bench.records.arm_costs import Case, MeasuredMemory, MemoryReport, PredictedMemory
from bench.records.comparison import Arm
from bench.report.labels import case_name
from bench.report.tables.memory import component_table, memory_table, notes
from helpers.records import WORKLOAD
from helpers.reports import check_golden

MEBI = 2**20
CASE = Case(workload=replace(WORKLOAD, component="model", mode="train"), arm=Arm())
PREDICTED = PredictedMemory(
    total_bytes=1500 * MEBI,
    by_kind={"parameters": 330 * MEBI, "gradients": 330 * MEBI, "activations": 840 * MEBI},
)
FOUND = [
    MemoryReport(
        case=CASE,
        predicted=PREDICTED,
        measured=MeasuredMemory(allocated_bytes=1515 * MEBI, process_bytes=2222 * MEBI),
    ),
    MemoryReport(
        case=replace(CASE, arm=Arm(attention="manual", precision="bf16")),
        predicted=replace(PREDICTED, by_kind={"parameters": 1500 * MEBI}),
        measured=MeasuredMemory(status="oom", error="RuntimeError: can't allocate memory"),
    ),
    MemoryReport(case=CASE, predicted=PREDICTED, note="needs 31.4 GiB, 22.0 GiB are free"),
]


def test_the_table() -> None:
    """Kinds are in order, predicted beside measured, with the error."""
    console = Console(file=StringIO(), width=140)
    with console.capture() as capture:
        console.print(memory_table(FOUND))
    check_golden("memory.txt", re.sub(r" +$", "", capture.get(), flags=re.MULTILINE))


def test_the_table_of_components() -> None:
    """Components are in the order of the model after the images; each row has its sum."""
    by_component = {
        "MLP": {"parameters": 216 * MEBI, "activations": 443 * MEBI},
        "loss": {"temporaries": 4},
        "input": {"inputs": 588 * 2**10},
    }
    found = replace(FOUND[0], predicted=replace(PREDICTED, by_component=by_component))
    table = component_table(found)
    cells = [list(column.cells) for column in table.columns]
    assert [column.header for column in table.columns] == [
        *("component", "parameters", "inputs", "activations", "temporaries", "all"),
    ]
    assert cells[0] == ["input", "MLP", "loss"]
    assert cells[-1] == ["588 KiB", "659 MiB", "4 B"]


def test_largest_batch_is_beside_the_predicted_one() -> None:
    """The largest batch by trial is shown beside the one predicted from shapes."""
    said, _ = notes([replace(FOUND[0], largest_batch=37)])
    assert said == "B/16 b1 train: largest batch that fits: 37 by trying, 1 by shapes"


def test_without_measurements_there_are_no_columns_for_them() -> None:
    """On a machine without the device the table has predictions only."""
    columns = [column.header for column in memory_table(FOUND[2:]).columns]
    assert columns == ["case", "parameters", "gradients", "activations", "predicted"]


def test_names_and_notes() -> None:
    """A case is named by its unusual levels; a failure and a reason have one line each."""
    assert [case_name(each.case) for each in FOUND] == [
        *("B/16 b1 train", "B/16 b1 train manual bf16", "B/16 b1 train"),
    ]
    assert notes(FOUND) == [
        "B/16 b1 train manual bf16: RuntimeError: can't allocate memory",
        "B/16 b1 train: needs 31.4 GiB, 22.0 GiB are free",
        "Each kind is shown at the peak of their sum, where gradients may be small.",
    ]
    forward = replace(FOUND[2], predicted=PredictedMemory(total_bytes=1, by_kind={"parameters": 1}))
    assert notes([forward]) == ["B/16 b1 train: needs 31.4 GiB, 22.0 GiB are free"]


def test_errors_are_signed() -> None:
    """A prediction that is too small has a negative error; an unmeasured one has none."""
    assert FOUND[0].error is not None
    assert FOUND[0].error < 0
    assert [each.error for each in FOUND[1:]] == [None, None]
