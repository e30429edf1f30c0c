"""Checks of a request against the machine, before anything is measured."""

from bench.records.environment import Environment
from bench.records.errors import InputError
from bench.runs.schedule import REPORT_S

# Start of Python, torch and pytest in a pass, in multiples of the time to import torch.
STARTUP_IMPORTS = 2.0
# Minimum seconds of a comparison of small parts: build, check, settle, six pairs.
SMALLEST_S = 0.5


def check_objective(objective: str, devices: tuple[str, ...], environment: Environment) -> None:
    """Raise InputError if the objective cannot be measured on one of the devices here."""
    for device in devices:
        if objective == "energy" and (reason := environment.no_energy.get(device)):
            raise InputError(
                f"objective 'energy' is not available on {device} ({reason}); choose another "
                "--objective"
            )


def check_budget(budget_s: float, passes: int, environment: Environment) -> None:
    """Raise InputError if the budget does not cover one small comparison in every pass."""
    need_s = REPORT_S + passes * (startup_s(environment) + SMALLEST_S)
    if budget_s < need_s:
        raise InputError(
            f"budget is {budget_s:.0f}s; expected at least {need_s:.0f}s to start {passes} "
            "passes and measure one comparison: give a larger --budget or fewer --passes"
        )


def startup_s(environment: Environment) -> float:
    """Return the seconds of a pass before it measures."""
    return STARTUP_IMPORTS * environment.import_torch_s
