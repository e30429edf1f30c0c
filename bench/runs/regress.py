"""Compare this tree with a git revision: from a request to a plan, and to checks."""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.analysis.gate import Check, TargetRows, Thresholds, checks, new_target
from bench.files.run_folder import check_run_folder, new_run_id
from bench.records.comparison import OWN_FACTOR, Arm, Comparison, Workload
from bench.records.plan import Plan
from bench.runs.run import Progress, execute
from bench.runs.state import RunState
from bench.runs.targets import Target, check_here, is_at, root_of
from bench.runs.tasks import probe
from bench.runs.worktrees import (
    checked_out,
    commit_of,
    has_changes,
    head_of,
    repository_of,
    temporary,
)
from bench.suite.availability import check_devices
from bench.suite.grid import CONTROL_SHARE
from bench.usercode.sources import digests
from bench.usercode.spec import FunctionRef


@dataclass(frozen=True, kw_only=True)
class RegressRequest:
    """A comparison of this tree with a revision. Raises InputError for a folder that exists.

    Each of ``targets`` is compared with itself at ``base``. Without ``folder`` the files of the run
    are removed at its end.
    """

    base: str
    targets: tuple[Target, ...]
    precision: str
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
        if self.folder is not None:
            check_run_folder(self.folder)


@dataclass(frozen=True, kw_only=True)
class Gated:
    """The run and what it says of each target; ``base`` is the revision as it was named.

    Without a target that the base has there was no run.
    """

    results: RunState | None
    checks: list[Check]
    base: str


def regress(request: RegressRequest, progress: Progress) -> Gated:
    """Measure every target of this tree against itself at the base. Raises like ``run``."""
    here = Path.cwd()
    repository = repository_of(here)
    commit = commit_of(repository, request.base)
    environment = probe()
    check_devices((request.device,), environment.devices)
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
        # The run cannot be resumed without the base's tree.
        shutil.rmtree(parent, ignore_errors=True)
        raise KeyboardInterrupt from error
    finally:
        if request.folder or all(each.name == "base" for each in parent.glob("*")):
            shutil.rmtree(parent, ignore_errors=True)
    found = checks(
        list(target_rows(results, known, request.base)),
        request.thresholds,
        survey=request.survey,
    )
    found += _new(request, known)
    if not request.folder and all(check.outcome != "unknown" for check in found):
        shutil.rmtree(parent, ignore_errors=True)
    return Gated(results=results, checks=found, base=request.base)


def _new(request: RegressRequest, known: Iterable[Target]) -> list[Check]:
    return [new_target(target.name) for target in request.targets if target not in known]


def _plan(
    request: RegressRequest, run_id: str, repository: Path, base: Path, roots: Mapping[Target, Path]
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
    request: RegressRequest, target: Target, root: Path, base_root: Path
) -> Iterator[Comparison]:
    base = Arm(
        factory=base_name(target, request.base), precision=request.precision, tree=str(base_root)
    )
    workload = Workload(
        component="callable",
        mode=request.mode,
        device=request.device,
        inputs=target.inputs.text,
    )
    for arm in (base, replace(base, factory=target.name, tree=str(root))):
        yield Comparison(
            factor=OWN_FACTOR,
            workload=workload,
            baseline=base,
            arm=arm,
            # What outputs may be then is judged by that threshold, and by no precision's.
            allow_different=request.allow_different or request.thresholds.numeric_error is not None,
        )


def base_name(target: Target, base: str) -> str:
    """Return the name of a target at the base."""
    return f"{target.name}@{base}"


def _sources(roots: Mapping[Target, Path], repository: Path) -> dict[str, str]:
    """Return the digests of every file beside a target: a run measures one version of a tree."""
    found: dict[str, str] = {}
    for target, root in roots.items():
        code, files = target.arm.code, list[Path]()
        top = "vitcore"
        if isinstance(code, FunctionRef):
            top = code.place.partition(".")[0]
            files = [root / code.place] if code.is_file else []
        found |= digests([*files, *sorted((root / top).rglob("*.py"))], repository)
    return {str(repository / name): value for name, value in found.items()}


def target_rows(results: RunState, targets: Iterable[Target], base: str) -> Iterator[TargetRows]:
    """Yield the rows of each target, with its share of the time that the run took.

    Time outside of measuring counts in proportion to the time of measuring.
    """
    own_s: dict[str, float] = defaultdict(float)
    for sample in results.samples:
        own_s[sample.key] += sample.prepare_s + sample.measure_s
    total_s = sum(own_s.values())
    overhead = results.spent_s / total_s if total_s else 1.0
    pairs = zip(results.plan.comparisons, results.records, strict=True)
    rows = {comparison.arm_name: (comparison.key, record) for comparison, record in pairs}
    notes = results.analysis.notes
    for target in targets:
        key, tree = rows[target.name]
        base_key, base_row = rows[base_name(target, base)]
        yield TargetRows(
            target=target.name,
            tree=tree,
            base=base_row,
            notes=notes[key] + notes[base_key],
            spent_s=own_s[key] * overhead,
        )
