"""This tree against a git revision: from what was named to a plan, and to checks."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.analysis.gate import Check, Measured, Thresholds, checks, new_target
from bench.files.run_folder import check_run_folder, new_run_id
from bench.records.comparison import OWN_FACTOR, Arm, Comparison, Workload
from bench.records.errors import InputError
from bench.records.plan import Plan
from bench.records.row import Record
from bench.runs.checks import check_devices
from bench.runs.results import Results
from bench.runs.run import Progress, execute
from bench.runs.targets import check_here, is_at, root_of
from bench.runs.tasks import probe
from bench.runs.worktrees import (
    checked_out,
    commit_of,
    has_changes,
    head_of,
    repository_of,
    temporary,
)
from bench.suite.grid import CONTROL_SHARE
from bench.usercode.sources import digests
from bench.usercode.spec import inputs_for, precision_of, read_arm
from bench.usercode.vitcore_spec import Part


@dataclass(frozen=True, kw_only=True)
class RegressRequest:
    """What a user wants gated; checked at birth (InputError says what cannot be).

    ``targets`` are arms as ``vitbench compare`` names them; each is one of this tree against itself
    at ``base``. Without ``folder`` the files of the run are removed at its end.
    """

    base: str
    targets: tuple[str, ...]
    inputs: str | None
    dtype: str | None
    device: str
    mode: str
    thresholds: Thresholds
    budget_s: float
    passes: int
    case_timeout_s: float
    allow_different: bool
    seed: int
    command: str
    survey: bool = True
    folder: Path | None = None
    lock: bool = True

    def __post_init__(self) -> None:
        if not self.targets:
            raise InputError("no target given; give --targets, or --target package.module:factory")
        for target in self.targets:
            inputs_for(self.inputs, [read_arm(target)])
        precision_of(self.dtype)
        if self.folder is not None:
            check_run_folder(self.folder)


@dataclass(frozen=True, kw_only=True)
class Gated:
    """The run and what it says of each target; ``base`` is the revision as it was named.

    Without a target that the base has there was no run.
    """

    results: Results | None
    checks: list[Check]
    base: str


def regress(request: RegressRequest, progress: Progress) -> Gated:
    """Measure every target of this tree against itself at the base. Raises like ``run``."""
    here = Path.cwd()
    repository = repository_of(here)
    commit = commit_of(repository, request.base)
    environment = probe()
    check_devices((request.device,), environment)
    parent = temporary()
    folder = request.folder or parent / new_run_id(datetime.now(UTC))
    try:
        with checked_out(repository, commit, parent / "base") as base:
            roots = {target: root_of(target, repository) for target in request.targets}
            check_here(roots, repository)
            known = {t: root for t, root in roots.items() if is_at(base, t, root, repository)}
            if not known:
                return Gated(results=None, checks=_new(request, known), base=request.base)
            plan = _plan(request, folder.absolute().name, repository, base, known)
            results = execute(plan, environment, folder, progress, lock=request.lock)
    except KeyboardInterrupt as error:
        # Without the base's tree nobody could go on with it.
        shutil.rmtree(parent, ignore_errors=True)
        raise KeyboardInterrupt from error
    finally:
        if request.folder or all(each.name == "base" for each in parent.glob("*")):
            shutil.rmtree(parent, ignore_errors=True)
    found = checks(
        list(_measured(request, results, known)), request.thresholds, survey=request.survey
    )
    found += _new(request, known)
    if not request.folder and all(check.outcome != "unknown" for check in found):
        shutil.rmtree(parent, ignore_errors=True)
    return Gated(results=results, checks=found, base=request.base)


def _new(request: RegressRequest, known: Mapping[str, Path]) -> list[Check]:
    return [new_target(target) for target in request.targets if target not in known]


def _plan(
    request: RegressRequest, run_id: str, repository: Path, base: Path, roots: Mapping[str, Path]
) -> Plan:
    comparisons = tuple(
        each
        for target, root in roots.items()
        for each in _comparisons(request, target, root, base / root.relative_to(repository))
    )
    return Plan(
        run_id=run_id,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command,
        passes=request.passes,
        seed=request.seed,
        budget_s=request.budget_s,
        precision=request.thresholds.latency / 2,
        gate=request.thresholds.latency,
        case_timeout_s=request.case_timeout_s,
        weights={each.key: CONTROL_SHARE for each in comparisons if each.is_control},
        comparisons=comparisons,
        directory=Path.cwd(),
        commit=head_of(repository),
        has_changes=has_changes(repository),
        sources=_sources(roots, repository),
        survey=request.survey,
    )


def _comparisons(
    request: RegressRequest, target: str, root: Path, base_root: Path
) -> Iterator[Comparison]:
    precision = precision_of(request.dtype)
    base = Arm(factory=base_name(target, request.base), precision=precision, tree=str(base_root))
    workload = Workload(
        component="callable",
        mode=request.mode,
        device=request.device,
        inputs=inputs_for(request.inputs, [read_arm(target)]),
    )
    for arm in (base, replace(base, factory=target, tree=str(root))):
        yield Comparison(
            factor=OWN_FACTOR,
            workload=workload,
            baseline=base,
            arm=arm,
            # What outputs may be then is judged by that threshold, and by no precision's.
            allow_different=request.allow_different or request.thresholds.numeric_error is not None,
        )


def base_name(target: str, base: str) -> str:
    """What a target is called at the base."""
    return f"{target}@{base}"


def _sources(roots: Mapping[str, Path], repository: Path) -> dict[str, str]:
    """The digests of every file beside a target: a run measures one version of a tree."""
    found: dict[str, str] = {}
    for target, root in roots.items():
        spec = read_arm(target)
        top = "vitcore" if isinstance(spec, Part) else spec.place.partition(".")[0]
        files = [root / spec.place] if not isinstance(spec, Part) and spec.is_file else []
        found |= digests([*files, *sorted((root / top).rglob("*.py"))], repository)
    return {str(repository / name): value for name, value in found.items()}


def _measured(
    request: RegressRequest, results: Results, known: Iterable[str]
) -> Iterator[Measured]:
    """The rows of each target, and how long they took with their part of what is not measuring."""
    spent_s = sum(sample.prepare_s + sample.measure_s for sample in results.samples)
    overhead = results.spent_s / spent_s if spent_s else 1.0
    rows: dict[str, Record] = {record.arm: record for record in results.records}
    for target in known:
        own_s = sum(
            sample.prepare_s + sample.measure_s
            for sample in results.samples
            if sample.key.endswith(f"-{target}")
        )
        base = rows.get(base_name(target, request.base))
        yield Measured(target=target, tree=rows[target], base=base, spent_s=own_s * overhead)
