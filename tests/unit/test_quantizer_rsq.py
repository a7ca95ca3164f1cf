"""SQ in residual layers: worked by hand, gradients between layers, shared codebooks, prefixes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vqbench_plugins.quantizers.sq import SQ

NO_NOISE = math.exp(-1)  # U = 1/e gives G = 0


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniforms(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def by_hand() -> SQ:
    """d = 1: layer 1 with B = {0, 1} and s² = ½, layer 2 with B = {-0.2, 0.2} and s² = ⅛."""
    quantizer = SQ(codebook_size=2, dim=1, layers=2, variance_form="product")
    with torch.no_grad():
        quantizer.codebooks.copy_(torch.tensor([[[0.0], [1.0]], [[-0.2], [0.2]]]))
        quantizer.variance.log_scale.copy_(torch.tensor([0.5, 0.125]).log())
    return quantizer


def test_one_position_worked_by_hand() -> None:
    quantizer = by_hand().train()
    quantizer.prefix_weight = 1.0
    latents = torch.full((1, 1, 1, 1), 0.25)
    out = quantizer.relax(latents, uniforms=torch.full((2, 1, 2), NO_NOISE))
    first, both = (prefix.item() for prefix in out.prefixes)
    assert first == pytest.approx(0.377541, abs=1e-6)
    assert both - first == pytest.approx(-0.040256, abs=1e-6)
    assert out.value.item() == both
    assert out.losses["kld_discrete"].value.item() == pytest.approx(-0.662847 - 0.672752, abs=1e-6)
    # 0.087285² / (2·(0.5 + 0.125)); the last layer's variance alone would give 0.030475, a sum over layers 0.046741
    assert out.losses["kld_continuous"].value.item() == pytest.approx(0.006095, abs=1e-6)
    total = sum(loss.value.item() for loss in out.losses.values())
    assert total == pytest.approx(-1.329504, abs=1e-6)


def test_evaluation_worked_by_hand() -> None:
    out = by_hand().eval()(torch.full((1, 1, 1, 1), 0.25))
    assert out.codes.flatten().tolist() == [0, 1]
    assert out.value.item() == pytest.approx(0.2)


def test_logits_of_a_layer_use_its_own_variance() -> None:
    """Were the summed variance in the logits, changing another layer's would change a layer's posterior."""
    quantizer, latents, noise = by_hand().train(), torch.full((1, 1, 1, 1), 0.25), torch.full((2, 1, 2), NO_NOISE)
    before = quantizer.relax(latents, uniforms=noise).statistics
    with torch.no_grad():
        quantizer.variance.log_scale[1] += 1.0
    after = quantizer.relax(latents, uniforms=noise).statistics
    assert torch.equal(before["layer0/posterior_entropy"], after["layer0/posterior_entropy"])
    assert before["layer1/posterior_entropy"] < after["layer1/posterior_entropy"]


def test_one_layer_is_plain_stochastic_quantization() -> None:
    alone = SQ(codebook_size=5, dim=3, variance_init=2.0).train()
    stack = SQ(codebook_size=5, dim=3, layers=2, variance_init=2.0).train()
    with torch.no_grad():
        stack.codebooks[0].copy_(alone.codebooks[0])
        stack.codebooks[1].zero_()  # the second layer adds nothing
    latents, noise = random(2, 3, 4, 4), uniforms(2, 32, 5)
    one, two = alone.relax(latents, uniforms=noise[:1]), stack.relax(latents, uniforms=noise)
    torch.testing.assert_close(one.value, two.value)
    assert torch.equal(one.codes[:, 0], two.codes[:, 0])
    # same residual, twice the variance
    torch.testing.assert_close(one.losses["kld_continuous"].value / 2, two.losses["kld_continuous"].value)


def test_a_shared_codebook_is_one_parameter_that_every_layer_uses() -> None:
    quantizer = SQ(codebook_size=5, dim=3, layers=3, shared_codebook=True).train()
    assert quantizer.codebooks.shape == (1, 5, 3)
    assert quantizer.codebook_sizes == (5, 5, 5)
    assert quantizer.variance.log_scale.shape == (3,)
    codes = torch.full((1, 3, 1, 1), 2)
    torch.testing.assert_close(quantizer.decode(codes).flatten(), 3 * quantizer.codebooks[0, 2])
    separate = SQ(codebook_size=5, dim=3, layers=3)
    expected = separate.codebooks[torch.arange(3), torch.tensor([4, 0, 1])].sum(dim=0)
    torch.testing.assert_close(separate.decode(torch.tensor([4, 0, 1]).view(1, 3, 1, 1)).flatten(), expected)


def test_prefixes_are_left_in_training_only_and_only_for_progressive_coding() -> None:
    for weight in (None, 0.25):
        quantizer = SQ(codebook_size=5, dim=3, layers=3, prefix_weight=weight)
        out = quantizer.train()(random(2, 3, 2, 2))
        assert len(out.prefixes) == (0 if weight is None else 3)
        if weight is not None:
            assert out.prefix_weight == 0.25
            assert torch.equal(out.prefixes[-1], out.value)
            assert out.prefixes[0].requires_grad
        assert quantizer.eval()(random(2, 3, 2, 2)).prefixes == ()
