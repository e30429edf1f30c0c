"""What disturbs a GPU and what it is, by an NVML that answers as a test wants; one by the real."""

import os
from dataclasses import fields
from typing import Any

import pynvml
import pytest
import torch

from bench.machine import gpu as gpu_module
from bench.machine.gpu import (
    CLOCK_DROPPED,
    FOREIGN,
    HARDWARE,
    HOT,
    POWER_BRAKE,
    Gpu,
    GpuLoad,
    _handle,
    gpu_facts,
    torch_gpu,
)
from bench.machine.load import LoadWatch, watch_for
from bench.records.environment import Environment
from helpers.machine import FakeNvml, NVMLError

OTHER_PID = os.getpid() + 1
EVERYTHING = (
    *("CurrentClocksEventReasons", "ComputeRunningProcesses", "ClockInfo", "MaxClockInfo"),
    *("Temperature", "TemperatureThreshold", "EnforcedPowerLimit", "PersistenceMode", "MigMode"),
)


@pytest.fixture(name="nvml")
def _nvml() -> FakeNvml:
    """A GPU that is cool, alone and at its highest clock."""
    return FakeNvml()


def causes(nvml: FakeNvml, **changes: Any) -> tuple[str, ...]:
    """What a look finds when these answers have changed since the last."""
    load = GpuLoad(Gpu(nvml, "gpu"))
    before = load.read()
    nvml.answers |= changes
    return load.causes(before, load.read(), 0.1)


def test_a_gpu_at_its_ease_is_not_disturbed(nvml: FakeNvml) -> None:
    """Cool, alone, at full clock."""
    assert causes(nvml) == ()


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("SwThermalSlowdown", (HOT,)),
        ("HwThermalSlowdown", (HOT,)),
        ("HwPowerBrakeSlowdown", (POWER_BRAKE,)),
        ("HwSlowdown", (HARDWARE,)),
        ("GpuIdle", ()),
        ("SwPowerCap", ()),
    ],
)
@pytest.mark.parametrize("name", ["CurrentClocksEventReasons", "CurrentClocksThrottleReasons"])
def test_slowdowns_disturb_and_everyday_reasons_do_not(
    nvml: FakeNvml, name: str, reason: str, cause: tuple[str, ...]
) -> None:
    """Heat, power brake and the hardware's own; by the driver's newer function or its older."""
    del nvml.answers["CurrentClocksEventReasons"]
    assert causes(nvml, **{name: getattr(nvml, f"nvmlClocksThrottleReason{reason}")}) == cause


@pytest.mark.parametrize(("mhz", "dropped"), [(1980, False), (1900, False), (1870, True)])
def test_a_clock_that_falls_by_more_than_5_percent_disturbs(
    nvml: FakeNvml, mhz: int, *, dropped: bool
) -> None:
    """Against the highest of this measurement, which was 1980 MHz."""
    assert causes(nvml, ClockInfo=mhz) == ((CLOCK_DROPPED,) if dropped else ())


def test_the_highest_clock_is_of_this_measurement(nvml: FakeNvml) -> None:
    """It may rise from idling without a word; each watch finds its own highest."""
    nvml.answers["ClockInfo"] = 300
    assert causes(nvml, ClockInfo=1980) == ()
    nvml.answers["ClockInfo"] = 1500
    assert causes(nvml) == ()


@pytest.mark.parametrize(("celsius", "hot"), [(86, False), (87, True)])
def test_the_temperature_at_which_the_gpu_slows_is_hot(
    nvml: FakeNvml, celsius: int, *, hot: bool
) -> None:
    """Its own limit counts, here 87 degrees."""
    assert causes(nvml, Temperature=celsius) == ((HOT,) if hot else ())


@pytest.mark.parametrize(
    ("pids", "foreign"),
    [
        ((), ()),
        ((os.getpid(),), ()),
        ((os.getpid(), OTHER_PID), (FOREIGN,)),
        # In a container this process is listed by a number that it does not know.
        ((OTHER_PID,), ()),
        ((OTHER_PID, OTHER_PID + 1), (FOREIGN,)),
    ],
)
def test_only_processes_of_others_are_foreign(
    nvml: FakeNvml, pids: tuple[int, ...], foreign: tuple[str, ...]
) -> None:
    """One of those listed is this process, whichever its number."""
    nvml.run_processes(*pids)
    assert causes(nvml) == foreign


@pytest.mark.parametrize("what", EVERYTHING)
@pytest.mark.parametrize("error", [True, False])
def test_what_nvml_does_not_tell_is_silent(nvml: FakeNvml, what: str, *, error: bool) -> None:
    """An error or a missing function costs its own answer; others still disturb."""
    if error:
        nvml.answers[what] = NVMLError("Not Supported")
    else:
        del nvml.answers[what]
    assert causes(nvml) == ()
    nvml.answers["CurrentClocksThrottleReasons"] = nvml.nvmlClocksThrottleReasonHwSlowdown
    nvml.answers.pop("CurrentClocksEventReasons", None)
    assert causes(nvml) == (HARDWARE,)


def test_a_watch_with_a_gpu_marks_the_pairs_since_its_last_look(nvml: FakeNvml) -> None:
    """It has the same shape as the sources of the CPU."""
    now_s = iter(0.06 * tick for tick in range(100))
    watch = LoadWatch(lambda: [GpuLoad(Gpu(nvml, "gpu"))], clock=lambda: next(now_s))
    watch.begin()
    nvml.run_processes(os.getpid(), OTHER_PID)
    for _ in range(5):
        watch.pair()
    assert watch.disturbed == (0, 1, 2, 3)
    assert watch.causes == {FOREIGN: 4}


def test_a_gpu_is_found_by_its_uuid(nvml: FakeNvml) -> None:
    """Whatever CUDA_VISIBLE_DEVICES hides; a part of one leads to the whole GPU."""
    nvml.gpus |= {"GPU-a-b": "whole", "MIG-c-d": "[parent]"}
    assert _handle(nvml, "a-b") == "whole"
    assert _handle(nvml, "c-d") == "parent"
    with pytest.raises(NVMLError):
        _handle(nvml, "e-f")


@pytest.fixture(name="torchs")
def _torchs(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """The same, and torch calls it 0."""
    monkeypatch.setattr(gpu_module, "torch_gpu", lambda: Gpu(nvml, "gpu"))
    return nvml


def test_facts_are_fields_of_the_environment(torchs: FakeNvml) -> None:
    """Clocks in MHz, power in watts, the rest as yes or no; processes of others are counted."""
    torchs.run_processes(OTHER_PID)
    facts = gpu_facts()
    assert facts == {
        "gpu_driver": "580.82.07",
        "gpu_sm_mhz": 1980,
        "gpu_sm_max_mhz": 1980,
        "gpu_memory_mhz": 1980,
        "gpu_memory_max_mhz": 1980,
        "gpu_power_limit_w": 700.0,
        "gpu_persistence": True,
        "gpu_mig": False,
        "gpu_other_processes": 1,
    }
    assert set(facts) <= {field.name for field in fields(Environment)}


def test_facts_that_nvml_does_not_tell_are_none(
    torchs: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never 0, and never False."""
    torchs.answers = {}
    monkeypatch.setattr(FakeNvml, "nvmlSystemGetDriverVersion", _refuse)
    assert set(gpu_facts().values()) == {None}


def _refuse(_: FakeNvml) -> str:
    raise NVMLError("Driver/library version mismatch")


def test_the_fake_is_like_the_library() -> None:
    """Each name that the fake answers to is one of pynvml's, with the same value if a constant."""
    assert set(FakeNvml().answers) == set(EVERYTHING)
    for what in (*EVERYTHING, "CurrentClocksThrottleReasons"):
        assert callable(getattr(pynvml, f"nvmlDeviceGet{what}"))
    names = [name for name in vars(FakeNvml) if name.lower().startswith("nvml")]
    for name in names:
        ours, theirs = getattr(FakeNvml, name), getattr(pynvml, name)
        assert callable(theirs) if callable(ours) else ours == theirs, name
    assert len(names) > 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_machine_without_a_gpu_has_no_facts_of_one() -> None:
    """Asking for it is an OSError, which a watch leaves out."""
    assert gpu_facts() == {}
    with pytest.raises(OSError, match=r".+"):
        torch_gpu()
    with pytest.raises(OSError, match=r".+"):
        GpuLoad.of_torch()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_real_gpu_tells_plausible_numbers() -> None:
    """Clock, heat and processes of the device that torch computes on, and its facts."""
    torch.ones(1, device="cuda").sum().item()
    load = GpuLoad.of_torch()
    state = load.read()
    assert state.clock is None or 0 < state.clock <= 1
    assert state.temperature_c is None or 0 < state.temperature_c < 120
    facts = gpu_facts()
    assert facts["gpu_driver"]
    assert facts["gpu_sm_max_mhz"] is None or facts["gpu_sm_max_mhz"] >= facts["gpu_sm_mhz"] > 0
    assert facts["gpu_power_limit_w"] is None or 10 < facts["gpu_power_limit_w"] < 5000


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_watch_over_a_real_gpu_finds_nothing_foreign_when_alone() -> None:
    """This process computes there, and is not foreign to itself."""
    watch, x_NN = watch_for("cuda"), torch.ones(2048, 2048, device="cuda")
    if torch_gpu().other_processes(ours=1):
        pytest.skip("others compute on this GPU")
    watch.begin()
    for _ in range(200):
        x_NN = (x_NN @ x_NN).clamp(0, 1)
        torch.cuda.synchronize()
        watch.pair()
    assert FOREIGN not in watch.causes
