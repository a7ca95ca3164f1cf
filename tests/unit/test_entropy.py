"""Entropies of soft binary codes: exact, finite, and never over 2^d codes at once."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqbench_plugins.quantizers.entropy import (
    BLOCK,
    CodeEntropy,
    EntropyReduction,
    LogGuard,
    mean_code_probabilities,
)


def draw(positions: int, bits: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(positions, bits, generator=torch.Generator().manual_seed(seed)) * scale


def sign_vectors(bits: int) -> Tensor:
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * bits).reshape(-1, bits)


def soft_codes(logits: Tensor) -> Tensor:
    """Brute force: softmax over all 2^d sign vectors, in float64."""
    return torch.softmax(logits.double() / 2 @ sign_vectors(logits.shape[1]).T, dim=1)


def entropy_of(probability: Tensor) -> Tensor:
    return torch.special.entr(probability).sum(dim=-1)


def test_the_sum_of_the_bits_entropies_is_the_entropy_over_all_codes() -> None:
    logits = draw(50, 10, scale=3.0)
    expected = entropy_of(soft_codes(logits)).mean().item()
    assert CodeEntropy(group=10).sample(logits).item() == pytest.approx(expected, rel=1e-6)
    in_float64 = CodeEntropy(group=10).sample(logits.double()).item()
    assert in_float64 == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("bits", [1, 2, 5, 10])
def test_the_joint_codebook_entropy_and_its_gradient_are_those_over_all_codes(bits: int) -> None:
    logits = draw(40, bits, scale=4.0).requires_grad_()
    (grad,) = torch.autograd.grad(CodeEntropy(group=bits).codebook(logits), logits)
    expected = entropy_of(soft_codes(logits).mean(dim=0))
    (expected_grad,) = torch.autograd.grad(expected, logits)
    assert CodeEntropy(group=bits).codebook(logits).item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-4, atol=1e-5 * float(expected_grad.abs().max()))


@pytest.mark.parametrize("reduction", ["sum", "mean", "pooled"])
@pytest.mark.parametrize("guard", ["none", "clamp-1e-5", "add-1e-5", "add-1e-8", "codebook-add-1e-5"])
def test_groups_guards_and_reductions_are_as_defined(reduction: EntropyReduction, guard: LogGuard) -> None:
    logits = draw(30, 12, seed=3, scale=6.0).requires_grad_()
    entropy = CodeEntropy(group=4, reduction=reduction, guard=guard)

    def guarded(probability: Tensor, guard: str) -> Tensor:
        kept = {"clamp-1e-5": probability.clamp(min=1e-5), "none": probability}
        added = probability + (1e-8 if guard == "add-1e-8" else 1e-5)
        return -(probability * kept.get(guard, added).log()).sum(dim=-1)

    soft = torch.stack([soft_codes(part) for part in logits.split(4, dim=1)])  # (3, N, 16)
    of_samples = guarded(soft, "none" if guard.startswith("codebook") else guard).mean(dim=1)
    of_codebook = guarded(soft.mean(dim=(0, 1))[None] if reduction == "pooled" else soft.mean(dim=1), guard)
    expected_sample = of_samples.sum() if reduction == "sum" else of_samples.mean()
    expected_codebook = of_codebook.sum() if reduction == "sum" else of_codebook.mean()
    for got, expected in (
        (entropy.sample(logits), expected_sample),
        (entropy.codebook(logits), expected_codebook),
    ):
        assert got.item() == pytest.approx(expected.item(), rel=1e-5)
        (grad,) = torch.autograd.grad(got, logits)
        (expected_grad,) = torch.autograd.grad(expected, logits, retain_graph=True)
        torch.testing.assert_close(grad, expected_grad, rtol=1e-3, atol=1e-4 * float(expected_grad.abs().max()))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), positions=st.integers(1, 40), scale=st.floats(0.1, 50.0))
def test_smaller_groups_never_report_less_codebook_entropy(seed: int, positions: int, scale: float) -> None:
    logits = draw(positions, 12, seed, scale)
    by_group = [CodeEntropy(group=group).codebook(logits).item() for group in (12, 6, 3, 1)]
    assert all(coarse <= fine + 1e-4 for coarse, fine in pairwise(by_group))
    assert CodeEntropy(group=12).sample(logits).item() <= by_group[0] + 1e-4  # entropy is concave


def test_bits_that_depend_on_each_other_are_seen_by_the_joint_entropy_only() -> None:
    first = torch.tensor([[40.0], [-40.0]]).repeat(10, 1)
    logits = first.repeat(1, 4)  # four copies of a bit
    assert CodeEntropy(group=4).codebook(logits).item() == pytest.approx(math.log(2), rel=1e-5)
    assert CodeEntropy(group=1).codebook(logits).item() == pytest.approx(4 * math.log(2), rel=1e-5)


@pytest.mark.parametrize(
    ("guard", "nats"), [("none", 12.48), ("codebook-add-1e-5", 11.19), ("add-1e-5", 11.19), ("clamp-1e-5", 11.51)]
)
def test_guards_misreport_a_uniform_codebook_of_18_bits(guard: LogGuard, nats: float) -> None:
    assert CodeEntropy(group=18, guard=guard).codebook(torch.zeros(2, 18)).item() == pytest.approx(nats, abs=5e-3)


def rare_code_gradient(guard: LogGuard) -> Tensor:
    """Gradient of the codebook entropy at the one position of 1000 whose codes all have a mean probability below 1e-5."""
    logits = torch.full((1000, 12), -40.0)
    logits[-1] = 0.5
    logits.requires_grad_()
    (grad,) = torch.autograd.grad(CodeEntropy(group=12, guard=guard).codebook(logits), logits)
    return grad[-1] * len(logits)


def test_codes_too_rare_for_a_guard_have_a_gradient_without_one() -> None:
    assert rare_code_gradient("clamp-1e-5").abs().max() < 1e-3
    exact = rare_code_gradient("none")
    decided = torch.sigmoid(torch.tensor(0.5)).item()  # its codes are nobody else's: the gradient of its own entropy
    torch.testing.assert_close(exact, torch.full((12,), -0.5 * decided * (1 - decided)), rtol=2e-2, atol=0)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3, 1e5])
@pytest.mark.parametrize("group", [1, 4, 16])
def test_values_and_gradients_stay_finite_where_probabilities_vanish(scale: float, group: int) -> None:
    logits = draw(20, 16, scale=scale).requires_grad_()
    entropy = CodeEntropy(group=group)
    of_samples, of_codebook = entropy.sample(logits), entropy.codebook(logits)
    (grad,) = torch.autograd.grad(of_samples - of_codebook, logits)
    assert torch.isfinite(grad).all()
    assert 0 <= of_samples <= of_codebook + 1e-4 <= 16 * math.log(2) + 2e-4


def test_a_gradient_outlives_saturation() -> None:
    """At logit 30, sigmoid is 1 in float32; the derivative of the entropies, of the size of e^-30, is not 0."""
    logits = torch.tensor([[30.0, 30.0], [30.0, -30.0]], requires_grad=True)
    of_samples, of_codebook = CodeEntropy(group=2).sample(logits), CodeEntropy(group=2).codebook(logits)
    (sample_grad,) = torch.autograd.grad(of_samples, logits)
    (codebook_grad,) = torch.autograd.grad(of_codebook, logits)
    assert sample_grad[0, 0].item() == pytest.approx(-15 * math.exp(-30), rel=1e-3)  # -a σ(a) σ(-a) / N
    assert codebook_grad[0, 0].item() != 0


def test_mean_probabilities_count_the_first_bit_as_the_most_significant() -> None:
    logits = torch.tensor([[9.0, -9.0, -9.0, 9.0], [9.0, -9.0, 9.0, 9.0]]) * 9
    probability = mean_code_probabilities(logits, 2)
    torch.testing.assert_close(probability, torch.tensor([[0.0, 0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 0.5]]))


def test_the_worked_example() -> None:
    logits = 4 / 0.01 * torch.tensor([[0.003, -0.004], [0.001, 0.002]])
    torch.testing.assert_close(
        torch.sigmoid(logits), torch.tensor([[0.768525, 0.167982], [0.598688, 0.689974]]), rtol=0, atol=1e-6
    )
    for row, nats in zip(logits, (0.993724, 1.292661), strict=True):
        assert CodeEntropy(group=2).sample(row[None]).item() == pytest.approx(nats, abs=1e-6)
    mean = mean_code_probabilities(logits, 2)
    torch.testing.assert_close(mean, torch.tensor([[0.158504, 0.157889, 0.412518, 0.271089]]), rtol=0, atol=1e-6)
    of_samples = CodeEntropy(group=2).sample(logits).item()
    of_codebook = CodeEntropy(group=2).codebook(logits).item()
    assert of_samples == pytest.approx(1.143193, abs=1e-6)
    assert of_codebook == pytest.approx(1.302532, abs=1e-6)
    assert of_samples - of_codebook == pytest.approx(-0.159339, abs=1e-6)
    assert CodeEntropy(group=1).codebook(logits).item() == pytest.approx(1.307146, abs=1e-6)


def test_tokens_are_weighed_alike_in_blocks_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = draw(64, 12, seed=5, scale=2.0).requires_grad_()
    entropy = CodeEntropy(group=6, guard="clamp-1e-5")

    def values() -> tuple[Tensor, Tensor]:
        value = entropy.sample(logits) - F.softplus(entropy.codebook(logits))
        return value.detach(), torch.autograd.grad(value, logits)[0]

    at_once = values()
    monkeypatch.setitem(BLOCK, "cpu", 48)
    for got, expected in zip(values(), at_once, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
