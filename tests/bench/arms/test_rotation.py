"""bench.arms.rotation: copies that make the weights of every call cold, and warm inputs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.arms import rotation
from bench.arms.candidate import Candidate
from bench.arms.groups import ArmGroup, arm_group
from bench.arms.inputs import Inputs
from bench.arms.rotation import Copies, Rotation, copies_for, surroundings_of
from bench.records.comparison import Arm, Comparison
from helpers.own_arms import compare, write
from helpers.records import make_comparison, make_workload

CONTROL, MANUAL, SDPA = (make_comparison(each) for each in ("mha", "manual", "sdpa"))
MIB = 2**20


class Weighs(ArmGroup):
    """A group whose arms are not built: the bytes of its weights are given."""

    def __init__(self, weight_bytes: int) -> None:
        super().__init__(CONTROL)
        self._bytes = weight_bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        return self._bytes

    def build(self, arm: Arm) -> Candidate:
        """Build nothing."""
        raise NotImplementedError

    def check(self, comparison: Comparison, baseline: Candidate, arm: Candidate) -> None:  # type: ignore[override]
        """Check nothing."""


def flushed() -> None:
    """Stand in for the flush of the cache."""


@pytest.fixture(name="cache")
def _cache(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that sets the size of the last-level cache in MiB."""
    monkeypatch.setattr(rotation, "flusher", lambda _: flushed)

    def set_mib(size: int) -> None:
        monkeypatch.setattr(rotation, "cache_bytes", lambda _: size * MIB)

    set_mib(32)
    return set_mib


def copies(weight_mib: float, *comparisons: Comparison, group: ArmGroup | None = None) -> Copies:
    """Return the copies of arms with weights of this size."""
    return copies_for(
        comparisons or (CONTROL, MANUAL, SDPA), group or Weighs(int(weight_mib * MIB))
    )


@pytest.mark.parametrize(
    ("cache_mib", "weight_mib", "count"),
    [
        # Three arms and the copy of the baseline: four sets of weights between two calls of one.
        (32, 16, 1),
        (32, 15, 2),
        (32, 8, 2),
        (32, 4, 4),
        (300, 16, 10),
        (300, 100, 2),
        (300, 1000, 1),
    ],
)
def test_as_many_copies_as_the_cache_asks_for(
    cache: Callable[[int], None], cache_mib: int, weight_mib: int, count: int
) -> None:
    """Between two calls of one copy, weights of twice the cache's size are read."""
    cache(cache_mib)
    assert copies(weight_mib) == Copies(count)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("weight_mib", [1, 0.1])
def test_small_weights_would_need_too_many_copies(weight_mib: float) -> None:
    """The cache is flushed before each call instead."""
    assert copies(weight_mib) == Copies(1, flushed)


@given(cache_mib=st.integers(1, 1000), weight_kib=st.integers(1, 2**20), arms=st.integers(1, 4))
def test_copies_are_cold_or_the_cache_is_flushed(
    cache_mib: int, weight_kib: int, arms: int
) -> None:
    """Whatever the sizes: either enough is read between two calls, or the cache is flushed."""
    names = ["mha_weights", "manual", "sdpa", "mha_weights"][:arms]
    group = [CONTROL, *map(make_comparison, names)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rotation, "flusher", lambda _: flushed)
        patch.setattr(rotation, "cache_bytes", lambda _: cache_mib * MIB)
        found = copies(weight_kib / 1024, *group)
    assert found.is_cold
    between = found.count * weight_kib * 1024 * (len(set(names)) + 2)
    assert found.flush is flushed or between >= 2 * cache_mib * MIB
    assert 1 <= found.count <= 12


@pytest.mark.usefixtures("cache")
def test_a_lone_arm_needs_more_copies() -> None:
    """Fewer arms read fewer weights in a round; without a control there is one copy less."""
    assert copies(8, CONTROL) == Copies(4)
    assert copies(8, MANUAL) == Copies(4)
    assert copies(8, CONTROL, MANUAL) == Copies(3)
    assert copies(8, CONTROL, MANUAL, replace(MANUAL, factor="choice")) == Copies(3)


@pytest.mark.usefixtures("cache")
def test_where_copies_do_not_help_the_cache_is_flushed() -> None:
    """Functions have no weights to copy, training has large state, a compile takes long."""
    train = make_comparison("manual", mode="train")
    compiled = replace(MANUAL, arm=Arm(compile="compile_blocks"))
    for group in ((train,), (CONTROL, compiled)):
        assert copies(100, *group) == Copies(1, flushed)
    assert copies(0) == Copies(1, flushed)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("cache_state", ["warm", "model"])
def test_warm_weights_need_nothing(cache_state: str) -> None:
    """A warm part and a whole model are called as they are."""
    assert copies(8, replace(MANUAL, cache=cache_state)) == Copies(1, None, is_cold=False)


class Noted:
    """Candidates that note when they are called and when their inputs are touched."""

    def __init__(self, count: int) -> None:
        self.seen: list[str] = []
        self.arms = [self._arm(str(index)) for index in range(count)]

    def _arm(self, name: str) -> Candidate:
        def work(_: torch.Tensor) -> None:
            self.seen.append(name)

        arm = Candidate(Arm(), make_workload(), work, Inputs(args=(torch.ones(2),)))
        arm.touch_inputs = lambda: self.seen.append(f"touch {name}")  # type: ignore[method-assign]
        return arm

    def flush(self) -> None:
        """Note a flush."""
        self.seen.append("flush")


def test_copies_are_called_in_turn() -> None:
    """Each call is of the next copy, whose inputs were read just before."""
    noted = Noted(3)
    turns = Rotation(noted.arms, Copies(3))
    for _ in range(4):
        turns.before()
        turns.once()
    order = [0, 1, 2, 0]
    assert noted.seen == [text for each in order for text in (f"touch {each}", str(each))]
    assert turns.first is noted.arms[0]


def test_inputs_are_warm_after_a_flush() -> None:
    """The flush comes first: a flushed cache holds no inputs."""
    noted = Noted(1)
    turns = Rotation(noted.arms, Copies(flush=noted.flush))
    turns.before()
    turns.once()
    assert noted.seen == ["flush", "touch 0", "0"]


def test_a_warm_arm_is_only_called() -> None:
    """Nothing is done between the calls of an arm whose cache is to be warm."""
    noted = Noted(1)
    turns = Rotation(noted.arms, Copies(is_cold=False))
    for _ in range(2):
        turns.before()
        turns.once()
    assert noted.seen == ["0", "0"]


def test_copies_of_an_arm_are_built_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies of one arm have equal weights in different places, and the same inputs."""
    work = make_workload(component="patcher", variant="B/32", patch_size=32, image_size=32)
    comparison = replace(CONTROL, workload=work)
    group, built = arm_group(comparison), list[Candidate]()
    build = group.build

    def noted(arm: Arm) -> Candidate:
        built.append(build(arm))
        return built[-1]

    monkeypatch.setattr(group, "build", noted)
    turns = Rotation.of(group, Arm(patcher="linear"), Copies(3))
    first, *others = [each.module.get_parameter("projection.weight") for each in built]
    assert len({first.data_ptr(), *(each.data_ptr() for each in others)}) == 3
    assert all(torch.equal(first, each) for each in others)
    with surroundings_of([turns.first]):
        assert torch.is_inference_mode_enabled()
        for _ in range(4):
            turns.before()
            turns.once()


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "bool", "complex64", "int64", "float16"])
def test_inputs_of_any_type_can_be_read(tmp_path: Path, dtype: str) -> None:
    """A user's arm may take any tensor."""
    code = f"""
        import torch
        def inputs(): return torch.ones(2, 8).to(torch.{dtype})
        def arm(): return lambda x: x.to(torch.complex64).sum()
    """
    path = write(tmp_path / "arms.py", code)
    comparison = compare(f"{path}:arm", f"{path}:arm", f"{path}:inputs")
    turns = Rotation.of(arm_group(comparison), comparison.arm, Copies())
    with surroundings_of([turns.first]):
        turns.before()
        turns.once()


def test_sparse_inputs_can_be_read(tmp_path: Path) -> None:
    """So may it take a sparse one, or one that is a view of repeated values."""
    code = """
        import torch
        def inputs(): return torch.eye(3).to_sparse(), torch.ones(1, 3).expand(4, 3)
        def arm(): return lambda x, y: y @ x.to_dense()
    """
    path = write(tmp_path / "arms.py", code)
    comparison = compare(f"{path}:arm", f"{path}:arm", f"{path}:inputs")
    turns = Rotation.of(arm_group(comparison), comparison.arm, Copies())
    with surroundings_of([turns.first]):
        turns.before()
        turns.once()
