"""The record of a cell: strict JSON with a schema version."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vqbench.results.timing import TimingRecord

__all__ = [
    "IDENTIFIER",
    "SCHEMA_VERSION",
    "CellRecord",
    "CodeUsageRecord",
    "ComponentRecord",
    "EnvironmentRecord",
    "FailureRecord",
    "LevelRecord",
    "MetricRecord",
    "Status",
    "Strict",
    "TrainingRecord",
]

SCHEMA_VERSION: Final = 1
Status: TypeAlias = Literal["ok", "failed", "timeout", "out_of_memory", "unavailable", "interrupted"]
IDENTIFIER: Final = r"^[0-9a-f]{16}$"


class Strict(BaseModel):
    """What all parts of a record are: immutable, without conversions, unknown keys, NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ComponentRecord(Strict):
    """A component as it took part: full id, its author's version, complete parameters, what the suite called it.

    ``distribution`` is what a third party's was installed from, with its version; null for others, and in early records.
    """

    id: str = Field(max_length=200)
    version: int
    parameters: dict[str, Any]
    label: str = Field(max_length=200)
    distribution: str | None = Field(None, max_length=200)


class LevelRecord(Strict):
    """A level: stride in pixels, positions, one codebook size per token slot (none for a continuous latent)."""

    stride: int = Field(ge=1)
    height: int = Field(ge=1, le=1 << 16)
    width: int = Field(ge=1, le=1 << 16)
    codebook_sizes: list[Annotated[int, Field(ge=1)]] = Field(max_length=4096)


class MetricRecord(Strict):
    """One measured number; ``value`` is null, with a ``reason``, where it could not be measured.

    ``low`` and ``high`` bound the 95 % interval, ``interval`` says of which kind it is (null where there is none, and in records
    made before that was kept); ``n`` counts what it was measured on; ``protocol`` says which of the
    definitions of that name it is; ``version`` is that of the metric's author. ``unavailable`` marks a null whose cause may go
    (missing weights): a later run asks again. ``caution`` says why to distrust a value that is there; ``details`` say how it
    was measured here: library, weights, who provided them. ``samples`` are the repeated measurements behind a speed, in its unit,
    in the order they were taken.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    interval: str | None = Field(None, max_length=60)
    n: int = Field(0, ge=0)
    unit: str = Field(max_length=60)
    better: Literal["higher", "lower"] | None
    board: Literal["quality", "usage", "throughput"]
    protocol: str = Field("", max_length=500)
    version: int = 1
    reason: str | None = Field(None, max_length=2000)
    unavailable: bool = False
    caution: str | None = Field(None, max_length=500)
    details: dict[Annotated[str, Field(max_length=60)], Annotated[str, Field(max_length=500)]] = Field(
        default_factory=dict, max_length=20
    )
    samples: tuple[float, ...] = Field((), max_length=1000)

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> MetricRecord:
        if self.value is None and not self.reason:
            raise ValueError("a null value needs a reason")
        return self


class CodeUsageRecord(Strict):
    """Codebook statistics of one level and token slot, from an integer histogram of the whole test set.

    ``uniform_expectation`` is the fraction of the codebook that as many uniform tokens would use on average;
    ``usage_estimate`` the fraction that a larger test set would show, at least. ``soft_mi_bits`` is the mutual information of
    image and code under a stochastic method's posteriors; null for a deterministic method, which has none. ``ablation_mse``
    is the increase of the error (squared grey levels) where random codes replace the slot's, ``dead`` says that it is
    negligible; null in records made before these were measured.
    """

    level: int = Field(ge=0)
    slot: int = Field(ge=0)
    codebook_size: int = Field(ge=1)
    tokens: int = Field(ge=0)
    active: int = Field(ge=0)
    usage: float
    usage_estimate: float | None = Field(None, ge=0, le=1)
    uniform_expectation: float
    entropy_bits: float
    miller_madow_bits: float
    perplexity: float
    soft_mi_bits: float | None = None
    ablation_mse: float | None = None
    dead: bool | None = None


class FailureRecord(Strict):
    """Why a cell has no numbers: the stage, the error's class, its message and what the worker printed last."""

    stage: Literal["plan", "start", "data", "train", "convert", "evaluate", "time", "record"]
    kind: str = Field(max_length=200)
    message: str = Field(max_length=20_000)
    traceback: str = Field("", max_length=100_000)
    stderr: str = Field("", max_length=100_000)


class TrainingRecord(Strict):
    """The train unit behind the cell; ``losses`` are the last step's terms, ``seconds`` include earlier, resumed parts."""

    unit: str = Field(pattern=IDENTIFIER)
    quantizer: ComponentRecord
    objective: str
    steps: int
    seconds: float
    losses: dict[str, float]
    encoder_parameters: int
    decoder_parameters: int
    quantizer_parameters: int


class EnvironmentRecord(Strict):
    """Where it ran. ``fingerprint`` is a hash of everything that speed depends on; speed is comparable only within one.

    ``driver`` and ``cuda`` are of a GPU. ``dtype``, ``threads``, ``compile``, ``channels_last`` and ``batch_size`` are how the
    cell's headline speeds were measured; the last is no part of the fingerprint, nor are ``run_threads``, which torch had for all
    else. All of these but ``dtype`` and ``threads`` are missing in early records.
    """

    fingerprint: str = Field(pattern=IDENTIFIER)
    device: str
    dtype: str
    threads: int
    run_threads: int | None = Field(None, ge=1)
    platform: str
    python: str
    packages: dict[str, str]
    driver: str | None = None
    cuda: str | None = None
    compile: bool = False
    channels_last: bool = False
    batch_size: int | None = Field(None, ge=1)


class CellRecord(Strict):
    """What running one cell produced.

    ``protocol`` is a hash: cells of different protocols are never ranked together for quality. Every metric named in the suite
    is in ``metrics``, be it as null with a reason; a record that is not ``ok`` has none and says why in ``failure``.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    vqbench_version: str
    suite: str
    cell_id: str = Field(pattern=IDENTIFIER)
    status: Status
    quantizer: ComponentRecord
    backbone: ComponentRecord
    dataset: ComponentRecord
    revision: str
    image_size: int
    recipe: dict[str, Any]
    seed: int
    protocol: str = Field(pattern=IDENTIFIER)
    protocol_details: dict[str, Any]
    levels: list[LevelRecord]
    bits_per_image: float | None
    bits_per_pixel: float | None
    metrics: dict[str, MetricRecord] = Field(default_factory=dict)
    code_usage: list[CodeUsageRecord] = Field(default_factory=list)
    timings: list[TimingRecord] = Field(default_factory=list, max_length=10_000)
    training: TrainingRecord | None = None
    environment: EnvironmentRecord | None = None
    notes: list[str] = Field(default_factory=list)
    failure: FailureRecord | None = None
    started: str
    seconds: float

    @model_validator(mode="after")
    def _failures_say_why(self) -> CellRecord:
        if (self.status == "ok") == (self.failure is not None):
            raise ValueError("a record is either ok or says why not")
        return self
