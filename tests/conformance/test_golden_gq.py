"""Gaussian quantization against vectors recorded from the authors' code."""

from __future__ import annotations

import golden
import pytest
import torch

from vqbench.ops import nearest_gaussian
from vqbench_plugins.quantizers.gaussian import GaussianVAE, posterior, sample
from vqbench_plugins.quantizers.gaussian_codebook import codebook_sha256, gaussian_codebook
from vqbench_plugins.quantizers.gq import GQ

CASES = golden.names(rule="gq")
# recorded separately, with the versions they were recorded with: torch 2.13, scipy 1.17 (torch 2.15 gives the same)
HASHES = {
    (65536, 16): "effbb50723ff7d93c536130bc3b48657d8e3bd8a7458dfe4882910c843eb95c8",
    (65536, 8): "e8a016842c323b79581e085a85ed63788b917c439cc7c85d2d38c7f56ba6e42b",
    (65536, 4): "984ac78517a6dfa0a335e335071ccb54ad877f4b58169699c5a7d544dea28069",
    (65536, 1): "8566b45d3ecbcfab2199534355b8e33f61ffe9f7c889cb77afe3f99216d99287",
    (256, 4): "750be91d0c48e868e5e7f36f22b9c3704e43b7ba6d422388ce6bec3f0f5a8daa",
    (1024, 16): "e24915c3b42d625f53f70666325f6fa71797225ef4438f812381e27b51fd2123",
}


@pytest.mark.parametrize("name", golden.names("gq.codebook"))
def test_the_codebook_is_the_recorded_one(name: str) -> None:
    case = golden.case(name)
    codebook = gaussian_codebook(case.parameters["K"], case.parameters["m"], case.parameters["seed"])
    if "codebook" in case:
        case.assert_close("codebook", codebook)
    else:
        case.assert_close("codebook_first16", codebook[:16])
        case.assert_close("codebook_last4", codebook[-4:])
    assert codebook_sha256(codebook) == case.parameters["sha256_float32_le_c_order"], "values agree: library versions?"


@pytest.mark.parametrize(("size", "dim"), HASHES)
def test_the_codebook_has_the_recorded_hash(size: int, dim: int) -> None:
    assert codebook_sha256(gaussian_codebook(size, dim)) == HASHES[size, dim]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_codes_and_values_are_the_recorded_ones(name: str, training: bool) -> None:
    case = golden.case(name)
    p = case.parameters
    x = golden.as_image(case.tensor("x"), p["layout"])
    quantizer = GQ(
        channels=x.shape[1] // 2,
        codebook_size=p["K"],
        dim=p["m"],
        beta=p["beta"],
        seed=p["seed"],
        grouping=p["grouping"],
    ).train(training)
    out = quantizer(x)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    shape = (*case["x"].shape[:-1], x.shape[1] // 2)
    if "quantized" in case:
        case.assert_close("quantized", golden.from_image(out.value, p["layout"], shape))
    if "decoded" in case:
        recorded = case.tensor("indices").reshape(len(x), *x.shape[2:], -1).permute(0, 3, 1, 2)
        case.assert_close("decoded", golden.from_image(quantizer.decode(recorded), p["layout"], shape))


@pytest.mark.parametrize("name", golden.names("gq.scores"))
def test_the_search_finds_the_recorded_codes(name: str) -> None:
    case = golden.case(name)
    p = case.parameters
    codebook = gaussian_codebook(p["K"], p["m"], p["seed"])
    case.assert_codes(
        "indices", nearest_gaussian(case.tensor("mu"), 2 * case.tensor("sigma").log(), codebook, beta=p["beta"])
    )


def test_the_training_sample_and_its_gradient_are_the_recorded_ones() -> None:
    case = golden.case("gq_sample_bchw")
    x = case.tensor("x", grad=True)
    value = sample(*posterior(x), case.tensor("noise"))
    case.assert_close("quantized", value)
    (value * case.tensor("w")).sum().backward()
    case.assert_close("grad_x_of_qw", x.grad)


def test_the_training_mode_of_the_gaussian_vae_draws_its_noise_from_the_global_generator() -> None:
    case = golden.case("gq_sample_bchw")
    x = case.tensor("x")
    torch.manual_seed(3)
    value = GaussianVAE(channels=8, dim=4).train()(x).value
    torch.manual_seed(3)
    torch.testing.assert_close(value, sample(*posterior(x), torch.randn(case["noise"].shape)), rtol=0, atol=0)


@pytest.fixture
def straight_through(monkeypatch: pytest.MonkeyPatch) -> tuple[golden.Case, GQ]:
    """The recorded step of the straight-through form, in training mode, drawing the recorded noise."""
    [name] = golden.names("gq.straight_through")
    case = golden.case(name)
    p = case.parameters
    monkeypatch.setattr("torch.randn_like", lambda means: case.tensor("noise"))
    quantizer = GQ(
        channels=case["noise"].shape[1],
        codebook_size=p["K"],
        dim=p["m"],
        beta=p["beta"],
        seed=p["seed"],
        grouping=p["grouping"],
        training="straight-through",
        variant="tdc-gq2",
        tolerance=p["tolerance"],
    )
    return case, quantizer.train()


def test_the_straight_through_form_gives_the_recorded_results(straight_through: tuple[golden.Case, GQ]) -> None:
    case, quantizer = straight_through
    x = case.tensor("x", grad=True)
    out = quantizer(x)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", out.value)
    case.assert_close("kl_loss", out.losses["kl"].value)
    (grad,) = torch.autograd.grad((out.value * case.tensor("w")).sum(), x, retain_graph=True)
    case.assert_close("grad_x_of_qw", grad)
    (grad,) = torch.autograd.grad(out.losses["kl"].value, x)
    case.assert_close("grad_x_of_kl_loss", grad)


def test_the_straight_through_gradient_is_that_of_the_sample(straight_through: tuple[golden.Case, GQ]) -> None:
    case, quantizer = straight_through
    x, w = case.tensor("x", grad=True), case.tensor("w")
    (grad,) = torch.autograd.grad((quantizer(x).value * w).sum(), x)
    of_means, of_log_variances = grad.chunk(2, dim=1)
    torch.testing.assert_close(of_means, w, rtol=0, atol=0)
    sigma = torch.exp(posterior(x.detach())[1] / 2)
    torch.testing.assert_close(of_log_variances, w * sigma * case.tensor("noise") / 2)
