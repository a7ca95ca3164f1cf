"""SQ in residual layers (RSQ) against vectors transcribed from a port of HQ-VAE's residual group."""

from __future__ import annotations

import golden
import pytest
import torch

from vqbench_plugins.quantizers.categorical import posterior_logits
from vqbench_plugins.quantizers.sq import SQ

CASES = golden.names(rule="rsq")


def build(case: golden.Case) -> SQ:
    layers, size, dim = case["codebooks"].shape
    quantizer = SQ(codebook_size=size, dim=dim, layers=layers, variance_form="product")
    with torch.no_grad():
        quantizer.codebooks.copy_(case.tensor("codebooks"))
        quantizer.variance.log_scale.copy_(case.tensor("log_s2"))
        quantizer.temperature.fill_(case.parameters["temperature"])
    return quantizer


@pytest.mark.parametrize("name", CASES)
def test_a_training_pass_gives_the_recorded_layers_losses_and_gradients(name: str) -> None:
    case = golden.case(name)
    quantizer = build(case).train()
    quantizer.prefix_weight = 1.0  # leaves the running sums of the layers' samples
    layers = case.parameters["layers"]
    x = case.tensor("x", grad=True)
    out = quantizer.relax(x, uniforms=case.tensor("U"))
    case.assert_close("quantized", out.value)
    sums = torch.stack([torch.zeros_like(out.value), *out.prefixes])
    case.assert_close("quantized_layers", sums.diff(dim=0))
    case.assert_codes("indices_layers", out.codes.transpose(0, 1))
    loss = torch.stack([of.weight * of.value for of in out.losses.values()]).sum()
    case.assert_close("loss", loss)
    statistics = [out.statistics[f"layer{layer}/posterior_entropy"] for layer in range(layers)]
    positions = out.codes[:, 0].numel()
    case.assert_close("kld_discrete_layers", torch.stack(statistics) * -positions / len(x))
    perplexities = [out.statistics[f"layer{layer}/soft_perplexity"] for layer in range(layers)]
    case.assert_close("perplexity_layers", torch.stack(perplexities))
    of_x, of_scale, of_codebooks = torch.autograd.grad(
        loss + (out.value * case.tensor("w")).sum(), [x, quantizer.variance.log_scale, quantizer.codebooks]
    )
    case.assert_close("grad_x_of_loss_plus_qw", of_x)
    case.assert_close("grad_log_s2_of_loss_plus_qw", of_scale)
    case.assert_close("grad_codebooks_of_loss_plus_qw", of_codebooks)


@pytest.mark.parametrize("name", CASES)
def test_evaluation_takes_the_recorded_codes(name: str) -> None:
    case = golden.case(name)
    quantizer = build(case).eval()
    x = case.tensor("x")
    out = quantizer(x)
    case.assert_codes("eval_indices_layers", out.codes.transpose(0, 1))
    case.assert_close("eval_quantized", out.value)
    rows = torch.nn.functional.one_hot(out.codes, case.parameters["K"]).float()  # (B, T, h, w, K)
    shares = rows.mean(dim=(0, 2, 3)).double()
    case.assert_close("eval_perplexity_layers", torch.special.entr(shares).sum(dim=1).exp())
    # the recorded loss with the deterministic codes: posteriors and residuals of those instead of the samples
    residual, variances, negative_entropy = x, case.tensor("log_s2").exp(), torch.zeros(())
    for codebook, codes, variance in zip(quantizer.codebooks, out.codes.unbind(1), variances, strict=True):
        flat = residual.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        posterior = posterior_logits(flat, (1 / variance).expand(len(flat), 1), codebook).softmax(dim=1)
        negative_entropy = negative_entropy - torch.special.entr(posterior).sum() / len(x)
        residual = residual - codebook[codes].permute(0, 3, 1, 2)
    distance = residual.square().sum() / (2 * variances.sum()) / len(x)
    case.assert_close("eval_loss", negative_entropy + distance)
