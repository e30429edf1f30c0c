"""bench.machine.energy: the counters of RAPL and NVML, or the reason why there is none."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.machine.energy import NoMeter, NvmlMeter, RaplMeter, meter_for
from bench.machine.gpu import Gpu
from helpers.machine import FakeNvml, NVMLError, write_files

RANGE_UJ = 262_143_328_850
NOBODY = 65534


def zone(name: str, energy_uj: int | str) -> dict[str, str]:
    """Return the files of one RAPL zone."""
    return {
        "name": f"{name}\n",
        "energy_uj": f"{energy_uj}\n",
        "max_energy_range_uj": f"{RANGE_UJ}\n",
    }


def powercap(root: Path, **zones: dict[str, str]) -> Path:
    """Write zones as Linux shows them; in their names ``_`` stands for a colon."""
    for folder, files in zones.items():
        write_files(root / f"intel-rapl{folder.replace('_', ':')}", files)
    return root


def test_joules_are_those_since_the_meter_was_made(tmp_path: Path) -> None:
    """Joules are counted from the meter's creation, from microjoules."""
    meter = RaplMeter(powercap(tmp_path, _0=zone("package-0", 5_000_000)))
    assert meter.joules() == 0
    powercap(tmp_path, _0=zone("package-0", 6_250_000))
    assert meter.joules() == meter.joules() == 1.25


def test_counter_overflow_is_added(tmp_path: Path) -> None:
    """An overflow of the counter is added, each time; the maximum is the range itself."""
    meter = RaplMeter(powercap(tmp_path, _0=zone("package-0", RANGE_UJ - 1_000_000)))
    powercap(tmp_path, _0=zone("package-0", 499_999))
    assert meter.joules() == 1.5
    powercap(tmp_path, _0=zone("package-0", RANGE_UJ))
    whole_j = meter.joules()
    powercap(tmp_path, _0=zone("package-0", 0))
    assert meter.joules() == pytest.approx(whole_j + 1e-6, abs=1e-9)


@settings(deadline=None)
@given(steps_uj=st.lists(st.integers(0, RANGE_UJ), max_size=6), first_uj=st.integers(0, RANGE_UJ))
def test_every_path_of_the_counter_adds_up(
    tmp_path_factory: pytest.TempPathFactory, steps_uj: list[int], first_uj: int
) -> None:
    """Read at least once in each range, the sum is exact whatever the steps."""
    root = powercap(tmp_path_factory.getbasetemp() / "wraps", _0=zone("package-0", first_uj))
    meter, total_uj = RaplMeter(root), 0
    for step_uj in steps_uj:
        total_uj += step_uj
        now_uj = (first_uj + total_uj) % (RANGE_UJ + 1)
        powercap(root, _0=zone("package-0", now_uj))
        assert meter.joules() == pytest.approx(total_uj / 1e6)


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    """Packages are summed; zones within one, the board and a duplicate package are not."""
    names = {
        "_0": "package-0",
        "_1": "package-1-die-0",
        "_0_0": "core",
        "_0_1": "dram",
        "_2": "psys",
        "-mmio_0": "package-0",
    }
    powercap(tmp_path, **{folder: zone(name, 0) for folder, name in names.items()})
    meter = RaplMeter(write_files(tmp_path, {"dtpm/name": "package-9"}))
    counted = {name: 10**index for index, name in enumerate(names)}
    powercap(tmp_path, **{at: zone(name, 10**6 * counted[at]) for at, name in names.items()})
    assert meter.joules() == 11


def test_machine_without_counters_gives_the_reason(tmp_path: Path) -> None:
    """A missing folder, an empty one and one without a package give the reason."""
    absent = NoMeter(f"no RAPL counter under {tmp_path}")
    assert meter_for("cpu", root=tmp_path) == absent
    assert meter_for("cpu", root=powercap(tmp_path, _0=zone("psys", 1))) == absent
    nowhere = tmp_path / "nowhere"
    assert meter_for("cpu", root=nowhere) == NoMeter(f"no RAPL counter under {nowhere}")


@contextmanager
def as_another_user() -> Iterator[None]:
    """Drop root's rights for the block, where the tests have them."""
    ours = os.geteuid()
    try:
        os.seteuid(NOBODY if ours == 0 else ours)
    except OSError as error:
        pytest.skip(f"no other user here: {error}")
    try:
        yield
    finally:
        os.seteuid(ours)


def test_counter_for_root_only_gives_the_reason() -> None:
    """A counter that only root may read gives that as the reason."""
    with tempfile.TemporaryDirectory() as folder:
        root = powercap(Path(folder), _0=zone("package-0", 1))
        root.chmod(0o755)
        (root / "intel-rapl:0/energy_uj").chmod(0o000)
        with as_another_user():
            found = meter_for("cpu", root=root)
    assert found == NoMeter("RAPL counter may only be read by root")


def test_unreadable_counter_gives_the_reason(tmp_path: Path) -> None:
    """A counter file that is missing or not a number gives the reason."""
    found = meter_for("cpu", root=powercap(tmp_path, _0=zone("package-0", "broken")))
    assert isinstance(found, NoMeter)
    assert "broken" in found.reason
    (tmp_path / "intel-rapl:0/energy_uj").unlink()
    found = meter_for("cpu", root=tmp_path)
    assert isinstance(found, NoMeter)
    assert "energy_uj" in found.reason


def test_a_counter_that_goes_away_is_an_error(tmp_path: Path) -> None:
    """A counter that disappears while in use is an error."""
    meter = RaplMeter(powercap(tmp_path, _0=zone("package-0", 1)))
    (tmp_path / "intel-rapl:0/energy_uj").unlink()
    with pytest.raises(FileNotFoundError):
        meter.joules()


def test_this_machines_counter_rises_or_has_a_reason() -> None:
    """On this machine each device's counter rises, or is absent with a reason."""
    for device in ("cpu", "cuda"):
        found = meter_for(device)
        if isinstance(found, NoMeter):
            assert found.reason
            assert "\n" not in found.reason
        else:
            before_j = found.joules()
            time.sleep(3 * found.tick_s)
            assert found.joules() > before_j


@pytest.fixture(name="nvml")
def _nvml() -> FakeNvml:
    """A GPU that has used 12.5 J."""
    nvml = FakeNvml()
    nvml.answers["TotalEnergyConsumption"] = 12_500
    return nvml


def test_a_gpus_counter_is_in_joules(nvml: FakeNvml) -> None:
    """A GPU's counter is in joules, from millijoules, by a function that pynvml has."""
    found = meter_for("cuda", gpu=lambda: Gpu(nvml, "gpu"))
    assert isinstance(found, NvmlMeter)
    assert found.joules() == 12.5
    assert callable(pynvml.nvmlDeviceGetTotalEnergyConsumption)


def test_gpu_without_a_counter_gives_the_reason(nvml: FakeNvml) -> None:
    """A GPU without a counter gives the reason; one that loses it raises an error."""
    meter = NvmlMeter(Gpu(nvml, "gpu"))
    nvml.answers["TotalEnergyConsumption"] = NVMLError("Not Supported")
    reason = "NVML has no energy counter for this GPU"
    assert meter_for("cuda", gpu=lambda: Gpu(nvml, "gpu")) == NoMeter(reason)
    with pytest.raises(OSError, match=reason):
        meter.joules()


def test_a_gpu_that_nvml_does_not_know_gives_its_reason() -> None:
    """The reason for a GPU unknown to NVML is the message of torch_gpu."""

    def no_gpu() -> Gpu:
        raise OSError("NVMLError_NotFound: Not Found")

    assert meter_for("cuda", gpu=no_gpu) == NoMeter("NVMLError_NotFound: Not Found")
