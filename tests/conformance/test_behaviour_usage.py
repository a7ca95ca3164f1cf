"""How much of its codes a method uses after training on photos, beside what papers and their re-runs report.

Published usage is counted on tens of thousands of images, hundreds of tokens for every code: 100 % for FSQ of 512 and 1000
codes (and 64,000: 100 %), 100 % for LFQ, "almost 100 %" for GQ and BSQ; 16 to 96 % for codebooks of 512 to 2048 words that
are trained by gradient, 1.4 to 4.5 % for VQGAN's 65,536. The number of tokens matters: on the first thousand of them every
method here shows some 60 %. Trained for hundreds of steps, where the published ones were for 10^5 and more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from photo_training import train_on_photos

from vqbench.worker.entropy_coding import decode_slots, encode_slots
from vqbench.worker.usage import slot_usage

TOKENS_PER_CODE = 200


def trained_codes(
    method: str, codes: int, parameters: dict[str, Any], *, steps: int = 400, lr: float = 3e-3
) -> torch.Tensor:
    """Codes of test crops after a training of the tiny UNet on others."""
    run = train_on_photos(
        method,
        parameters,
        image_size=64,
        train_images=4096,
        test_images=TOKENS_PER_CODE * codes // 64,  # 8×8 positions a crop
        steps=steps,
        lr=lr,
        betas=[0.9, 0.95],
        warmup_steps=50,
    )
    return run.codes("test")


def usage(method: str, codes: int, parameters: dict[str, Any], **training: Any) -> float:
    """Share of the codes in use."""
    return share(method, codes, trained_codes(method, codes, parameters, **training))


def share(method: str, codes: int, found: torch.Tensor) -> float:
    used = len(found.unique()) / codes
    print(f"{method}: {used:.1%} of {codes} codes on {found.numel()} tokens")
    return used


def test_gq_uses_nearly_all_codes() -> None:
    """Two tokens a position: twice the sample."""
    assert usage("gq", 256, {"channels": 8, "dim": 4, "codebook_size": 256}) > 0.9


def test_bsq_uses_nearly_all_codes() -> None:
    assert usage("bsq", 256, {"bits": 8}) > 0.9


def test_fsq_uses_nearly_all_codes() -> None:
    """Its outer levels come last: 75 to 99 % after 400 steps, 95 after 800, 99 after 1600, 100 after 4000."""
    assert usage("fsq", 240, {"levels": [8, 6, 5]}, steps=800, lr=1e-3) > 0.9


@pytest.fixture(scope="module")
def gradient_trained() -> torch.Tensor:
    return trained_codes("vqgan", 256, {"codebook_size": 256, "dim": 8})


def test_a_codebook_trained_by_gradient_leaves_much_of_itself_unused(gradient_trained: torch.Tensor) -> None:
    assert 0.16 < share("vqgan", 256, gradient_trained) < 0.8


def test_range_coded_codes_are_within_two_percent_of_their_entropy(gradient_trained: torch.Tensor) -> None:
    codes = gradient_trained.flatten()
    words = encode_slots([(256, codes.numpy())])
    (decoded,) = decode_slots(words, [(256, len(codes))])
    assert np.array_equal(decoded, codes.numpy())
    bound = len(codes) * (slot_usage(codes.bincount(), 256).entropy_bits or 0.0)
    print(f"{32 * len(words)} bits, {32 * len(words) / bound - 1:.2%} above the entropy")
    assert bound < 32 * len(words) < 1.02 * bound
