"""Names of factors, workloads, arms, cases and verdicts in tables, figures and notes."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from bench.analysis.aim import Situation
from bench.analysis.decision import FULL, Decision
from bench.analysis.run_agreement import ChoicePair
from bench.records.arm_costs import Case
from bench.records.comparison import CHOICE, DEFAULT_ARM, FACTORS, Arm, Workload
from bench.records.row import Record

K = TypeVar("K")
T = TypeVar("T")
_SIGNS = {"faster": "▲", "slower": "▼", "equivalent": "=", "undecided": "?"}
_DEFAULT = "default"
# The default arm, with the levels of those factors that differ from model to model.
_LEVELS = ("patcher", "attention", "compile", "precision")
DEFAULT_ARM_TEXT = f"{_DEFAULT} ({', '.join(map(DEFAULT_ARM.level, _LEVELS))})"


def factor_name(record: Record) -> str:
    """Name of what a row's comparison varies: ``compare`` for a user's own arms."""
    return record.factor_name


def workload(record: Record) -> str:
    """Name of a row's workload: ``B/16 model b1 train``, with an unusual image size or precision.

    The precision is named where both arms have it, but for a user's own arms.
    """
    return f"{record.workload.name} {record.common_precision}".rstrip()


def arm_name(record: Record) -> str:
    """Name of a row's arm; a combination of the default level of every factor is ``default``."""
    return _level_name(record.factor, record.arm)


def baseline_name(record: Record) -> str:
    """Name of the arm that a row's arm is compared with."""
    return _level_name(record.factor, record.baseline)


def _level_name(factor: str, level: str) -> str:
    return _DEFAULT if factor == CHOICE and level == DEFAULT_ARM.choice else level


def combination_name(arm: Arm) -> str:
    """Name of a combination of levels: ``linear + sdpa + bf16``, or ``default``."""
    return _DEFAULT if arm == DEFAULT_ARM else arm.choice.replace("+", " + ")


def choice_name(decision: Decision) -> str:
    """Name of what to choose; ``unknown`` if the objective was not measured."""
    return "unknown" if decision.has_no_data else combination_name(decision.arm)


def situation_name(situation: Situation) -> str:
    """Name of a situation: ``B/16 b8 forward``, with a device that is not the CPU."""
    name = Workload(
        component="",
        mode=situation.mode,
        device=situation.device,
        variant=situation.variant,
        image_size=situation.image_size,
        batch_size=situation.batch_size,
    ).name
    return name if situation.device == "cpu" else f"{name} {situation.device}"


def level_name(decision: Decision | ChoicePair) -> str:
    """Name of a decision's level: ``at fp32``, full precision, or ``of all``."""
    return f"at {DEFAULT_ARM.precision}" if decision.level == FULL else "of all"


def case_name(case: Case) -> str:
    """Name of a case: the workload without its component, and the arm's unusual levels."""
    usual = Arm()
    own = [case.arm.level(each) for each in FACTORS if case.arm.level(each) != usual.level(each)]
    return " ".join([case.workload.name_without_component, *own])


def case_heading(case: Case) -> str:
    """Heading for a case: ``attention of B/16 b1 train manual, on cpu``."""
    work = case.workload
    part = "" if work.component == "model" else f"{work.component} of "
    return f"{part}{case_name(case)}, on {work.device}"


def part_name(record: Record) -> str:
    """Name of a row's part of the model on two lines, or its inputs, for an axis."""
    return record.inputs or f"{record.variant}\n{record.component}"


def conditions(record: Record) -> str:
    """Mode and batch size of a row, with a device that is not the CPU: ``forward, batch 1``."""
    batch = f"batch {record.batch_size}" if record.batch_size else ""
    device = record.device if record.device != "cpu" else ""
    return ", ".join(filter(None, (record.mode, batch, device)))


def verdict(record: Record) -> str:
    """A row's verdict with its sign, or its status if it has none."""
    if record.verdict is None:
        return record.status
    text = f"{_SIGNS[record.verdict]} {record.verdict}"
    return f"{text} (control)" if record.is_control else text


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Rows or other items by key, adjacent or not; keys and items keep their order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def undecided_last(records: Iterable[Record]) -> list[Record]:
    """Rows in their order, but candidates without a decision at the end; controls stay."""
    return sorted(records, key=lambda r: r.verdict == "undecided" and not r.is_control)


def by_factor(records: Iterable[Record]) -> list[list[Record]]:
    """Rows of each device and factor."""
    return list(grouped(records, lambda record: (record.device, record.factor)).values())


def distinct(records: Iterable[Record]) -> Iterator[Record]:
    """Rows without repeated cases: the usual arm is a row under several factors."""
    seen = set()
    for record in records:
        key = (workload(record), None if record.is_usual else (record.factor, record.arm))
        if key not in seen:
            seen.add(key)
            yield record
