"""Records of one method at several rates."""

from __future__ import annotations

from collections.abc import Sequence

from records import component, make_record, metric

from vqbench.results import CellRecord, MetricRecord

__all__ = ["BITS", "curve"]

BITS = (8, 16, 32)  # per position; 64 positions on 64×64 pixels make 1/64 of that the bits per pixel


def curve(
    method: str,
    values: Sequence[float | None],
    *,
    bits: Sequence[int] = BITS,
    lpips: Sequence[float] | None = None,
    entropy: Sequence[float] | None = None,
    **more: object,
) -> list[CellRecord]:
    """Records of ``{method}-8b`` and so on."""
    records = []
    for index, (rate, value) in enumerate(zip(bits, values, strict=True)):
        numbers: dict[str, float | MetricRecord] = {"psnr": metric(value, 0.3)}
        if lpips:
            numbers["lpips_alex"] = metric(lpips[index], 0.01, unit="", better="lower")
        if entropy:
            numbers["entropy_bits_per_image"] = entropy[index]
        records.append(
            make_record(
                quantizer=component(f"{method}-{rate}b").model_copy(update={"id": f"vqbench/{method}"}),
                levels=((8, (2,) * rate),),
                metrics=numbers,
                **more,  # type: ignore[arg-type]
            )
        )
    return records
