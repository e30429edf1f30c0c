"""Arms of one workload that take turns: equal weights and inputs, one reference for all of them."""

from abc import ABC, abstractmethod
from collections import defaultdict

from torch import nn

from bench.arms import building
from bench.arms.agreement import Agreement
from bench.arms.build_and_check import make_arm, make_inputs, share_as_chosen
from bench.arms.candidate import Candidate
from bench.arms.contents import contents_of
from bench.arms.kept_state import copied_module
from bench.arms.modes import settle_shapes
from bench.arms.own_check import Answer, check_own, own_answer
from bench.records.comparison import Arm, Comparison
from vitcore.weights import transfer


class ArmGroup(ABC):
    """Builds the arms of a workload, each with memory of its own, and checks them.

    ``comparison`` is any comparison of the group: it gives workload and baseline.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    @abstractmethod
    def build(self, arm: Arm) -> Candidate:
        """Build an arm, the baseline too, with the weights and inputs of the group.

        Raises UnavailableError if this machine cannot run it, InputError if a user's arm cannot be
        built.
        """

    @property
    @abstractmethod
    def weight_bytes(self) -> int:
        """Bytes of the baseline's parameters; 0 for a function."""

    @abstractmethod
    def check(self, comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
        """Compare an arm with the group's reference, which is computed once."""


class _PartsOfVitcore(ArmGroup):
    def __init__(self, comparison: Comparison) -> None:
        super().__init__(comparison)
        self.source = building.build_module(comparison.baseline, comparison.workload)
        self.input_BX = building.random_inputs(comparison.workload)
        self._expected: building.Expected | None = None

    def build(self, arm: Arm) -> Candidate:
        workload = self.comparison.workload
        module = building.blank_module(arm, workload)
        transfer(self.source, module)
        return building.candidate_of(arm, workload, module, self.input_BX)

    @property
    def weight_bytes(self) -> int:
        return _bytes_of(self.source)

    def check(self, comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
        if self._expected is None:
            self._expected = building.expected_of(comparison, baseline)
        return building.agreement_with(self._expected, arm)


class _OwnArms(ArmGroup):
    def __init__(self, comparison: Comparison) -> None:
        super().__init__(comparison)
        self.inputs = make_inputs(comparison)
        device = comparison.workload.device
        work = make_arm(comparison.baseline, device).work
        self.is_module = isinstance(work, nn.Module)
        self.source = contents_of(work).module
        settle_shapes(work, self.source, self.inputs, device)
        self._built: set[int] = set()
        self._copies: dict[Arm, list[Candidate]] = defaultdict(list)
        self._expected: Answer | Agreement | None = None

    def build(self, arm: Arm) -> Candidate:
        made = make_arm(arm, self.comparison.workload.device)
        work = made.work
        if isinstance(work, nn.Module):
            # Two calls must not share weights in the cache, nor train the same ones.
            if id(work) in self._built:
                work = copied_module(work)
            self._built.add(id(work))
        built = Candidate(made.levels, self.comparison.workload, work, self.inputs)
        if built.module is not self.source:
            share_as_chosen(self.comparison, arm, self.source, built.module)
        self._copies[arm].append(built)
        return built

    @property
    def weight_bytes(self) -> int:
        return _bytes_of(self.source) if self.is_module else 0

    def check(self, comparison: Comparison, baseline: Candidate, arm: Candidate) -> Agreement:
        if self._expected is None:
            self._expected = own_answer("baseline", comparison, baseline)
        if isinstance(self._expected, Agreement):
            return self._expected
        copies = [arm, *(each for each in self._copies[comparison.arm] if each is not arm)]
        return check_own(comparison, self._expected, baseline, copies, self.source)


def _bytes_of(module: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in module.parameters())


def arm_group(comparison: Comparison) -> ArmGroup:
    """Return the builder of a comparison's workload. Raises InputError for unusable inputs."""
    if comparison.baseline.factory is not None:
        return _OwnArms(comparison)
    return _PartsOfVitcore(comparison)
