"""SQ in one layer, its temperature and the ELBO objective against vectors recorded from the SQ-VAE code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import golden
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import Quantized, StepClock
from vqbench.plan import Recipe
from vqbench.worker.objective import Objective
from vqbench.worker.tokenizer import TokenizerOutput
from vqbench_plugins.quantizers.categorical import posterior_logits
from vqbench_plugins.quantizers.sq import SQ

GAUSSIAN = golden.names(rule="sq")
VMF = golden.names(rule="sq_vmf")
SPEECH = golden.names(rule="sq_speech")
SCHEDULES = golden.names(rule="sq_schedule")
TYPES = {1: "I", 2: "II", 3: "III", 4: "IV"}


def build(case: golden.Case, **arguments: Any) -> SQ:
    """The quantizer of a case, at the case's codebook and temperature."""
    codebook = case.tensor("codebook")
    quantizer = SQ(codebook_size=codebook.shape[0], dim=codebook.shape[1], **arguments)
    with torch.no_grad():
        quantizer.codebooks.copy_(codebook[None])
        quantizer.temperature.fill_(case.parameters["temperature"])
    return quantizer


def set_scale(quantizer: SQ, log_scale: Tensor) -> None:
    with torch.no_grad():
        quantizer.variance.log_scale.copy_(log_scale.reshape(-1))


def with_variance(case: golden.Case) -> tuple[SQ, Tensor, Tensor]:
    """Quantizer, ``x`` and latents, such that s² is the recorded ``var``: s² = exp(h + a) with one of both zero."""
    kind = case.parameters["variance_type"]
    quantizer = build(case, variance=TYPES[kind], variance_form="product")
    x, variance = case.tensor("x", grad=True), case.tensor("var")
    if kind == 1:
        set_scale(quantizer, variance.log())
        return quantizer, x, x
    set_scale(quantizer, torch.zeros(1))
    return quantizer, x, torch.cat([x, variance.log().expand_as(x)], dim=1)


def total(losses: Quantized) -> Tensor:
    return torch.stack([loss.weight * loss.value for loss in losses.losses.values()]).sum()


def gradients(of: Tensor, *inputs: Tensor) -> Sequence[Tensor]:
    return torch.autograd.grad(of, inputs, retain_graph=True)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_logits_are_the_recorded_ones_up_to_a_constant_of_the_row(name: str) -> None:
    case = golden.case(name)
    x, codebook, expected = case.tensor("x"), case.tensor("codebook"), case.tensor("logits")
    variance = case.tensor("var").reshape(-1, *case["var"].shape[1:], *[1] * (4 - case["var"].ndim))
    precisions = (1 / variance).expand(len(x), -1, *x.shape[-2:]).permute(0, 2, 3, 1)
    rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    got = posterior_logits(rows, precisions.reshape(len(rows), -1), codebook).view(expected.shape)
    case.assert_close("logits", got - got.amax(-1, keepdim=True) + expected.amax(-1, keepdim=True))


@pytest.mark.parametrize("name", GAUSSIAN)
def test_a_training_pass_gives_the_recorded_values_losses_and_gradients(name: str) -> None:
    case = golden.case(name)
    kind = case.parameters["variance_type"]
    quantizer = build(case, variance=TYPES[kind], variance_form="product").train()
    x, variance = case.tensor("x", grad=True), case.tensor("var", grad=True)
    set_scale(quantizer, variance.detach().log() if kind == 1 else torch.zeros(1))
    latents = x if kind == 1 else torch.cat([x, variance.log().expand_as(x)], dim=1)
    out = quantizer.relax(latents, uniforms=case.tensor("U")[None])
    case.assert_close("quantized", out.value)
    case.assert_close("kld_discrete", out.losses["kld_discrete"].value)
    case.assert_close("kld_continuous", out.losses["kld_continuous"].value)
    case.assert_close("loss", total(out))
    case.assert_close("perplexity", out.statistics["soft_perplexity"])
    of = total(out) + (out.value * case.tensor("w")).sum()
    source = quantizer.variance.log_scale if kind == 1 else variance
    of_x, of_codebook, of_source = gradients(of, x, quantizer.codebooks, source)
    case.assert_close("grad_x_of_loss_plus_qw", of_x)
    case.assert_close("grad_codebook_of_loss_plus_qw", of_codebook[0])
    # type I trains a = ln s²: d/ds² = (d/da)/s²
    case.assert_close("grad_var_of_loss_plus_qw", of_source / variance if kind == 1 else of_source)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_evaluation_takes_the_recorded_codes(name: str) -> None:
    case = golden.case(name)
    quantizer, x, latents = with_variance(case)
    out = quantizer.eval()(latents)
    case.assert_codes("eval_indices", out.codes[:, 0])
    case.assert_close("eval_quantized", out.value)
    assert torch.equal(out.value, case.tensor("codebook")[out.codes[:, 0]].permute(0, 3, 1, 2))
    assert not out.losses
    # the recorded loss with the deterministic codes, from the same posterior
    distance = (x - out.value).square() / (2 * case.tensor("var"))
    negative_entropy = quantizer.relax(latents, uniforms=case.tensor("U")[None]).losses["kld_discrete"].value
    case.assert_close("eval_loss", negative_entropy + distance.sum() / len(x))
    share = torch.bincount(out.codes.flatten()).double() / out.codes.numel()
    case.assert_close("eval_perplexity", torch.special.entr(share).sum().exp())


@pytest.mark.parametrize("name", VMF)
def test_von_mises_fisher_posterior(name: str) -> None:
    case = golden.case(name)
    # unit vectors come in: normalising them changes nothing, and of their gradient only what lies along the sphere passes
    x = case.tensor("x", grad=True)
    quantizer = build(case, posterior="vmf", variance_form="product").train()
    kappa = case.tensor("kappa")
    set_scale(quantizer, kappa.log())
    out = quantizer.relax(x, uniforms=case.tensor("U")[None])
    case.assert_close("quantized", out.value)
    case.assert_close("loss", total(out))
    case.assert_close("perplexity", out.statistics["soft_perplexity"])
    of = total(out) + (out.value * case.tensor("w")).sum()
    of_x, of_codebook, of_scale = gradients(of, x, quantizer.codebooks, quantizer.variance.log_scale)
    expected = case.tensor("grad_x_of_loss_plus_qw")
    unit = x.detach()
    along = expected - unit * (unit * expected).sum(dim=1, keepdim=True)
    tolerance = case.tolerances["grad_x_of_loss_plus_qw"]
    assert (of_x - along).abs().max() <= tolerance["atol"] + tolerance["rtol"] * expected.abs().max()
    case.assert_close("grad_codebook_of_loss_plus_qw", of_codebook[0])
    case.assert_close("grad_kappa_of_loss_plus_qw", of_scale / kappa)

    evaluated = quantizer.eval()(x)
    case.assert_close("eval_quantized", evaluated.value)
    distance = (kappa.view(1, 1, 1, 1) * unit * (unit - evaluated.value)).sum() / len(x)
    case.assert_close("eval_loss", out.losses["kld_discrete"].value + distance)
    share = torch.bincount(evaluated.codes.flatten()).double() / evaluated.codes.numel()
    case.assert_close("eval_perplexity", torch.special.entr(share).sum().exp())


@pytest.mark.parametrize("name", SPEECH)
def test_multiplicative_variance_with_clamped_noise(name: str) -> None:
    case = golden.case(name)
    kind = case.parameters["variance_type"]
    quantizer = build(case, variance=TYPES[kind], variance_form="product", noise="clamped").train()
    x, log_variance = case.tensor("x", grad=True), case.tensor("log_var", grad=True)
    latents = golden.as_image(x, "blc")
    if kind == 1:
        set_scale(quantizer, log_variance.detach())
        source = quantizer.variance.log_scale
    else:
        set_scale(quantizer, torch.zeros(1))
        source = log_variance
        latents = torch.cat([latents, golden.as_image(log_variance, "blc")], dim=1)
    out = quantizer.relax(latents, uniforms=case.tensor("U")[None])
    value = golden.from_image(out.value, "blc", case["x"].shape)
    case.assert_close("quantized", value)
    case.assert_close("loss", total(out))
    case.assert_close("perplexity", out.statistics["perplexity"])  # here of the codes, also in training
    of = total(out) + (value * case.tensor("w")).sum()
    of_x, of_codebook, of_source = gradients(of, x, quantizer.codebooks, source)
    case.assert_close("grad_x_of_loss_plus_qw", of_x)
    case.assert_close("grad_codebook_of_loss_plus_qw", of_codebook[0])
    case.assert_close("grad_log_var_of_loss_plus_qw", of_source)

    evaluated = quantizer.eval()(latents)
    case.assert_codes("eval_indices", golden.codes_from_image(evaluated.codes, case["eval_indices"]))
    case.assert_close("eval_quantized", golden.from_image(evaluated.value, "blc", case["x"].shape))


@pytest.mark.parametrize("name", SCHEDULES)
def test_temperature_on_the_step_clock(name: str) -> None:
    case = golden.case(name)
    p = case.parameters
    quantizer = SQ(codebook_size=4, dim=2, tau_start=p["tau0"], tau_min=p["tau_min"], tau_rate=p["decay"])
    temperatures = []
    for step in case["steps"].tolist():  # recorded steps count from 1, the clock from 0
        quantizer.on_step(StepClock(step=step - 1, total=10**6))
        temperatures.append(quantizer.temperature.item())
    case.assert_close("temperature", temperatures)


def elbo(x: Tensor, x_rec: Tensor, *quantized: Quantized) -> Tensor:
    """Core's objective where the recorded images stand for scaled ones."""
    unscaled = (x_rec + 1) / 2
    output = TokenizerOutput(reconstructions=unscaled, quantized=quantized)
    return Objective(Recipe(), "elbo")((x + 1) / 2, output).total


def no_latent_loss(x: Tensor) -> Quantized:
    return Quantized(value=x, codes=torch.zeros(len(x), 1, 1, 1, dtype=torch.int64))


def test_the_reconstruction_term_sums_over_pixels_and_takes_the_log_of_the_batch_mean() -> None:
    [name] = golden.names(rule="sq_recon")
    case = golden.case(name)
    x, x_rec = case.tensor("x"), case.tensor("x_rec", grad=True)
    value = elbo(x, x_rec, no_latent_loss(x))
    case.assert_close("arelbo", value)
    case.assert_close("mse", torch.exp(2 * value / case.parameters["D"]))
    case.assert_close("grad_x_rec_of_arelbo", gradients(value, x_rec)[0])


def test_the_whole_loss() -> None:
    [name] = golden.names(rule="sq_total")
    case = golden.case(name)
    quantizer = build(case, variance="I", variance_form="sum").train()
    set_scale(quantizer, torch.tensor(case.parameters["log_scalar"]))
    out = quantizer.relax(case.tensor("z"), uniforms=case.tensor("U")[None])
    torch.testing.assert_close(out.statistics["variance"], case.tensor("var")[0])
    case.assert_close("quantized", out.value)
    case.assert_close("perplexity", out.statistics["soft_perplexity"])
    x, x_rec = case.tensor("x"), case.tensor("x_rec")
    case.assert_close("loss", elbo(x, x_rec, out))
    reconstruction = elbo(x, x_rec, no_latent_loss(x)).double()
    case.assert_close("mse", torch.exp(2 * reconstruction / case.parameters["D"]))


def test_the_whole_loss_and_all_gradients_with_a_decoder() -> None:
    [name] = golden.names(rule="sq_objective")
    case = golden.case(name)
    assert case.parameters["arelbo"]
    quantizer = build(case, variance=TYPES[case.parameters["variance_type"]], variance_form="sum").train()
    set_scale(quantizer, case.tensor("log_scalar"))
    z, h, kernel = (case.tensor(field, grad=True) for field in ("z", "log_var_map", "W_dec"))
    latents = torch.cat([z, h], dim=1)
    out = quantizer.relax(latents, uniforms=case.tensor("U")[None])
    case.assert_close("var", quantizer.variance(h)[0])
    case.assert_close("quantized", out.value)
    case.assert_close("perplexity", out.statistics["soft_perplexity"])
    x_rec = F.interpolate(F.conv2d(out.value, kernel), scale_factor=2)
    case.assert_close("x_rec", x_rec)
    x = case.tensor("x")
    loss = elbo(x, x_rec, out)
    case.assert_close("loss", loss)
    reconstruction = elbo(x, x_rec.detach(), no_latent_loss(x)).double()
    case.assert_close("mse", torch.exp(2 * reconstruction / math.prod(x.shape[1:])))
    of_z, of_h, of_codebook, of_scale, of_kernel = gradients(
        loss, z, h, quantizer.codebooks, quantizer.variance.log_scale, kernel
    )
    case.assert_close("grad_z_of_loss", of_z)
    case.assert_close("grad_log_var_map_of_loss", of_h)
    case.assert_close("grad_codebook_of_loss", of_codebook[0])
    case.assert_close("grad_log_scalar_of_loss", of_scale[0])
    case.assert_close("grad_W_dec_of_loss", of_kernel)
