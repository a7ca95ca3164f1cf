"""BSQ against vectors recorded from the authors' code, the GQ authors' form of it, and lucidrains' spherical LFQ."""

from __future__ import annotations

import golden
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import Quantized
from vqbench_plugins.quantizers.bsq import BSQ
from vqbench_plugins.quantizers.entropy import mean_code_probabilities

UNIT = golden.names("bsq.group", "bsq.group.image", "bsq.analytical")  # inputs that are unit vectors already
[POOLED] = golden.names("bsq.pooled_bit")
[SPHERICAL] = golden.names("lfq.joint.spherical")


def build(case: golden.Case, token_bits: list[int] | None = None) -> BSQ:
    p = case.parameters
    return BSQ(
        bits=p["d"],
        token_bits=token_bits,
        bit_order=p["index_order"].replace("_", "-"),
        inverse_temperature=p["inv_temperature"],
        entropy_group=p["group_size"],
        log_guard=p["log_guard"].replace("_", "-"),
        entropy_weight=p["zeta"],
        sample_entropy_weight=p["gamma0"],
        codebook_entropy_weight=p["gamma"],
        commitment_weight=p["beta"],
    )


def total(out: Quantized) -> Tensor:
    return torch.stack([loss.weight * loss.value for loss in out.losses.values()]).sum()


@pytest.mark.parametrize("name", UNIT)
def test_evaluation_gives_the_recorded_codes_and_values(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    x = golden.as_image(case.tensor("x"), layout)
    out = build(case).eval()(x)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, layout, case["x"].shape))
    in_groups = build(case, token_bits=[case.parameters["group_size"]]).eval()(x)
    case.assert_codes("group_indices", golden.codes_from_image(in_groups.codes, case["group_indices"]))


@pytest.mark.parametrize("name", UNIT)
def test_training_gives_the_recorded_entropies_losses_and_gradients(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    x = case.tensor("x", grad=True)
    out = build(case).train().quantize(golden.as_image(x, layout))  # the normalisation lies before this
    value = golden.from_image(out.value, layout, x.shape)
    case.assert_close("quantized", value)
    case.assert_close("loss", total(out))
    if "sample_entropy" not in case:
        return
    case.assert_close("sample_entropy", out.statistics["sample_entropy"])
    case.assert_close("batch_entropy", out.statistics["codebook_entropy"])
    (grad,) = torch.autograd.grad(total(out), x, retain_graph=True)
    case.assert_close("grad_x_of_loss", grad)
    (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x)
    case.assert_close("grad_x_of_qw", grad)


@pytest.mark.parametrize("name", [name for name in UNIT if "avg_prob" in golden.case(name)])
def test_the_mean_soft_code_is_as_recorded(name: str) -> None:
    case = golden.case(name)
    p = case.parameters
    logits = 4 * p["inv_temperature"] / p["d"] ** 0.5 * case.tensor("x").flatten(0, 1)
    case.assert_close("avg_prob", mean_code_probabilities(logits, p["group_size"]))


@pytest.mark.parametrize("name", [name for name in UNIT if "grad_x_of_loss" in golden.case(name)])
def test_gradients_reach_the_latent_through_its_normalisation(name: str) -> None:
    case = golden.case(name)
    quantizer = build(case).train()
    u = F.normalize(golden.as_image(case.tensor("x").double(), "blc"), dim=1).requires_grad_()
    latents = (3 * u.detach()).requires_grad_()
    (of_unit,) = torch.autograd.grad(total(quantizer.quantize(u)), u)  # as recorded: see above
    (grad,) = torch.autograd.grad(total(quantizer(latents)), latents)
    expected = (of_unit - u * (u * of_unit).sum(dim=1, keepdim=True)) / 3  # (I - uuᵀ)/‖z‖ dL/du
    torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-5 * float(expected.detach().abs().max()))


def test_the_pooled_form_gives_the_recorded_results() -> None:
    case = golden.case(POOLED)
    p = case.parameters
    quantizer = BSQ(
        bits=p["d"],
        inverse_temperature=p["inv_temperature"],
        entropy_group=1,
        entropy_reduction="pooled",
        log_guard="add-1e-5",
        entropy_weight=0.1
        * p["inv_temperature"],  # that loss is 0.1·(H_s - H_b): not divided by the inverse temperature
    ).train()
    x = case.tensor("x", grad=True)
    out = quantizer(x)
    case.assert_codes("indices", out.codes[:, 0])
    case.assert_close("quantized", out.value)
    case.assert_close("sample_entropy", out.statistics["sample_entropy"])
    case.assert_close("batch_entropy", out.statistics["codebook_entropy"])
    case.assert_close("loss", total(out))
    (grad,) = torch.autograd.grad(total(out) + (out.value * case.tensor("w")).sum(), x)
    case.assert_close("grad_x_of_loss_plus_qw", grad)


def test_spherical_lfq_is_bsq_with_the_plain_gradient_and_the_joint_entropy() -> None:
    case = golden.case(SPHERICAL)
    p = case.parameters
    assert p["code_scale"] == 1.0
    quantizer = BSQ(
        bits=p["d"],
        inverse_temperature=p["inv_temperature"],
        gradient_scale="1",
        entropy_group=None,
        log_guard="clamp-1e-5",
        entropy_weight=p["entropy_weight"] * p["inv_temperature"],
        commitment_weight=p["commitment_weight"] / p["d"],  # there the mean over channels, here their sum
    ).train()
    x = case.tensor("x", grad=True)
    out = quantizer(golden.as_image(x, "blc"))
    value = golden.from_image(out.value, "blc", x.shape)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    case.assert_close("decoded", golden.from_image(quantizer.decode(out.codes), "blc", x.shape))
    case.assert_close("sample_entropy", out.statistics["sample_entropy"])
    case.assert_close("batch_entropy", out.statistics["codebook_entropy"])
    case.assert_close("commitment", out.losses["commitment"].value / p["d"])
    case.assert_close("loss", total(out))
    (grad,) = torch.autograd.grad(total(out), x, retain_graph=True)
    case.assert_close("grad_x_of_loss", grad)
    (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x)
    case.assert_close("grad_x_of_qw", grad)


@pytest.mark.parametrize("bits", [18, 36, 62])
def test_codes_are_exact_where_originals_sum_them_in_float32_or_cover_16_channels_only(bits: int) -> None:
    """bsq-vit sums indices in float32, wrong beyond 24 bits; the GQ authors' code names and decodes 16 channels."""
    z = torch.randn(2, bits, 8, 8, generator=torch.Generator().manual_seed(bits))
    quantizer = BSQ(bits=bits).eval()
    out = quantizer(z)
    expected = [
        int("".join("1" if number > 0 else "0" for number in column), 2)
        for column in z.permute(0, 2, 3, 1).reshape(-1, bits).tolist()
    ]
    assert out.codes.flatten().tolist() == expected
    assert torch.equal(quantizer.decode(out.codes) > 0, z > 0)
