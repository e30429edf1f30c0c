"""bench.report.plots.run_figures: every figure of a run as files."""

from pathlib import Path

from bench.records.comparison import DELTA
from bench.report.plots.run_figures import draw, write_plots
from helpers.figures import SOURCE, level
from helpers.records import NOT_MEASURED, make_record

KINDS = {"png": b"PNG", "svg": b"<?xml"}


def test_write_plots(tmp_path: Path) -> None:
    """Each figure is a PNG and an SVG, with a name that depends on the rows alone."""
    records = [level("precision", 0, 1.0), level("precision", 1, 0.9, device="cuda")]
    paths = write_plots(tmp_path / "plots", draw(records, SOURCE, DELTA))
    stems = ("speedup-cpu-precision", "speedup-cuda-precision", "latency", "error")
    assert [path.name for path in paths] == [f"{s}.{kind}" for s in stems for kind in KINDS]
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())
    for path in paths:
        assert KINDS[path.suffix[1:]] in path.read_bytes()[:200]
    assert write_plots(tmp_path / "plots", draw(records, SOURCE, DELTA)) == paths


def test_write_plots_of_nothing(tmp_path: Path) -> None:
    """A run that measured nothing has no plots."""
    lost = make_record(**NOT_MEASURED | {"status": "oom"})
    assert write_plots(tmp_path / "plots", draw([lost], SOURCE, DELTA)) == []
