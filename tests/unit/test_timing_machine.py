"""Inputs past the cache, memory, energy, and what the machine tells."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from vqbench.results import MachineRecord
from vqbench.worker.timing import machine, memory, nvml
from vqbench.worker.timing.inputs import cache_bytes, image_batch, rotating
from vqbench.worker.timing.machine import CoresMeter, EnergyMeter, explain_noise, look_at_machine
from vqbench.worker.timing.memory import MemoryMeter, keep_freed_memory
from vqbench.worker.timing.nvml import NvmlGpu, open_gpu

CPU, GPU = torch.device("cpu"), torch.device("cuda")
QUIET = MachineRecord(load_average=0.1)


def test_inputs_together_exceed_the_cache_twice_and_differ() -> None:
    first = (torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8),)
    inputs = rotating(first, cache=10_000)
    assert sum(tensor.nbytes for given in inputs for tensor in given) >= 20_000
    assert torch.equal(inputs[0][0], first[0])
    assert len({tuple(given[0].flatten().tolist()) for given in inputs}) == len(inputs)
    assert all(torch.equal(given[0].flatten().sort().values, first[0].flatten().sort().values) for given in inputs)


def test_inputs_are_two_at_least_and_bounded() -> None:
    large = (torch.zeros(1, 3, 512, 512),)
    assert len(rotating(large, cache=1)) == 2
    assert len(rotating((torch.zeros(1, 1, 1, 1),), cache=1 << 40)) == 256
    assert sum(given[0].nbytes for given in rotating(large, cache=1 << 40)) <= 256 << 20


def test_inputs_are_laid_out_as_asked() -> None:
    given = rotating((torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 4, 4)), cache=1, channels_last=True)
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for one in given for tensor in one)


def test_inputs_are_laid_out_like_the_first_one_which_a_vit_hands_over_permuted() -> None:
    latents = torch.arange(2 * 4 * 4 * 3.0).view(2, 4, 4, 3).permute(0, 3, 1, 2)
    given = [one for (one,) in rotating((latents,), cache=1000)]
    assert {one.stride() for one in given} == {latents.stride()}
    assert torch.equal(given[1], latents.roll(1, -1))


def test_a_batch_repeats_images_as_often_as_it_takes() -> None:
    images = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    assert image_batch(images, 7)[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert image_batch(images, 2)[:, 0, 0, 0].tolist() == [0, 1]


def test_the_last_cache_is_what_linux_says(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqbench.worker.timing.inputs.CACHES", tmp_path)
    assert cache_bytes(CPU) == 32 << 20
    for index, size in enumerate(("32K", "1024K", "nonsense")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert cache_bytes(CPU) == 1 << 20


@pytest.mark.parametrize(
    ("rates", "looks", "said"),
    [
        ([100.0] * 20, [QUIET, QUIET], None),
        ([100.0, 101.0] * 10, [QUIET], None),
        ([100.0] * 5, [QUIET], "too few samples"),
        ([50.0, 150.0] * 10, [QUIET], "wider than ±5%"),
        ([100.0] * 20, [QUIET, MachineRecord(load_average=1e4)], "kept the machine's cores busy"),
        ([100.0] * 20, [MachineRecord(gpu_processes=1)], "on the GPU"),
        ([100.0] * 20, [MachineRecord(gpu_processes=0)], None),
    ],
)
def test_a_measurement_is_called_noisy_for_a_reason(rates, looks, said: str | None) -> None:
    found = explain_noise(rates, *looks)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("others", "threads", "said"),
    [
        (0.2, 4, None),
        (0.7, 3, None),
        (1.7, 1, None),
        (0.3, 4, "0.3 of 4 cores"),
        (0.8, 3, "0.8 of 4 cores"),
        (1.8, 1, "1.8 of 4 cores"),
        (0.3, 8, "0.3 of 4 cores"),
    ],
)
def test_others_may_have_half_of_the_cores_that_a_measurement_does_not_use(monkeypatch, others, threads, said) -> None:
    monkeypatch.setattr(machine, "_own_cores", lambda: {0, 1, 2, 3})
    busy = MachineRecord(load_average=1e4)  # of the minute before, which is over
    found = explain_noise([100.0] * 20, busy, others=others, threads=threads)
    assert found is None if said is None else f"other processes kept {said} busy" == found


def test_busy_time_of_others_is_that_of_ones_cores_less_ones_own(tmp_path, monkeypatch) -> None:
    def busy(user: int, system: int, steal: int) -> None:
        (tmp_path / "stat").write_text(
            f"cpu  9 9 9 9\ncpu0 {user} 0 {system} 7000 800 0 0 {steal} 0 0\ncpu1 0 0 0 9000 0 0 0 0 0 0\n"
            "cpu2 99999 0 0 0 0 0 0 0 0 0\nintr 12 cpu3\n"
        )

    clock = {"monotonic": 10.0, "process_time": 1.0}
    for name in clock:
        monkeypatch.setattr(machine.time, name, lambda name=name: clock[name])
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(machine, "_own_cores", lambda: {0, 1})
    tick = 1 / os.sysconf("SC_CLK_TCK")
    busy(1000, 100, 0)
    meter = CoresMeter()
    busy(1400, 150, 50)  # 500 ticks, of which 200 are its own
    clock.update(monotonic=10 + 400 * tick, process_time=1 + 200 * tick)
    assert meter.others() == pytest.approx(300 / 400)
    clock["monotonic"] = 10.1
    assert meter.others() is None  # too short
    clock["monotonic"] = 20.0
    monkeypatch.setattr(machine, "_own_cores", lambda: {0, 5})
    assert meter.others() is None  # not told
    monkeypatch.setattr(machine, "PROC", tmp_path / "nothing")
    assert CoresMeter().others() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_linux_tells_how_busy_others_keep_the_cores() -> None:
    meter = CoresMeter()
    time.sleep(0.5)
    others = meter.others()
    assert others is not None
    assert 0 <= others < len(os.sched_getaffinity(0)) + 0.3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_of_a_cpu_is_the_processes_since_it_was_reset() -> None:
    def peak(size: int) -> int:
        meter = MemoryMeter(CPU)
        torch.ones(size, dtype=torch.uint8).sum()
        found, reason = meter.peak()
        if found is None:
            pytest.skip(f"this machine does not say: {reason}")
        return found

    assert peak(256 << 20) - peak(1) > 128 << 20


ALLOCATES = """
import resource, sys, torch
from vqbench.worker.timing import keep_freed_memory

def call():
    return len([torch.full((10 << 18,), 1.0) for _ in range(8)])

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.set_num_threads(1)
if sys.argv[1:]:
    keep_freed_memory()
for _ in range(3):
    call()
before = faults()
for _ in range(5):
    call()
print((faults() - before) / 5)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks to glibc's malloc")
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    def faults(*arguments: str) -> float:
        run = [sys.executable, "-c", ALLOCATES, *arguments]
        return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    if faults() < 1000:  # of 20,480 pages
        pytest.skip("malloc keeps it here by itself")
    assert faults("keep") < 100


FREES = """
import torch
from vqbench.worker.timing import keep_freed_memory
from vqbench.worker.timing.memory import MemoryMeter

keep_freed_memory()
torch.set_num_threads(1)
meter = MemoryMeter(torch.device("cpu"))
blocks = [torch.full((10 << 18,), 1.0) for _ in range(20)]
before = meter.peak()[0]
del blocks
print((before or 0) - (MemoryMeter(torch.device("cpu")).peak()[0] or 0))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks to glibc's malloc")
def test_memory_that_is_kept_is_not_the_next_measurements() -> None:
    run = [sys.executable, "-c", FREES]
    given_back = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    if not given_back and MemoryMeter(CPU).peak()[0] is None:
        pytest.skip("this machine does not say")
    assert given_back > 150 << 20  # of 200 MiB


def test_another_c_library_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    keep_freed_memory()


def test_peak_memory_that_cannot_be_reset_is_null_with_a_reason(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "PROC", tmp_path)
    assert MemoryMeter(CPU).peak() == (None, "the process's peak cannot be reset here")


class NVMLError(Exception):
    pass


def fake_nvml(**more):
    """The binding of a library that knows one GPU, on which two processes compute: this one and another."""
    energy = iter([1_000_000, 1_500_000])
    found = {
        "NVMLError": NVMLError,
        "NVML_CLOCK_SM": 1,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
        "nvmlDeviceGetClockInfo": lambda gpu, kind: 1980,
        "nvmlDeviceGetPowerUsage": lambda gpu: 350_000,
        "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: next(energy),
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [SimpleNamespace(pid=os.getpid()), SimpleNamespace(pid=1)],
    }
    return SimpleNamespace(**(found | more))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    def use(**more) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(**more))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="abc"))
        open_gpu.cache_clear()

    yield use
    open_gpu.cache_clear()


def test_a_gpu_tells_clock_power_energy_and_others_processes(gpu) -> None:
    gpu()
    look = look_at_machine(GPU)
    assert (look.gpu_mhz, look.gpu_watts, look.gpu_processes) == (1980, 350, 1)
    assert EnergyMeter(GPU).per_image(100, 2.0) == (5.0, None)


def test_what_the_driver_does_not_tell_is_null(gpu) -> None:
    def refuse(*arguments):
        raise NVMLError("Not Supported")

    gpu(nvmlDeviceGetTotalEnergyConsumption=refuse, nvmlDeviceGetPowerUsage=refuse)
    assert look_at_machine(GPU).gpu_watts is None
    assert EnergyMeter(GPU).per_image(100, 2.0) == (None, "the driver does not tell")


def test_other_processes_are_counted_where_we_go_by_another_number(gpu) -> None:
    gpu(nvmlDeviceGetComputeRunningProcesses=lambda handle: [SimpleNamespace(pid=1), SimpleNamespace(pid=2)])
    opened = open_gpu(GPU)
    assert isinstance(opened, NvmlGpu)
    assert opened.other_processes() == 1


def test_energy_of_too_short_a_time_is_null_with_a_reason(gpu) -> None:
    gpu()
    assert EnergyMeter(GPU).per_image(100, 0.1) == (None, "it took less than 0.2 s")


def test_without_the_binding_energy_is_null_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    open_gpu.cache_clear()
    assert EnergyMeter(GPU).per_image(1, 1.0) == (None, nvml.WHY_NOT)
    open_gpu.cache_clear()
    assert EnergyMeter(CPU).per_image(1, 1.0) == (None, "only NVIDIA GPUs tell")
