"""How much of its codes each method uses after training on photos, in the run of ``gq-claims`` that we publish.

The papers and their re-runs: VQ with a gradient codebook leaves much of it unused (28 to 96 % of 512 to 2048 codewords);
FSQ, LFQ, BSQ and GQ use all or nearly all. After 1000 steps the order is theirs; FSQ, two channels of 16 levels here,
has not reached its outer levels yet, which the papers' longer runs do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import mean

import pytest

from vqbench.results import read_records

RECORDS = Path(__file__).parents[2] / "results" / "published" / "gq-claims"


@cache
def usage() -> dict[tuple[str, str], float]:
    """Mean share of the codes in use, over seeds and token slots, by quantizer label and backbone."""
    records, broken = read_records(RECORDS)
    assert not broken
    shares: dict[tuple[str, str], list[float]] = {}
    for record in records:
        used = [slot.usage for slot in record.code_usage or () if slot.usage is not None]
        if used:
            shares.setdefault((record.quantizer.label, record.backbone.label), []).append(mean(used))
    assert all(len(of_seeds) == 3 for of_seeds in shares.values())
    return {cell: mean(of_seeds) for cell, of_seeds in shares.items()}


@pytest.mark.parametrize("backbone", ["unet", "vit"])
@pytest.mark.parametrize("bits", ["8b", "16b", "32b"])
def test_codes_are_used_in_the_order_of_the_papers(bits: str, backbone: str) -> None:
    vq, fsq, gq, bsq, lfq = (usage()[f"{name}-{bits}", backbone] for name in ("vqgan", "fsq", "gq", "bsq", "lfq"))
    assert 0.28 < vq < fsq < gq < bsq
    assert fsq > 0.55
    assert gq > 0.7
    assert bsq > 0.9
    assert lfq > 0.8
