"""The runs kept in results/reference stay readable and give the kept results."""

import csv
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.files.results_csv import read_csv
from bench.records.row import Record
from bench.report.calibration import sentence
from bench.runs import calibrate
from bench.runs.state import load

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "results/reference"
RUNS = sorted(path.parent for path in REFERENCE.glob("*/results.csv"))
CALIBRATION = "calibration-amd-epyc-avx2-2-cores"
# Pages with the sentence of each kept calibration.
PAGES = {
    CALIBRATION: ("README.md", "docs/method.md"),
    f"{CALIBRATION}-25-minutes": ("docs/method.md",),
}
# Processors may differ in the last digit of a sum.
PRECISION = 1e-9


def numbers(row: Record) -> dict[str, float]:
    """Return the measured and computed cells of a row."""
    return {name: cell for name, cell in asdict(row).items() if isinstance(cell, float)}


def words(row: Record) -> dict[str, object]:
    """Return the other cells of a row: names, counts, verdicts and empty cells."""
    return {name: cell for name, cell in asdict(row).items() if not isinstance(cell, float)}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_kept_run_gives_the_kept_rows(run: Path) -> None:
    """Verdicts and intervals computed from the journal equal those of results.csv."""
    kept, found = read_csv(run / "results.csv"), load(run).records
    assert len(found) == len(kept) > 50
    for row, again in zip(kept, found, strict=True):
        assert words(again) == words(row)
        assert numbers(again) == pytest.approx(numbers(row), rel=PRECISION)


@pytest.mark.parametrize("name", PAGES)
def test_a_kept_calibration_gives_the_kept_rates(name: str) -> None:
    """The kept journal gives each method's kept rates and the sentence of the pages."""
    found = calibrate.read(REFERENCE / name).rates
    with (REFERENCE / name / "calibration.csv").open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    names = [(row.pop("method"), row.pop("kind")) for row in kept]
    assert [(each.method, each.kind) for each in found] == names
    for rate, row in zip(found, kept, strict=True):
        expected = {name: float(cell) for name, cell in row.items() if cell}
        again = {name: cell for name, cell in asdict(rate).items() if cell is not None}
        assert {name: again.pop(name) for name in expected} == pytest.approx(
            expected, rel=PRECISION
        )
        assert again.keys() == {"method", "kind"}
    for page in PAGES[name]:
        assert f"> {sentence(found)}\n" in (ROOT / page).read_text(encoding="utf-8")
