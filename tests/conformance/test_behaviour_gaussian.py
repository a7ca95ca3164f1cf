"""What theory and the published logs say the Gaussian methods do; a fake would not."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from photo_training import train_on_photos
from torch import Tensor

from vqbench.interfaces import Quantizer
from vqbench.ops import nearest_codeword, nearest_gaussian
from vqbench_plugins.quantizers.divergence import token_nats
from vqbench_plugins.quantizers.gaussian import GaussianVAE, evaluation_noise, posterior, sample
from vqbench_plugins.quantizers.gaussian_codebook import gaussian_codebook
from vqbench_plugins.quantizers.gq import GQ
from vqbench_plugins.quantizers.tdc import TDC
from vqbench_plugins.quantizers.tokenbridge import TokenBridge


def design_point(tokens: int, dim: int, sigma: float, seed: int = 0) -> Tensor:
    """Latents ``(1, 2·dim, 1, tokens)`` of one sigma; the means' spread makes the mixture of posteriors N(0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(1, dim, 1, tokens, generator=generator) * math.sqrt(1 - sigma**2)
    return torch.cat([means, torch.full_like(means, 2 * math.log(sigma))], dim=1)


@pytest.mark.parametrize(
    ("dim", "beta", "low", "high"),
    [
        (16, 1.0, 1.12, 1.22),  # published code: 1.17
        (16, 0.0, 0.98, 1.08),  # 1.03
        (8, 1.0, 1.38, 1.52),  # 1.45
        (8, 0.0, 1.34, 1.48),  # 1.41
        (4, 1.0, 1.85, 2.35),  # 2.06 to 2.2
        (4, 0.0, 1.85, 2.35),
    ],
)
def test_the_error_at_the_design_rate_is_that_of_random_coding(dim: int, beta: float, low: float, high: float) -> None:
    """16 bits of divergence, 2^16 codewords: in units of sigma², where a posterior sample has 1."""
    sigma = 2 ** (-16 / dim)
    latents = design_point(1536, dim, sigma)
    value = GQ(channels=dim, codebook_size=65536, dim=dim, beta=beta).eval()(latents).value
    assert low < float(((value - latents[:, :dim]) / sigma).square().mean()) < high


@pytest.mark.parametrize(
    ("sigma", "beta", "usage", "entropy", "variance"),
    [
        (0.95, 0.0, 9, 4.44, 0.33),
        (0.95, 0.5, 36, 7.05, 0.46),
        (0.95, 1.0, 77, 9.17, 1.34),
        (0.80, 0.0, 40, 7.29, 0.48),
        (0.80, 0.5, 76, 8.96, 0.66),
        (0.80, 1.0, 97, 9.76, 1.07),
        (0.50, 0.0, 73, 8.86, 0.65),
        (0.50, 0.5, 83, 9.28, 0.73),
        (0.50, 1.0, 92, 9.60, 0.83),
    ],
)
def test_beta_trades_error_for_use(sigma: float, beta: float, usage: float, entropy: float, variance: float) -> None:
    """Measured once with the published rule, K = 1024, m = 16: codes used by 4096 tokens in per cent, entropy in bits, variance.

    The figures are of one draw of means, and single draws differ by up to four points in usage: one of four must be within
    two points, and their mean not much farther.
    """
    quantizer = GQ(channels=16, codebook_size=1024, dim=16, beta=beta).eval()
    draws = [quantizer(design_point(4096, 16, sigma, seed)) for seed in range(4)]
    counts = torch.stack([out.codes.flatten().bincount(minlength=1024) for out in draws])
    used = 100 * (counts > 0).double().mean(dim=1)
    assert float((used - usage).abs().min()) <= 2
    assert float(used.mean()) == pytest.approx(usage, abs=2.75)
    assert float(torch.special.entr(counts / 4096).sum(dim=1).mean()) / math.log(2) == pytest.approx(entropy, abs=0.1)
    assert float(torch.stack([out.value for out in draws]).var()) == pytest.approx(variance, abs=0.03)


@pytest.mark.parametrize("codewords", [4, 10, 27, 74, 201])
@pytest.mark.parametrize("codebook", ["independent", "sobol"])
def test_the_probability_of_a_far_codeword_obeys_both_bounds_of_the_theorem(codebook: str, codewords: int) -> None:
    """arXiv 2512.06609, theorems 3.1 and 3.2, for independent normal codewords as stated and for ours."""
    mean, sigma, trials = 1.0, 0.1, 20_000 if codebook == "independent" else 1000
    nats = 0.5 * (mean**2 + sigma**2 - 1 - math.log(sigma**2))  # R
    excess = math.log(codewords) - nats  # t of ln K = R + t; that of the second theorem is its negative
    upper = math.exp(-math.exp(excess) * math.sqrt(2 / math.pi) * math.exp(-mean * sigma - 0.5))
    lower = 1 - math.exp(excess) * math.sqrt(2 / math.pi) * math.exp((mean + sigma) ** 2 / 2 - 0.5)
    if codebook == "independent":
        words = torch.randn(trials, codewords, generator=torch.Generator().manual_seed(codewords))
    else:
        words = torch.stack([gaussian_codebook(codewords, 1, seed=s)[:, 0] for s in range(trials)])
    far = float(((words - mean).abs().amin(dim=1) >= sigma).float().mean())
    error = 4 * math.sqrt(max(far * (1 - far), 1 / trials) / trials)
    assert lower - error <= far <= upper + error
    if codebook == "independent":
        inside = float(torch.special.ndtr(torch.tensor(1.1)) - torch.special.ndtr(torch.tensor(0.9)))
        assert far == pytest.approx((1 - inside) ** codewords, abs=error)
        picked = [nearest_codeword(torch.tensor([[mean]]), row[:, None]) for row in words[:20]]
        distances = torch.stack([row[index] for row, index in zip(words, picked, strict=False)]).flatten() - mean
        torch.testing.assert_close(distances.abs(), (words[:20] - mean).abs().amin(dim=1))


@pytest.mark.parametrize("dim", [1, 2, 8])
def test_the_codeword_has_the_highest_ratio_of_posterior_to_prior(dim: int) -> None:
    latents = design_point(64, dim, 0.4).double()
    means, log_variances = (half[0, :, 0].T for half in posterior(latents))  # (N, m)
    codebook = gaussian_codebook(200, dim)
    normal = torch.distributions.Normal
    words = codebook.double()[None]
    ratio = normal(means[:, None], torch.exp(log_variances / 2)[:, None]).log_prob(words) - normal(0, 1).log_prob(words)
    found = nearest_gaussian(means.float(), log_variances.float(), codebook)
    assert torch.equal(found, ratio.sum(dim=-1).argmax(dim=1))


@pytest.mark.parametrize("dim", [1, 4])
def test_with_vanishing_variance_every_rule_is_the_nearest_codeword(dim: int) -> None:
    means = torch.randn(200, dim, generator=torch.Generator().manual_seed(1))
    codebook = gaussian_codebook(512, dim)
    nearest = nearest_codeword(means, codebook)
    for beta in (0.0, 0.5, 1.0):
        assert torch.equal(nearest_gaussian(means, torch.full_like(means, -30.0), codebook, beta=beta), nearest)


@pytest.mark.parametrize("method", ["gq", "tokenbridge"])
def test_codes_do_not_depend_on_how_many_tokens_come_together(method: str) -> None:
    quantizer: Quantizer = TokenBridge(channels=4, bits=4, input="mean")
    if method == "gq":
        quantizer = GQ(channels=4, codebook_size=64, dim=2)
    quantizer.eval()
    latents = torch.randn(1, 8, 1, 9, generator=torch.Generator().manual_seed(0))
    together = quantizer(latents).codes
    for tokens in range(1, 10):
        assert torch.equal(quantizer(latents[..., :tokens]).codes, together[..., :tokens])


def test_decoding_a_sample_costs_what_the_posterior_is_wide() -> None:
    """The ceilings: means are the latent itself, samples are off by one sigma on average; both repeat exactly."""
    latents = design_point(4096, 4, 0.25)
    means = latents[:, :4]
    mean, drawn = (GaussianVAE(4, 4, evaluation=kind).eval()(latents).value for kind in ("mean", "sample"))
    assert torch.equal(mean, means)
    assert float(((drawn - means) / 0.25).square().mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(drawn, sample(*posterior(latents), evaluation_noise(means)))


def bits_after_training(steps: int, **parameters: Any) -> Tensor:
    """Train a Gaussian VAE with the suite's own trainer on one photo; its 32 tokens' bits afterwards."""
    run = train_on_photos(
        "gaussian_vae",
        {"channels": 8, "dim": 4, "target_bits": 8.0} | parameters,
        backbone="vit",
        train_images=1,
        test_images=1,
        steps=steps,
        batch_size=1,
        warmup_steps=50,
        final_lr_ratio=0.0,
        reconstruction="l1",
    )
    [photo] = run.images("train")
    with torch.no_grad():
        [latents] = run.tokenizer.latents(photo)
    return token_nats(*posterior(latents), 4, "strided") * math.log2(math.e)


def test_a_real_run_brings_every_token_into_the_band() -> None:
    """Half a bit around 8. The plain divergence with the same weight brings none there."""
    bits, plain = bits_after_training(600), bits_after_training(300, constraint="kl")
    print(f"tdc: {bits.min():.2f} to {bits.max():.2f} bits; kl: {plain.min():.2f} to {plain.max():.2f} bits")
    assert float((bits - 8).abs().max()) <= 0.5
    assert float((plain - 8).abs().min()) > 0.5


def test_the_constraint_alone_holds_tokens_that_want_more_bits_at_the_upper_edge() -> None:
    """Tokens whose error falls with every bit are pushed up against the band and stay there."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 8, 4, 4, generator=generator).requires_grad_()
    tdc, optimizer = TDC(6.0), torch.optim.Adam([latents], lr=0.02)
    for _ in range(1500):
        bits = token_nats(*posterior(latents), 4, "strided") * math.log2(math.e)
        reward = 3.0 * posterior(latents)[1].sum()  # a narrower posterior is a better reconstruction
        optimizer.zero_grad()
        (reward + tdc(bits)).backward()
        optimizer.step()
    assert float((bits.detach() - 6.5).abs().max()) < 0.35
