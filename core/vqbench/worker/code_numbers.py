"""Numbers about codes: use, rate and what they carry, put together for the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version

from vqbench.interfaces import Measurement
from vqbench.rate import Bits
from vqbench.results import CodeUsageRecord
from vqbench.worker.ablation import Ablation
from vqbench.worker.entropy_coding import MOST_CODES, CodeLog, verified_bits
from vqbench.worker.usage import SlotUsage

__all__ = ["coded_rate", "dead_slots_note", "slot_records", "soft_information", "usage_measurements"]

NO_CODES = "a continuous latent has no codes"


def usage_measurements(
    usage: Sequence[SlotUsage], positions: Sequence[int], bits: Bits | None
) -> dict[str, Measurement]:
    """One number per question from the statistics of all slots.

    * ``code_usage``: fraction of the codebook in use, mean over slots;
    * ``perplexity``: geometric mean over slots;
    * ``entropy_bits_per_image``: what an ideal order-0 entropy coder fitted on the test set would spend;
    * ``code_efficiency``: that, relative to the nominal bits.

    Args:
        usage: statistics by level and slot; empty for a continuous latent.
        positions: latent positions of each level.
        bits: nominal bits per image.
    """
    names = ("code_usage", "perplexity", "entropy_bits_per_image", "code_efficiency")
    if not usage or bits is None:
        return {name: Measurement(value=None, reason=NO_CODES) for name in names}
    n = min(slot.tokens for slot in usage)
    if not n:
        return {name: Measurement(value=None, reason="no tokens were evaluated") for name in names}
    entropies = [slot.entropy_bits or 0.0 for slot in usage]  # measured, as there are tokens
    total = sum(positions[slot.level] * entropy for slot, entropy in zip(usage, entropies, strict=True))
    values = (
        sum(slot.usage or 0.0 for slot in usage) / len(usage),
        2 ** (sum(entropies) / len(entropies)),
        total,
        total / float(bits),
    )
    return {name: Measurement(value=value, n=n) for name, value in zip(names, values, strict=True)}


def coded_rate(codes: CodeLog, usage: Sequence[SlotUsage], images: int) -> dict[str, Measurement]:
    """``actual_bits_per_image``: the size of the stream that the test set's codes were coded to, and decoded from again.

    Args:
        codes: of the whole test set.
        usage: their statistics; empty for a continuous latent.
        images: how many images there are.

    Raises:
        VQBenchError: the codes did not survive coding.
    """
    if not usage or not images:
        measured = Measurement(value=None, reason="no images were evaluated" if usage else NO_CODES)
    elif max(slot.active or 0 for slot in usage) > MOST_CODES:
        measured = Measurement(value=None, n=images, reason=f"more than {MOST_CODES} different codes occur in a slot")
    else:
        coder = {"coder": f"constriction {version('constriction')}"}
        measured = Measurement(value=verified_bits(codes) / images, n=images, details=coder)
    return {"actual_bits_per_image": measured}


def soft_information(
    bits: Mapping[tuple[int, int], float], usage: Sequence[SlotUsage], positions: Sequence[int]
) -> dict[str, Measurement]:
    """``soft_mi_bits_per_image``: mutual information of image and codes, summed over slots and positions.

    Args:
        bits: of the slots of stochastic methods; if there are none, neither is the number.
        usage: statistics by level and slot.
        positions: latent positions of each level.
    """
    if not bits:
        return {}
    total = sum(positions[level] * value for (level, _), value in bits.items())
    n = min(slot.tokens for slot in usage if (slot.level, slot.slot) in bits)
    return {"soft_mi_bits_per_image": Measurement(value=total, n=n)}


def slot_records(
    usage: Sequence[SlotUsage],
    ablations: Mapping[tuple[int, int], Ablation],
    information: Mapping[tuple[int, int], float],
) -> list[CodeUsageRecord]:
    """All that is known of each level and slot; what is looked up is by (level, slot)."""
    records = []
    for slot in usage:
        assert slot.slot is not None
        key = slot.level, slot.slot
        measured = {name: value for name, value in asdict(slot).items() if name != "reason"}
        if ablation := ablations.get(key):
            measured |= {"ablation_mse": ablation.increase, "dead": ablation.dead}
        records.append(CodeUsageRecord.model_validate(measured | {"soft_mi_bits": information.get(key)}))
    return records


def dead_slots_note(ablations: Mapping[tuple[int, int], Ablation]) -> list[str]:
    """A note that names the dead slots, if there are any."""
    levels: dict[int, list[str]] = {}
    for (level, slot), ablation in ablations.items():
        if ablation.dead:
            levels.setdefault(level, []).append(str(slot))
    if not levels:
        return []
    named = "; ".join(f"level {level} slot {', '.join(slots)}" for level, slots in levels.items())
    return [f"dead: random codes hardly raise the error in {named}"]
