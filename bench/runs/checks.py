"""Checks of a request against the machine, before anything is measured."""

from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.runs.schedule import REPORT_S

# A pass starts Python, torch and pytest before it measures; as multiples of importing torch.
STARTUP_IMPORTS = 2.0
# The least that a comparison of small parts takes: build, check, settle, six pairs.
SMALLEST_S = 0.5


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
