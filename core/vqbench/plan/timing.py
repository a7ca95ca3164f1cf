"""What is timed: a suite's ``[timing]`` table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Dtype", "Setting", "Stage", "Timing"]

Stage: TypeAlias = Literal["encode", "quantize", "decode", "end_to_end"]
Dtype: TypeAlias = Literal["fp32", "tf32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a stage is run: images per call, threads that torch computes with, precision, whether compiled, memory layout."""

    batch_size: int
    threads: int = 1
    dtype: Dtype = "fp32"
    compile: bool = False
    channels_last: bool = False

    @property
    def key(self) -> tuple[int, int, Dtype, bool, bool]:
        """What tells a record's timings of one stage apart."""
        return self.batch_size, self.threads, self.dtype, self.compile, self.channels_last


class Timing(BaseModel):
    """Stages × batch sizes × threads × dtypes × eager or compiled. No part of a cell's identity: no weights depend on it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    stages: list[Stage] = Field(["encode", "decode"], min_length=1, max_length=4)
    batch_sizes: list[Annotated[int, Field(ge=1, le=65_536)]] = Field(
        default_factory=list, max_length=32, description="images per call; the evaluation's batch size if empty"
    )
    largest_batch: bool = Field(False, description="look for the largest batch that fits, and time it apart")
    threads: list[Annotated[int, Field(ge=1, le=4096)]] = Field(
        [1], min_length=1, max_length=8, description="that torch computes with on a CPU"
    )
    dtypes: list[Dtype] = Field(["fp32"], min_length=1, max_length=3)
    compile: list[bool] = Field([False], min_length=1, max_length=2, description="false: eager, true: torch.compile")
    channels_last: bool = False
    seconds: float = Field(
        0.3,
        gt=0,
        le=3600,
        description="for one measurement, five times that where calls are slow; as much again for warm-up",
    )

    def settings(self, evaluation_batch_size: int) -> Iterator[Setting]:
        """The settings that each stage is timed in; batch sizes vary fastest."""
        batch_sizes = self.batch_sizes or [evaluation_batch_size]
        ways = product(self.compile, self.dtypes, self.threads, batch_sizes)
        for compiled, dtype, threads, batch_size in dict.fromkeys(ways):
            yield Setting(
                batch_size=batch_size,
                threads=threads,
                dtype=dtype,
                compile=compiled,
                channels_last=self.channels_last,
            )

    def headline(self, evaluation_batch_size: int) -> Setting:
        """The setting whose speeds are the cell's metrics: first dtype, threads and way to run, last batch size."""
        return Setting(
            batch_size=(self.batch_sizes or [evaluation_batch_size])[-1],
            threads=self.threads[0],
            dtype=self.dtypes[0],
            compile=self.compile[0],
            channels_last=self.channels_last,
        )
