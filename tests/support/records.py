"""Makes valid records for tests, from keyword arguments that say only what a test is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from vqbench.canonical import content_id
from vqbench.rate import Bits, LevelRate
from vqbench.results import (
    CellRecord,
    CodeUsageRecord,
    ComponentRecord,
    EnvironmentRecord,
    FailureRecord,
    LevelRecord,
    MetricRecord,
    TrainingRecord,
)

__all__ = ["component", "environment", "make_record", "metric", "write_record"]

UNITS: dict[str, tuple[str, str, str]] = {
    "psnr": ("dB", "higher", "quality"),
    "ssim": ("", "higher", "quality"),
    "l1": ("", "lower", "quality"),
    "code_usage": ("%", "higher", "usage"),
    "perplexity": ("codes", "higher", "usage"),
    "entropy_bits_per_image": ("bits", "higher", "usage"),
    "actual_bits_per_image": ("bits", "lower", "usage"),
    "code_efficiency": ("", "higher", "usage"),
    "encode_images_per_second": ("images/s", "higher", "throughput"),
    "decode_images_per_second": ("images/s", "higher", "throughput"),
}


def metric(
    value: float | None,
    half: float | None = None,
    *,
    n: int = 24,
    unit: str = "dB",
    better: Literal["higher", "lower"] | None = "higher",
    board: Literal["quality", "usage", "throughput"] = "quality",
    reason: str | None = None,
    **more: Any,
) -> MetricRecord:
    """A number with a symmetric interval."""
    bounds = {} if value is None or half is None else {"low": value - half, "high": value + half}
    if value is None:
        reason = reason or "not measured here"
    return MetricRecord(value=value, n=n, unit=unit, better=better, board=board, reason=reason, **(bounds | more))


def component(label: str, *, plugin: str = "vqbench", version: int = 1, **parameters: Any) -> ComponentRecord:
    return ComponentRecord(id=f"{plugin}/{label.lower()}", version=version, parameters=parameters, label=label)


def environment(device: str = "cpu", *, threads: int = 2, torch: str = "2.9.0") -> EnvironmentRecord:
    identity = {"device": device, "threads": threads, "torch": torch}
    return EnvironmentRecord(
        fingerprint=content_id(identity),
        device=device,
        dtype="float32",
        threads=threads,
        platform="Linux x86_64",
        python="3.12.1",
        packages={"torch": torch},
        cuda="12.8" if "gpu" in device else None,
    )


def make_record(
    *,
    quantizer: str | ComponentRecord = "fsq",
    backbone: str | ComponentRecord = "unet",
    dataset: str | ComponentRecord = "photos",
    seed: int = 0,
    levels: tuple[tuple[int, tuple[int, ...]], ...] = ((8, (256,)),),
    image_size: int = 64,
    images_seen: int = 16_000,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float | MetricRecord] | None = None,
    where: EnvironmentRecord | None = None,
    trained_as: ComponentRecord | None = None,
    failure: tuple[str, str] | None = None,
    **more: Any,
) -> CellRecord:
    """A record. ``levels`` are (positions along a side, codebook sizes); ``failure`` is (status, message)."""
    quantizer, backbone, dataset = (
        part if isinstance(part, ComponentRecord) else component(part) for part in (quantizer, backbone, dataset)
    )
    recipe = dict(recipe or {"steps": 1000, "lr": 1e-3})
    details = {"version": 1, "dataset": dataset.id, "image_size": image_size, "images_seen": images_seen}
    parts = [
        quantizer.model_dump(),
        backbone.model_dump(),
        details,
        recipe,
        seed,
        [list(map(str, lv)) for lv in levels],
    ]
    rates = [LevelRate(height=side, width=side, codebook_sizes=sizes) for side, sizes in levels]
    bits = float(Bits.of(rates)) if all(sizes for _, sizes in levels) else None
    values: dict[str, MetricRecord] = {}
    for name, value in ({} if failure else {"psnr": 25.0} if metrics is None else metrics).items():
        unit, better, board = UNITS.get(name, ("", "higher", "quality"))
        values[name] = (
            value if isinstance(value, MetricRecord) else metric(value, 0.5, unit=unit, better=better, board=board)  # type: ignore[arg-type]
        )
    status = failure[0] if failure else "ok"
    fields: dict[str, Any] = {
        "vqbench_version": "0.1.0",
        "suite": "quickstart",
        "cell_id": content_id(parts),
        "status": status,
        "quantizer": quantizer,
        "backbone": backbone,
        "dataset": dataset,
        "revision": "1",
        "image_size": image_size,
        "recipe": recipe,
        "seed": seed,
        "protocol": content_id(details),
        "protocol_details": details,
        "levels": [
            LevelRecord(stride=max(image_size // side, 1), height=side, width=side, codebook_sizes=list(sizes))
            for side, sizes in levels
        ],
        "bits_per_image": bits,
        "bits_per_pixel": None if bits is None else bits / image_size**2,
        "metrics": values,
        "code_usage": [] if failure else _usage(levels),
        "training": None
        if failure
        else TrainingRecord(
            unit=content_id(["unit", *parts]),
            quantizer=trained_as or quantizer,
            objective="reconstruction",
            steps=1000,
            seconds=1.5,
            losses={"reconstruction": 0.1},
            encoder_parameters=1,
            decoder_parameters=1,
            quantizer_parameters=1,
        ),
        "environment": where or environment(),
        "failure": FailureRecord(stage="train", kind="RuntimeError", message=failure[1]) if failure else None,
        "started": "2025-01-01T00:00:00+00:00",
        "seconds": 2.0,
    }
    return CellRecord(**(fields | more))


def _usage(levels: tuple[tuple[int, tuple[int, ...]], ...]) -> list[CodeUsageRecord]:
    return [
        CodeUsageRecord(
            level=index,
            slot=slot,
            codebook_size=size,
            tokens=1536,
            active=max(size // 2, 1),
            usage=max(size // 2, 1) / size,
            uniform_expectation=1.0,
            entropy_bits=1.0,
            miller_madow_bits=1.0,
            perplexity=2.0,
        )
        for index, (_, sizes) in enumerate(levels)
        for slot, size in enumerate(sizes)
        if all(size for _, sizes in levels for size in sizes) and all(sizes for _, sizes in levels)
    ]


def write_record(results: Path, record: CellRecord, **changes: Any) -> Path:
    """Write a record where a run would, with raw ``changes`` that need not be valid."""
    folder = results / record.suite
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.cell_id}.json"
    path.write_text(json.dumps(record.model_dump(mode="json") | changes))
    return path
