"""bench.machine.gpu: disturbances and facts of a GPU, by a fake NVML and by the real one."""

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
    """A GPU that is cool, without other processes and at its highest clock."""
    return FakeNvml()


def causes(nvml: FakeNvml, **changes: Any) -> tuple[str, ...]:
    """Return the causes found after these answers have changed."""
    load = GpuLoad(Gpu(nvml, "gpu"))
    before = load.read()
    nvml.answers |= changes
    return load.causes(before, load.read(), 0.1)


def test_idle_gpu_is_not_disturbed(nvml: FakeNvml) -> None:
    """A cool GPU at full clock without other processes has no disturbance."""
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
    """Thermal, power-brake and hardware slowdowns are disturbances, by either NVML function."""
    del nvml.answers["CurrentClocksEventReasons"]
    assert causes(nvml, **{name: getattr(nvml, f"nvmlClocksThrottleReason{reason}")}) == cause


@pytest.mark.parametrize(("mhz", "dropped"), [(1980, False), (1900, False), (1870, True)])
def test_a_clock_that_falls_by_more_than_5_percent_disturbs(
    nvml: FakeNvml, mhz: int, *, dropped: bool
) -> None:
    """A clock over 5 % below the highest of this measurement is a disturbance."""
    assert causes(nvml, ClockInfo=mhz) == ((CLOCK_DROPPED,) if dropped else ())


def test_the_highest_clock_is_of_this_measurement(nvml: FakeNvml) -> None:
    """Each watch finds its own highest clock; a rising clock is not a disturbance."""
    nvml.answers["ClockInfo"] = 300
    assert causes(nvml, ClockInfo=1980) == ()
    nvml.answers["ClockInfo"] = 1500
    assert causes(nvml) == ()


@pytest.mark.parametrize(("celsius", "hot"), [(86, False), (87, True)])
def test_the_temperature_at_which_the_gpu_slows_is_hot(
    nvml: FakeNvml, celsius: int, *, hot: bool
) -> None:
    """The GPU's own slowdown temperature, here 87 degrees, is the limit."""
    assert causes(nvml, Temperature=celsius) == ((HOT,) if hot else ())


@pytest.mark.parametrize(
    ("pids", "foreign"),
    [
        ((), ()),
        ((os.getpid(),), ()),
        ((os.getpid(), OTHER_PID), (FOREIGN,)),
        # In a container this process is listed under another process ID.
        ((OTHER_PID,), ()),
        ((OTHER_PID, OTHER_PID + 1), (FOREIGN,)),
    ],
)
def test_only_processes_of_others_are_foreign(
    nvml: FakeNvml, pids: tuple[int, ...], foreign: tuple[str, ...]
) -> None:
    """One of the listed processes is this one, under any ID; more are foreign."""
    nvml.run_processes(*pids)
    assert causes(nvml) == foreign


@pytest.mark.parametrize("what", EVERYTHING)
@pytest.mark.parametrize("error", [True, False])
def test_missing_nvml_answers_are_ignored(nvml: FakeNvml, what: str, *, error: bool) -> None:
    """A failing or missing NVML function is ignored; the others still count."""
    if error:
        nvml.answers[what] = NVMLError("Not Supported")
    else:
        del nvml.answers[what]
    assert causes(nvml) == ()
    nvml.answers["CurrentClocksThrottleReasons"] = nvml.nvmlClocksThrottleReasonHwSlowdown
    nvml.answers.pop("CurrentClocksEventReasons", None)
    assert causes(nvml) == (HARDWARE,)


def test_watch_with_a_gpu_marks_pairs(nvml: FakeNvml) -> None:
    """A watch accepts a GPU as a source and marks the pairs since its last reading."""
    now_s = iter(0.06 * tick for tick in range(100))
    watch = LoadWatch(lambda: [GpuLoad(Gpu(nvml, "gpu"))], clock=lambda: next(now_s))
    watch.begin()
    nvml.run_processes(os.getpid(), OTHER_PID)
    for _ in range(5):
        watch.pair()
    assert watch.disturbed == (0, 1, 2, 3)
    assert watch.causes == {FOREIGN: 4}


def test_a_gpu_is_found_by_its_uuid(nvml: FakeNvml) -> None:
    """A GPU is found by its UUID despite CUDA_VISIBLE_DEVICES; a MIG slice maps to its GPU."""
    nvml.gpus |= {"GPU-a-b": "whole", "MIG-c-d": "[parent]"}
    assert _handle(nvml, "a-b") == "whole"
    assert _handle(nvml, "c-d") == "parent"
    with pytest.raises(NVMLError):
        _handle(nvml, "e-f")


@pytest.fixture(name="torchs")
def _torchs(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """The same GPU, which is device 0 in torch."""
    monkeypatch.setattr(gpu_module, "torch_gpu", lambda: Gpu(nvml, "gpu"))
    return nvml


def test_facts_are_fields_of_the_environment(torchs: FakeNvml) -> None:
    """Facts are environment fields: MHz, watts, booleans, and the number of other processes."""
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


def test_facts_missing_from_nvml_are_none(
    torchs: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts that NVML does not have are None, never 0 or False."""
    torchs.answers = {}
    monkeypatch.setattr(FakeNvml, "nvmlSystemGetDriverVersion", _refuse)
    assert set(gpu_facts().values()) == {None}


def _refuse(_: FakeNvml) -> str:
    raise NVMLError("Driver/library version mismatch")


def test_the_fake_is_like_the_library() -> None:
    """Each name of the fake exists in pynvml, and each constant has the same value."""
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
    """Without a GPU the source raises an OSError, which a watch accepts as unavailable."""
    assert gpu_facts() == {}
    with pytest.raises(OSError, match=r".+"):
        torch_gpu()
    with pytest.raises(OSError, match=r".+"):
        GpuLoad.of_torch()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_real_gpu_has_plausible_numbers() -> None:
    """Clock, temperature, processes and facts of torch's GPU are plausible."""
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
def test_own_process_on_a_real_gpu_is_not_foreign() -> None:
    """This process is not foreign on the GPU on which it computes."""
    watch, x_NN = watch_for("cuda"), torch.ones(2048, 2048, device="cuda")
    if torch_gpu().other_processes(ours=1):
        pytest.skip("others compute on this GPU")
    watch.begin()
    for _ in range(200):
        x_NN = (x_NN @ x_NN).clamp(0, 1)
        torch.cuda.synchronize()
        watch.pair()
    assert FOREIGN not in watch.causes
