"""FSQ, LFQ and BSQ behave as their papers and originals do: what a rule under a borrowed name would not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from photo_training import train_on_photos
from torch import Tensor

from vqbench_plugins.quantizers.bsq import BSQ
from vqbench_plugins.quantizers.entropy import CodeEntropy
from vqbench_plugins.quantizers.fsq import FSQ
from vqbench_plugins.quantizers.lfq import LFQ


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def entropy_bits(codes: Tensor, size: int) -> float:
    probability = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return float(torch.special.entr(probability).sum() / math.log(2))


@pytest.mark.parametrize(
    ("levels", "bits"),
    [
        ([8, 6, 5], 7.82),
        ([8, 5, 5, 5], 9.88),
        ([7, 5, 5, 5, 5], 12.01),
        ([8, 8, 8, 6, 5], 13.75),
        ([8, 8, 8, 5, 5, 5], 15.82),
    ],
)
def test_fsq_spends_its_bits_on_normal_latents(levels: list[int], bits: float) -> None:
    """The exact entropy of FSQ(N(0, 1)); channels are independent, so that their digits' entropies add up."""
    count = 200_000
    normal = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count).float()
    got = sum(entropy_bits(FSQ([n], bound="atanh").eval()(normal.reshape(1, 1, -1, 1)).codes, n) for n in levels)
    assert got == pytest.approx(bits, abs=0.006)
    assert got < math.log2(math.prod(levels))


@pytest.mark.parametrize("levels", [[8, 6, 5], [8, 8, 8, 5, 5, 5]])
def test_the_two_bounds_of_fsq_disagree_on_about_one_code_in_a_hundred(levels: list[int]) -> None:
    z = 1.5 * draw(1, len(levels), 50_000, 1)
    differ = FSQ(levels, bound="atanh").eval()(z).codes != FSQ(levels, bound="official").eval()(z).codes
    assert 0.0035 < differ.float().mean() < 0.018


def test_far_latents_stop_learning_in_fsq_only() -> None:
    """FSQ keeps the derivative of its bound; LFQ and BSQ pass gradients straight through the sign."""

    def gradient(value_of: Any, scale: float) -> float:
        z = (scale * draw(1, 4, 8, 8)).requires_grad_()
        (grad,) = torch.autograd.grad((value_of(z) * draw(1, 4, 8, 8, seed=1)).sum(), z)
        return float(grad.norm())

    fsq, lfq, bsq = FSQ([8] * 4).train(), LFQ(bits=4).train(), BSQ(bits=4).train()
    assert gradient(lambda z: fsq(z).value, 100.0) < 0.1 * gradient(lambda z: fsq(z).value, 1.0)
    assert gradient(lambda z: lfq(z).value, 100.0) == gradient(lambda z: lfq(z).value, 1.0)
    of_unit = gradient(lambda z: bsq(z).value, 1.0)
    assert gradient(lambda z: bsq(z).value, 100.0) == pytest.approx(
        of_unit / 100, rel=1e-3
    )  # of the normalisation alone


def test_pooling_bits_cannot_see_that_each_of_them_is_constant() -> None:
    """Why the GQ authors' form is a variant of BSQ and not BSQ: half the bits always 1, half always 0 pass as diverse."""
    logits = torch.tensor([40.0, -40.0] * 4).expand(50, 8)
    assert CodeEntropy(group=1, reduction="pooled").codebook(logits).item() == pytest.approx(math.log(2))
    assert CodeEntropy(group=1).codebook(logits).item() == pytest.approx(0, abs=1e-5)


def trained_entropy_bits(name: str, size: int, **parameters: Any) -> float:
    """Entropy, in bits, of the codes of 64 test photos (1024 tokens) after a short training."""
    run = train_on_photos(name, parameters, train_images=128, test_images=64, steps=120, warmup_steps=20)
    return entropy_bits(run.codes("test"), size)


@pytest.mark.parametrize(("name", "least", "gain"), [("bsq", 5.8, 0.7), ("lfq", 4.5, 1.5)])
def test_the_entropy_loss_keeps_codes_of_photos_in_use(name: str, least: float, gain: float) -> None:
    """Of 8 bits. Without the loss many bits of LFQ never turn; BSQ spreads better already, for its sphere has no inside."""
    with_loss = trained_entropy_bits(name, 256, bits=8)
    without = trained_entropy_bits(name, 256, bits=8, entropy_weight=0.0)
    print(f"{name}: {with_loss:.2f} bits, without the entropy loss {without:.2f}")
    assert with_loss > least
    assert with_loss > without + gain
