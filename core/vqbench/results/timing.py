"""The part of a record that says how fast: one stage in one setting."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DTYPE_NAMES", "MAX_SAMPLES", "MachineRecord", "TimingRecord"]

MAX_SAMPLES = 200
DTYPE_NAMES = {"fp32": "float32", "tf32": "tf32", "bf16": "bf16 autocast"}
"""What an environment calls the dtypes."""
Rate = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MachineRecord(_Part):
    """What the machine was doing; null where it does not say.

    ``load_average`` is the last minute's number of runnable processes, of all cores; ``cpu_mhz`` the mean clock of the cores.
    ``gpu_processes`` counts others' that compute on the GPU.
    """

    load_average: float | None = None
    cpu_mhz: float | None = None
    gpu_mhz: float | None = None
    gpu_watts: float | None = None
    gpu_processes: int | None = None


class TimingRecord(_Part):
    """A stage's speed in one setting; ``images_per_second`` is null, with a ``reason``, where it could not be measured.

    ``images_per_second`` is the median of ``samples`` (in the order they were taken), ``low`` and ``high`` bound its 95 %
    interval. ``threads`` are those that torch computed with; null in early records, which had them in their environment alone.
    Latencies are of a call, milliseconds. ``peak_bytes`` is the device's allocated memory on a GPU, the whole process's
    on a CPU; ``joules_per_image`` the GPU's energy. ``largest`` marks the largest batch that fits. ``fingerprint`` is the
    environment's. ``noisy`` says why to distrust the numbers, ``before`` and ``after`` what the machine was doing, and
    ``others_cores`` how many of the cores that the process may use others kept busy, on average. Of several
    ``passes`` (runs of the suite) ``samples`` has one for each, its best sample in ten; latencies are medians.
    """

    stage: Literal["encode", "quantize", "decode", "end_to_end"]
    batch_size: int = Field(ge=1)
    threads: int | None = Field(None, ge=1)
    dtype: Literal["fp32", "tf32", "bf16"]
    compile: bool
    channels_last: bool
    largest: bool = False
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")
    images_per_second: Rate | None
    low: Rate | None = None
    high: Rate | None = None
    tokens_per_second: Rate | None = None
    latency_ms_p50: Rate | None = None
    latency_ms_p95: Rate | None = None
    peak_bytes: int | None = Field(None, ge=0)
    peak_bytes_reason: str | None = Field(None, max_length=300)
    joules_per_image: Rate | None = None
    joules_reason: str | None = Field(None, max_length=300)
    compile_seconds: Rate | None = None
    passes: int = Field(1, ge=1)
    samples: tuple[Rate, ...] = Field((), max_length=MAX_SAMPLES)
    noisy: str | None = Field(None, max_length=300)
    reason: str | None = Field(None, max_length=2000)
    others_cores: Rate | None = None
    before: MachineRecord | None = None
    after: MachineRecord | None = None

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> TimingRecord:
        if self.images_per_second is None and not self.reason:
            raise ValueError("a null speed needs a reason")
        return self

    @property
    def key(self) -> tuple[str, int, int | None, str, bool, bool]:
        """Stage, and the key of a suite's setting."""
        return self.stage, self.batch_size, self.threads, self.dtype, self.compile, self.channels_last
