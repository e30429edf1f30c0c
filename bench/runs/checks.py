"""From what the user asked for to the plan of a run and of each pass."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.analysis.decision import Aim
from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.runs.schedule import REPORT_S
from bench.suite.grid import Selection

# A pass starts Python, torch and pytest before it measures; as multiples of importing torch.
STARTUP_IMPORTS = 2.0
# The least that a comparison of small parts takes: build, check, settle, six pairs.
SMALLEST_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. ``devices`` is None for all that the machine has."""

    selection: Selection
    devices: tuple[str, ...] | None
    budget_s: float
    passes: int
    precision: float | None
    delta: float
    case_timeout_s: float
    seed: int
    folder: Path
    command: str
    lock: bool = True
    survey: bool = True
    choose: bool = True
    aim: Aim = field(default_factory=Aim)


def check_objective(objective: str, devices: tuple[str, ...], environment: Environment) -> None:
    """Raise InputError where a run is to choose by what cannot be measured on a device here."""
    for device in devices:
        if objective == "energy" and (reason := environment.no_energy.get(device)):
            raise InputError(
                f"objective 'energy' asked for, but no energy is measured on {device} here "
                f"({reason}); give another --objective"
            )


def check_budget(budget_s: float, passes: int, environment: Environment) -> None:
    """Raise InputError where the budget does not cover one small comparison in every pass."""
    need_s = REPORT_S + passes * (startup_s(environment) + SMALLEST_S)
    if budget_s < need_s:
        raise InputError(
            f"budget is {budget_s:.0f}s; expected at least {need_s:.0f}s to start {passes} "
            "passes and measure one comparison: give a larger --budget or fewer --passes"
        )


def startup_s(environment: Environment) -> float:
    """Seconds that a pass takes before it measures."""
    return STARTUP_IMPORTS * environment.import_torch_s
