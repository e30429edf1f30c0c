"""bench.files.run_folder under faults: full disks, files changed by hand, other schemas."""

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
    """The folder of a run."""
    store.create_run_folder(tmp_path / "run", PLAN, make_environment())
    return tmp_path / "run"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change fields of a JSON file."""
    plain = json.loads(path.read_text("utf-8"))
    edit(plain)
    path.write_text(json.dumps(plain), "utf-8")


@pytest.mark.parametrize("room_bytes", [0, 100, 2000])
def test_full_disk_creates_no_folder(tmp_path: Path, room_bytes: int) -> None:
    """On a full disk neither the run's folder nor a temporary one is left."""
    environment = make_environment(cpu_flags=("avx2",) * 1000)  # larger than the plan
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
    """A plan with a missing, unknown or mistyped field is an error."""
    change(run / "plan.json", edit)
    with pytest.raises(InputError, match=r"plan\.json was changed by hand .*; restore it"):
        store.read_plan(run)


def test_a_changed_environment_is_refused(run: Path) -> None:
    """An environment without a required field is an error."""
    change(run / "environment.json", lambda plain: plain.pop("cpu"))
    with pytest.raises(InputError, match=r"environment\.json was changed by hand .*`cpu`"):
        store.read_environment(run)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 1, None])
@pytest.mark.parametrize("name", ["plan", "environment"])
def test_another_schema_is_refused(run: Path, name: str, schema: int | None) -> None:
    """Another schema is refused before the fields are checked."""
    change(run / f"{name}.json", lambda plain: plain.update(schema=schema, unheard=True))
    read = store.read_plan if name == "plan" else store.read_environment
    with pytest.raises(InputError, match=rf"{name}\.json has schema {schema}; this vitbench"):
        read(run)


def test_file_instead_of_a_run_folder_is_refused(tmp_path: Path) -> None:
    """The error for results.csv in place of its run folder names what was expected."""
    (tmp_path / "results.csv").write_text("")
    with pytest.raises(InputError, match="expected the folder of a run"):
        store.read_plan(tmp_path / "results.csv")
