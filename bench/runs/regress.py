"""Compare this tree with a git revision: from a request to a plan and to checks."""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.gate import Check, TargetRows, Thresholds, checks, new_target
from bench.records.comparison import OWN_FACTOR, Arm, Comparison, Workload
from bench.records.environment import Environment
from bench.records.plan import Plan
from bench.runs.base_targets import BaseTarget, Trees, check_here, find_at_base
from bench.runs.repositories import commit_of, repository_of
from bench.runs.run import Progress, execute
from bench.runs.settings import RunSettings, run_folder
from bench.runs.state import RunState
from bench.runs.targets import Target, root_of
from bench.runs.tasks import probe
from bench.runs.worktrees import checked_out
from bench.suite.availability import check_devices
from bench.usercode.sources import digests
from bench.usercode.spec import ArmSpec, FunctionRef


@dataclass(frozen=True, kw_only=True)
class RegressRequest:
    """Request for a comparison of each target in this tree with itself at a revision, ``base``."""

    settings: RunSettings
    base: str
    targets: tuple[Target, ...]
    precision: str
    device: str
    mode: str
    thresholds: Thresholds
    allow_different: bool
    weights: str
    copied: tuple[Path, ...] = ()
    """Files and folders that git does not have, for the base to have, too."""


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """Checks of each target, and their run; ``base`` is the revision as it was named.

    There is no run if the base has none of the targets. ``moved`` has the names at the base of
    targets that have another one there.
    """

    results: RunState | None
    checks: list[Check]
    base: str
    moved: dict[str, str]


def regress(request: RegressRequest, progress: Progress) -> GateResult:
    """Measure every target of this tree against itself at the base. Raises like ``run``."""
    repository = repository_of(Path.cwd())
    commit = commit_of(repository, request.base)
    with run_folder(request.settings.folder) as folder:
        with checked_out(repository, commit, request.copied) as base:
            roots = {target: root_of(target, repository) for target in request.targets}
            check_here(roots)
            known = _known(roots, Trees(here=repository, base=base))
            moved = {t.name: each.arm.text for t, each in known.items() if each.arm != t.arm}
            if not known:
                return GateResult(
                    results=None, checks=_new(request, known), base=request.base, moved=moved
                )
            environment = probe()
            check_devices((request.device,), environment.devices)
            plan = _plan(request, folder, repository, known)
            results = _execute(plan, environment, request.settings, folder, progress)
        found = _checks(request, results, known)
        if not request.settings.folder and all(check.outcome != "unknown" for check in found):
            shutil.rmtree(folder)
    return GateResult(results=results, checks=found, base=request.base, moved=moved)


def _known(roots: Mapping[Target, Path], trees: Trees) -> dict[Target, BaseTarget]:
    """Return the targets that the base has, and where."""
    found = {target: find_at_base(target, root, trees) for target, root in roots.items()}
    return {target: each for target, each in found.items() if each is not None}


def _execute(
    plan: Plan, environment: Environment, settings: RunSettings, folder: Path, progress: Progress
) -> RunState:
    """Measure a plan; on an interrupt, omit the hint to resume, which would need the base."""
    try:
        return execute(plan, environment, folder, progress, lock=settings.lock)
    except KeyboardInterrupt as error:
        if not settings.folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise KeyboardInterrupt from error


def _checks(
    request: RegressRequest, results: RunState, known: Mapping[Target, BaseTarget]
) -> list[Check]:
    names = {target: base_name(each.arm, request.base) for target, each in known.items()}
    rows = list(target_rows(results, names))
    found = checks(rows, request.thresholds, survey=request.settings.survey)
    return [*found, *_new(request, known)]


def _new(request: RegressRequest, known: Iterable[Target]) -> list[Check]:
    return [new_target(target.name) for target in request.targets if target not in known]


def _plan(
    request: RegressRequest,
    folder: Path,
    repository: Path,
    known: Mapping[Target, BaseTarget],
) -> Plan:
    # Two targets may have been one at the base, whose control is then one.
    comparisons = tuple(
        dict.fromkeys(
            each
            for target, at_base in known.items()
            for each in _comparisons(request, target, at_base)
        )
    )
    roots = {target: at_base.here for target, at_base in known.items()}
    return replace(
        request.settings.own_plan(folder, comparisons, _sources(roots, repository), repository),
        precision=request.thresholds.latency / 2,
        gate=request.thresholds.latency,
    )


def _comparisons(
    request: RegressRequest, target: Target, at_base: BaseTarget
) -> Iterator[Comparison]:
    base = Arm(
        factory=base_name(at_base.arm, request.base),
        precision=request.precision,
        tree=str(at_base.there),
    )
    workload = Workload(
        component="callable",
        mode=request.mode,
        device=request.device,
        inputs=target.inputs.text,
    )
    for arm in (base, replace(base, factory=target.name, tree=str(at_base.here))):
        yield Comparison(
            factor=OWN_FACTOR,
            workload=workload,
            baseline=base,
            arm=arm,
            # With a threshold the gate judges the outputs, not the precision's tolerance.
            allow_different=request.allow_different or request.thresholds.numeric_error is not None,
            weights=request.weights,
        )


def base_name(arm: ArmSpec, base: str) -> str:
    """Return the name of an arm at the base."""
    return f"{arm.text}@{base}"


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


def target_rows(results: RunState, base_names: Mapping[Target, str]) -> Iterator[TargetRows]:
    """Yield the rows of each target, with its share of the time that the run took.

    Time outside of measuring counts in proportion to the time of measuring. ``base_names`` has the
    name of each target's row at the base.
    """
    own_s: dict[str, float] = defaultdict(float)
    for sample in results.samples:
        own_s[sample.key] += sample.prepare_s + sample.measure_s
    total_s = sum(own_s.values())
    overhead = results.spent_s / total_s if total_s else 1.0
    gated = results.gated_rows(is_last=True)
    rows = {each.arm_name: (each.key, gated[each.key]) for each in results.plan.comparisons}
    notes = results.analysis.notes
    for target, name in base_names.items():
        key, tree = rows[target.name]
        base_key, base_row = rows[name]
        yield TargetRows(
            target=target.name,
            tree=tree,
            base=base_row,
            notes=notes[key] + notes[base_key],
            spent_s=own_s[key] * overhead,
        )
