"""bench.runs.settings: a plan from a command's settings, and the run's folder."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bench.records.errors import InputError
from bench.runs.settings import RunSettings, run_folder
from helpers.records import make_comparison, make_plan
from helpers.repositories import make_repository

COMPARISONS = (make_comparison("mha"), make_comparison("manual"))
SETTINGS = RunSettings(
    budget_s=90.0, passes=4, seed=7, command="vitbench run", case_timeout_s=12.0, survey=True
)


def test_the_plan_has_the_settings() -> None:
    """The plan starts now, has the folder's name, and keeps defaults for the rest."""
    plan = SETTINGS.plan(Path("results/mine"), COMPARISONS)
    age = datetime.now().astimezone() - datetime.fromisoformat(plan.started)
    assert timedelta() <= age < timedelta(minutes=1)
    expected = {"run_id": "mine", "command": "vitbench run", "passes": 4, "seed": 7, "survey": True}
    assert plan == make_plan(
        **expected,
        started=plan.started,
        budget_s=90.0,
        case_timeout_s=12.0,
        comparisons=COMPARISONS,
    )


def test_the_plan_of_own_arms_has_their_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan has folder, commit, changes and digests; controls get less time."""
    repository = make_repository(tmp_path / "project", {"a.py": "A = 1\n"})
    monkeypatch.chdir(repository)
    plan = SETTINGS.own_plan(tmp_path / "run", COMPARISONS, {"a.py": "0123"}, repository)
    assert plan.directory == repository
    assert (plan.commit or "").isalnum()
    assert (plan.has_changes, plan.sources) == (False, {"a.py": "0123"})
    assert list(plan.weights) == [COMPARISONS[0].key]
    assert 0 < plan.weights[COMPARISONS[0].key] < 1
    (repository / "a.py").write_text("A = 2\n")
    assert SETTINGS.own_plan(tmp_path / "run", COMPARISONS, {}, repository).has_changes


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    """An existing folder is refused; a new one is not created before the run."""
    with pytest.raises(InputError, match="exists; give --out a new name"):
        replace(SETTINGS, folder=tmp_path)
    new = replace(SETTINGS, folder=tmp_path / "new")
    with run_folder(new.folder) as folder:
        assert folder == tmp_path / "new"
    assert not folder.exists()


def test_a_temporary_folder_is_removed_unless_used() -> None:
    """A removed or unused run folder takes its parent along; a used one is kept."""
    with run_folder(None) as removed:
        assert removed.parent.is_dir()
        removed.mkdir()
        removed.rmdir()
    assert not removed.parent.exists()
    with suppress(KeyboardInterrupt), run_folder(None) as kept:
        kept.mkdir()
        raise KeyboardInterrupt
    assert kept.exists()
    kept.rmdir()
    kept.parent.rmdir()
