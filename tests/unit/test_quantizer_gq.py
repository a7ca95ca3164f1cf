"""Gaussian quantization: its codebook, its choice of codeword, and the errors theory predicts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench.ops import nearest_gaussian
from vqbench_plugins.quantizers.gaussian_codebook import codebook_sha256, gaussian_codebook
from vqbench_plugins.quantizers.gq import GQ
from vqbench_plugins.quantizers.tdc import TDC


def design_point(tokens: int, dim: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Posteriors of one sigma whose mixture is N(0, 1)."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(tokens, dim, generator=generator) * math.sqrt(1 - sigma**2)
    return means, torch.full((tokens, dim), 2 * math.log(sigma))


def test_a_smaller_codebook_is_a_prefix() -> None:
    assert torch.equal(gaussian_codebook(300, 4, seed=7), gaussian_codebook(1000, 4, seed=7)[:300])
    assert not torch.equal(gaussian_codebook(300, 4, seed=7), gaussian_codebook(300, 4, seed=8))


@pytest.mark.parametrize("bits", [4, 10])
def test_a_scalar_codebook_has_one_codeword_in_each_equally_probable_cell(bits: int) -> None:
    size = 1 << bits
    cells = (torch.special.ndtr(gaussian_codebook(size, 1)[:, 0].double()) * size).floor().long()
    assert sorted(cells.tolist()) == list(range(size))


@pytest.mark.parametrize("seed", [2, 10, 12, 127, 145, 162])
def test_codewords_are_finite_where_a_sobol_point_rounds_to_one(seed: int) -> None:
    codebook = gaussian_codebook(65536, 16, seed)
    uniform = torch.quasirandom.SobolEngine(16, scramble=True, seed=seed).draw(65536, dtype=torch.float32)
    assert int((uniform == 1).sum()) == 1  # the hazard is there
    assert bool(torch.isfinite(codebook).all())
    untouched = uniform != 1
    assert torch.equal(codebook[untouched], torch.special.ndtri(uniform.double()).float()[untouched])


def test_the_codebook_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    gaussian_codebook(64, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_hash_tells_codebooks_apart() -> None:
    codebook = gaussian_codebook(16, 2)
    changed = codebook.clone()
    changed[3, 1] = torch.nextafter(changed[3, 1], torch.tensor(9.0))
    assert codebook_sha256(codebook) == codebook_sha256(codebook.clone())
    assert codebook_sha256(codebook) != codebook_sha256(changed)
    assert codebook_sha256(codebook) != codebook_sha256(codebook.flip(0))


def test_a_wide_posterior_runs_to_the_ends_of_a_scalar_codebook() -> None:
    codebook = gaussian_codebook(256, 1)
    means = torch.tensor([-1.0, 0.0, 0.3, 2.0])[:, None]
    found = nearest_gaussian(means, torch.full((4, 1), 2 * math.log(1.42)), codebook)
    assert codebook[found, 0].tolist() == pytest.approx([-2.714, 2.809, 2.809, 2.809], abs=1e-3)


@pytest.mark.parametrize(
    ("sigma", "used"), [(0.95, (0.09, 0.36, 0.77)), (0.80, (0.40, 0.76, 0.97)), (0.50, (0.73, 0.83, 0.92))]
)
def test_beta_trades_error_for_codebook_usage(sigma: float, used: tuple[float, ...]) -> None:
    means, log_variances = design_point(4096, 16, sigma)
    codebook = gaussian_codebook(1024, 16)
    for beta, share in zip((0.0, 0.5, 1.0), used, strict=True):
        found = nearest_gaussian(means, log_variances, codebook, beta=beta)
        assert len(found.unique()) / 1024 == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize("grouping", ["strided", "contiguous"])
@pytest.mark.parametrize("dim", [1, 2, 6])
def test_evaluation_equals_decoding_bit_for_bit(grouping: str, dim: int) -> None:
    gq = GQ(channels=6, codebook_size=50, dim=dim, grouping=grouping)  # type: ignore[arg-type]
    x = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0))
    for training in (False, True):
        out = gq.train(training)(x)
        assert out.codes.shape == (2, 6 // dim, 3, 5)
        assert out.codes.dtype == torch.int64
        assert torch.equal(gq.decode(out.codes), out.value)
        assert not out.losses
    assert gq.codebook_sizes == (50,) * (6 // dim)


def test_the_groupings_differ_where_there_are_several_groups() -> None:
    x = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    strided, contiguous = (
        GQ(channels=8, codebook_size=256, dim=dim, grouping=grouping).eval()(x).codes  # type: ignore[arg-type]
        for dim, grouping in ((4, "strided"), (4, "contiguous"))
    )
    assert not torch.equal(strided, contiguous)


def test_nothing_of_it_is_in_a_checkpoint() -> None:
    gq = GQ(channels=4, codebook_size=16, dim=2)
    assert not gq.state_dict()
    assert not gq.parameter_groups()


@pytest.mark.parametrize("positions", [1, 2, 7, 9])
def test_any_number_of_tokens_works(positions: int) -> None:
    gq = GQ(channels=4, codebook_size=16, dim=4).eval()
    assert gq(torch.zeros(1, 8, 1, positions)).codes.shape == (1, 1, 1, positions)


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="dim must divide channels"):
        GQ(channels=16, codebook_size=16, dim=3)
    with pytest.raises(ParameterError, match="codebook_size"):
        GQ(channels=16, codebook_size=1, dim=4)


def test_a_codebook_of_262144_words_is_made_and_searched() -> None:
    gq = GQ(channels=18, codebook_size=2**18, dim=18).eval()
    means, log_variances = design_point(64, 18, 0.5)
    latents = torch.cat([means, log_variances], dim=1).T.reshape(1, 36, 8, 8)
    out = gq(latents)
    assert gq.codebook_sizes == (2**18,)
    assert out.codes.max() >= 2**16
    assert torch.equal(gq.decode(out.codes), out.value)


def test_a_conversion_has_no_gradient_and_the_straight_through_form_that_of_a_sample() -> None:
    x = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert not GQ(channels=4, codebook_size=16, dim=2)(x).value.requires_grad
    gq = GQ(channels=4, codebook_size=16, dim=2, training="straight-through")
    torch.manual_seed(1)
    out = gq(x)
    torch.testing.assert_close(out.value, gq.decode(out.codes))
    (grad,) = torch.autograd.grad(out.value.sum(), x)
    torch.manual_seed(1)
    noise = torch.randn(2, 4, 3, 3)
    assert torch.equal(grad[:, :4], torch.ones(2, 4, 3, 3))
    torch.testing.assert_close(grad[:, 4:], torch.exp(x.detach()[:, 4:] / 2) * noise / 2)


def test_the_straight_through_form_is_held_to_the_bits_of_its_codebook() -> None:
    gq = GQ(channels=4, codebook_size=16, dim=2, training="straight-through", tolerance=0.3, kl_weight=0.2)
    assert gq.divergence is not None
    assert isinstance(gq.divergence.tdc, TDC)
    assert (gq.divergence.tdc.target_bits, gq.divergence.tdc.tolerance) == (4.0, 0.3)
    x = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    loss = gq(x).losses["kl"]
    assert (loss.unit, loss.weight) == ("image_sum", 0.2)
    state = {name: value.clone() for name, value in gq.state_dict().items()}
    assert set(state) == {f"divergence.tdc.{name}" for name in ("lam", "lam_min", "lam_max")}
    out = gq.eval()(x)
    assert torch.equal(out.value, gq.decode(out.codes))
    assert not out.losses
    assert all(torch.equal(value, state[name]) for name, value in gq.state_dict().items())
    with pytest.raises(ParameterError, match="Take 8, or give target_bits"):
        GQ(channels=4, codebook_size=10, dim=2, training="straight-through")
    GQ(channels=4, codebook_size=10, dim=2, training="straight-through", constraint="kl")
