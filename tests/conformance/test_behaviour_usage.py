"""How much of its codes a method uses after training on photos, beside what papers and their re-runs report.

Published usage is counted on tens of thousands of images, hundreds of tokens for every code: 100 % for FSQ of 512 and 1000
codes (and 64,000: 100 %), 100 % for LFQ, "almost 100 %" for GQ and BSQ; 16 to 96 % for codebooks of 512 to 2048 words that
are trained by gradient, 1.4 to 4.5 % for VQGAN's 65,536. The number of tokens matters: on the first thousand of them every
method here shows some 60 %. Trained for hundreds of steps, where the published ones were for 10^5 and more.
"""

from __future__ import annotations

from typing import Any

from photo_training import train_on_photos

TOKENS_PER_CODE = 200


def usage(method: str, codes: int, parameters: dict[str, Any], *, steps: int = 400, lr: float = 3e-3) -> float:
    """Share of the codes in use on test crops after a training of the tiny UNet on others."""
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
    found = run.codes("test")
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


def test_a_codebook_trained_by_gradient_leaves_much_of_itself_unused() -> None:
    assert 0.16 < usage("vqgan", 256, {"codebook_size": 256, "dim": 8}) < 0.8
