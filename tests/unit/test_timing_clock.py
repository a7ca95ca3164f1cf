"""How long a call takes: warm-up, budget, and what the clock of each device does."""

from __future__ import annotations

import itertools

import pytest
import torch

from vqbench.results.timing import MAX_SAMPLES
from vqbench.worker.timing import clock as clocks
from vqbench.worker.timing.clock import SHORTEST, WINDOW, CpuClock, CudaClock, choose_clock, sample, warm_up


class Time:
    """A clock that stands still but for what operations take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0

    def operation(self, *durations: float):
        """One that takes these seconds, the last of them for ever after."""
        upcoming = itertools.chain(durations, itertools.repeat(durations[-1]))

        def call() -> None:
            self.calls += 1
            self.now += next(upcoming)

        return call


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: made.now)
    return made


def test_warm_up_goes_on_until_calls_take_equally_long(time: Time) -> None:
    settling = [1.0 / (i + 1) for i in range(20)]
    typical = warm_up(time.operation(*settling, 0.05), CpuClock(), seconds=1000.0 / 1000)
    assert time.calls < 20  # the budget of a second is spent
    time.calls = 0
    typical = warm_up(time.operation(*settling, 0.05), CpuClock(), seconds=10.0)
    assert 20 + WINDOW < time.calls <= 20 + 2 * WINDOW
    assert typical == pytest.approx(0.05)


def test_warm_up_takes_a_part_of_the_budget_at_least_and_ends_with_it(time: Time) -> None:
    warm_up(time.operation(0.001), CpuClock(), seconds=1.0)
    assert time.now == pytest.approx(0.1, abs=0.002)
    time.calls = 0
    warm_up(time.operation(5.0), CpuClock(), seconds=1.0)
    assert time.calls == 1


def test_samples_fill_the_budget(time: Time) -> None:
    samples = sample(time.operation(0.1), CpuClock(), seconds=2.0)
    assert len(samples) == pytest.approx(20, abs=1)
    assert samples == pytest.approx([0.1] * len(samples))


def test_there_is_a_sample_however_slow_the_operation_and_never_more_than_the_record_holds(time: Time) -> None:
    assert len(sample(time.operation(100.0), CpuClock(), seconds=1.0)) == 1
    assert len(sample(time.operation(0.4), CpuClock(), seconds=1.0)) == 6  # what an interval takes
    assert len(sample(time.operation(2.0), CpuClock(), seconds=1.0)) == 3  # five budgets
    assert len(sample(time.operation(0.002), CpuClock(), seconds=1000.0)) == MAX_SAMPLES


def test_a_short_operation_is_called_several_times_for_a_sample(time: Time) -> None:
    samples = sample(time.operation(1e-5), CpuClock(), seconds=1.0)
    assert samples == pytest.approx([1e-5] * MAX_SAMPLES)
    assert time.calls >= MAX_SAMPLES * SHORTEST / 1e-5


class FakeEvent:
    """A CUDA event on the time of the test's clock."""

    time: Time
    waits = 0

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = FakeEvent.time.now

    def synchronize(self) -> None:
        FakeEvent.waits += 1

    def elapsed_time(self, other: FakeEvent) -> float:
        return (other.at - self.at) * 1e3


def test_on_a_gpu_events_lie_between_calls_and_the_host_waits_once(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeEvent.time, FakeEvent.waits = time, 0
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    times = CudaClock().block(time.operation(0.1, 0.3, 0.2, 0.2, 0.5), calls=2, samples=2)
    assert times == pytest.approx([0.2, 0.2])
    assert FakeEvent.waits == 1
    assert len(sample(time.operation(0.004), CudaClock(), seconds=1.0, span=0.02)) == MAX_SAMPLES


def test_each_device_has_its_clock() -> None:
    assert isinstance(choose_clock(torch.device("cpu"))[0], CpuClock)
    assert isinstance(choose_clock(torch.device("cuda"))[0], CudaClock)
