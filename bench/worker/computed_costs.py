"""Costs of a case that are the same in every run: those kept on disk, else computed here."""

import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

import vitcore
from bench.costs.flops import counted_flops, disagreement
from bench.costs.graphs import graphs_of
from bench.costs.kernels import kernels_of
from bench.costs.memory_prediction import predict
from bench.costs.top1 import top1_agreement
from bench.files.kept_costs import KeptCosts, cache_folder
from bench.files.run_folder import digest
from bench.machine.environment import code_digest
from bench.machine.host import host_facts
from bench.records.arm_costs import Case, Graphs, PredictedMemory
from bench.suite.work import flops, least_bytes, parameters
from bench.timing.device import forget_imports, found_devices

T = TypeVar("T")

# Folders of bench whose code computes these costs or says what is computed.
_FOLDERS = ("analysis", "arms", "costs", "records", "suite")
_BENCH = Path(__file__).parents[1]
_VITCORE = Path(vitcore.__file__).parent


class Attempt(Protocol):
    """Return the value that a function computes; None if it raises, with a note on ``what``."""

    def __call__(self, what: str, compute: Callable[[], T], /) -> T | None:
        """Compute a value."""


def open_kept_costs() -> KeptCosts:
    """Open the costs kept for this code, torch and machine."""
    return KeptCosts(cache_folder(), depends_on())


def depends_on() -> dict[str, str]:
    """Return what the costs of a case depend on, other than the case.

    Predicted memory includes the scratch of the processor's kernels for a number of threads; a
    model's answers follow from its weights, trained here, and from kernels.
    """
    host = host_facts()
    gpus = range(torch.cuda.device_count()) if "cuda" in found_devices() else ()
    facts = {
        "code": code_digest([*(_BENCH / name for name in _FOLDERS), _VITCORE]),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_build": digest(torch.__config__.show().encode()),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in gpus],
        **{name: host[name] for name in ("cpu", "cpu_flags", "variables")},
    }
    return {name: str(value) for name, value in facts.items()}


def load_modules(cases: Sequence[Case], kept: KeptCosts) -> None:
    """Load the modules that several cases need: they would count as memory of one case."""
    kernels_of(lambda: torch.zeros(1), "cpu")
    if any(case.arm.compile != "eager" for case in cases):
        import_module("torch.fx.experimental.symbolic_shapes")
    if any(_asks_digits(case) and kept.of(case).top1_agreement is None for case in cases):
        # Without scikit-learn each survey has a note on top-1.
        with suppress(ImportError):
            import_module("sklearn.datasets")
    forget_imports()


def _asks_digits(case: Case) -> bool:
    """Whether a survey measures top-1 of a case."""
    return case.arm.factory is None and case.workload.mode == "forward"


class CaseCosts:
    """The costs of one case, each computed at most once; ``keep`` keeps them for other runs.

    None for a value that cannot be computed; ``attempt`` then notes the reason.
    """

    def __init__(self, case: Case, kept: KeptCosts, attempt: Attempt) -> None:
        self.case, self.kept, self.attempt = case, kept, attempt
        self.costs = kept.of(case)

    def keep(self) -> None:
        """Keep what is known now."""
        self.kept.keep(self.case, self.costs)

    def predicted(self) -> PredictedMemory | None:
        """Return the predicted memory."""
        return self._once("predicted", "predicted memory", partial(predict, self.case))

    def graphs(self) -> Graphs | None:
        """Return breaks and recompiles of a compiled arm; None for an eager one."""
        arm, workload = self.case.arm, self.case.workload
        if arm.compile == "eager":
            return None
        return self._once("graphs", "recompiles", partial(graphs_of, arm, workload))

    def flops_error(self) -> str | None:
        """Return one line if arithmetic and PyTorch's counter disagree on the FLOPs."""
        count = partial(counted_flops, self.case.arm, self.case.workload)
        counted = self._once("counted_flop", "FLOPs", count)
        return self._error(counted)

    def top1_agreement(self) -> float | None:
        """Return the share of digits that the arm and float64 classify alike."""
        measure = partial(top1_agreement, self.case.arm, self.case.workload.device)
        return self._once("top1_agreement", "top-1", measure)

    def by_arithmetic(self) -> dict[str, Any]:
        """Return the values that follow from names and sizes, as fields of ``Survey``."""
        arm, workload = self.case.arm, self.case.workload
        return {
            "flop": self.attempt("FLOPs", partial(flops, workload)),
            "moved_bytes": self.attempt("moved bytes", partial(least_bytes, workload, arm)),
            "parameters": self.attempt("parameters", partial(parameters, workload)),
        }

    def at_once(self) -> dict[str, Any]:
        """Return the values that take no time, by arithmetic or kept, as fields of ``Survey``."""
        return {
            **self.by_arithmetic(),
            "predicted": self.costs.predicted,
            "graphs": self.costs.graphs,
            "error": self._error(self.costs.counted_flop),
            "top1_agreement": self.costs.top1_agreement,
        }

    def _error(self, counted: int | None) -> str | None:
        return None if counted is None else disagreement(self.case.workload, counted)

    def _once(self, name: str, what: str, compute: Callable[[], T]) -> T | None:
        known: T | None = getattr(self.costs, name)
        if known is None:
            known = self.attempt(what, compute)
            found: dict[str, Any] = {name: known}
            self.costs = replace(self.costs, **found)
        return known
