"""bench.files.run_folder under faults: disks without room, files changed by hand, other schemas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.files import run_folder as store
from bench.records.comparison import SCHEMA
from bench.records.errors import InputError
from helpers.disks import files_of_at_most
from helpers.records import make_environment, make_plan

PLAN = make_plan()


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    """A run's folder."""
    store.create_run_folder(tmp_path / "run", PLAN, make_environment())
    return tmp_path / "run"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file by hand."""
    plain = json.loads(path.read_text("utf-8"))
    edit(plain)
    path.write_text(json.dumps(plain), "utf-8")


@pytest.mark.parametrize("room_bytes", [0, 100, 2000])
def test_a_full_disk_makes_no_folder(tmp_path: Path, room_bytes: int) -> None:
    """Where a run's first files do not fit, its folder is not there at all, and neither is part."""
    environment = make_environment(cpu_flags=("avx2",) * 1000)  # the plan is smaller
    with (
        files_of_at_most(room_bytes),
        pytest.raises(InputError, match=r"cannot be made \(File too large\); give --out another"),
    ):
        store.create_run_folder(tmp_path / "run", PLAN, environment)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda plain: plain.pop("seed"),
        lambda plain: plain.update(more=1),
        lambda plain: plain["comparisons"][0].pop("factor"),
        lambda plain: plain["comparisons"][0]["arm"].update(speed="high"),
        lambda plain: plain["comparisons"].append("one more"),
        lambda plain: plain.update(comparisons=None),
        lambda plain: plain.update(passes="3"),
        lambda plain: plain["comparisons"][0]["workload"].update(batch_size=1.5),
    ],
    ids=[
        "lacks",
        "more",
        "lacks within",
        "more within",
        "no comparison",
        "none",
        "another type",
        "another type within",
    ],
)
def test_a_changed_plan_is_refused(run: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """A plan that lacks a field, has one too many or one of another type was changed by hand."""
    change(run / "plan.json", edit)
    with pytest.raises(InputError, match=r"plan\.json was changed by hand .*; restore it"):
        store.read_plan(run)


def test_a_changed_environment_is_refused(run: Path) -> None:
    """An environment that lacks a field was changed by hand."""
    change(run / "environment.json", lambda plain: plain.pop("cpu"))
    with pytest.raises(InputError, match=r"environment\.json was changed by hand .*`cpu`"):
        store.read_environment(run)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 1, None])
@pytest.mark.parametrize("name", ["plan", "environment"])
def test_another_schema_is_refused(run: Path, name: str, schema: int | None) -> None:
    """A file of another version is refused before its fields are checked."""
    change(run / f"{name}.json", lambda plain: plain.update(schema=schema, unheard=True))
    read = store.read_plan if name == "plan" else store.read_environment
    with pytest.raises(InputError, match=rf"{name}\.json has schema {schema}; this vitbench"):
        read(run)


def test_a_file_is_no_run(tmp_path: Path) -> None:
    """Whoever names results.csv instead of its folder is told what was expected."""
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(InputError, match="expected the folder of a run"):
        store.read_plan(tmp_path / "results.csv")
