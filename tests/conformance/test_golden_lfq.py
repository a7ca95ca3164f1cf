"""LFQ against vectors recorded from three code bases, and from BSQ's original with its sphere switched off."""

from __future__ import annotations

import math

import golden
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import Quantized
from vqbench_plugins.quantizers.lfq import LFQ

GUARDS = {"clamp_1e-5": "clamp-1e-5", "add_1e-5": "codebook-add-1e-5"}
CASES = [name for name in golden.names(rule="lfq") if not golden.case(name).parameters["spherical"]]
TRAINING = [name for name in CASES if golden.case(name).parameters["mode"] == "train"]
FACTORIZED = golden.names("lfq.code.factorized")
[RAW] = golden.names("bsq.analytical.raw")


def build(case: golden.Case) -> LFQ:
    p = case.parameters
    bits = p["d"] * p["num_codebooks"]
    token_bits = [bits] if p.get("index") == "one integer over all channels" else [p["d"]]
    return LFQ(
        bits=bits,
        token_bits=p.get("factor_bits", token_bits),
        bit_order=p["index_order"].replace("_", "-"),
        temperature=1 / p["inv_temperature"],
        scale=p["code_scale"],
        entropy_group=p["d"],
        entropy_reduction={"per_codebook": "mean", "pooled": "pooled"}[p["batch_average"]],
        log_guard=GUARDS[p["log_guard"]],
        entropy_weight=p["entropy_weight"],
        sample_entropy_weight=p["sample_weight"],
        codebook_entropy_weight=p["batch_weight"],
        commitment_weight=p["commitment_weight"],
    )


def latents_of(case: golden.Case, x: Tensor) -> Tensor:
    """The case's input; a bound that the case puts before the quantizer is applied here, for it is no part of LFQ."""
    if bound := case.parameters["soft_clamp"]:
        x = bound * torch.tanh(x / bound)
    return golden.as_image(x, case.parameters["layout"])


def total(case: golden.Case, out: Quantized) -> Tensor:
    """The case's loss; one case sends the difference of the entropies through a softplus, here likewise."""
    entropy, commitment = out.losses["entropy"], out.losses["commitment"]
    difference = entropy.value
    if offset := case.parameters["softplus_offset"]:
        difference = F.softplus(difference + offset)
    return entropy.weight * difference + commitment.weight * commitment.value


@pytest.mark.parametrize("name", [name for name in CASES if name not in FACTORIZED])
def test_evaluation_gives_the_recorded_codes_and_values(name: str) -> None:
    case = golden.case(name)
    out = build(case).eval()(latents_of(case, case.tensor("x")))
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, case.parameters["layout"], case["x"].shape))
    assert not out.losses


@pytest.mark.parametrize("name", [name for name in CASES if "decoded" in golden.case(name)])
def test_codes_decode_to_the_recorded_values(name: str) -> None:
    case = golden.case(name)
    indices = case.tensor("indices").reshape(*case["x"].shape[:-1], -1)
    codes = golden.as_image(indices, "blc")  # as if tokens were channels
    case.assert_close("decoded", golden.from_image(build(case).decode(codes), "blc", case["x"].shape))


@pytest.mark.parametrize("name", FACTORIZED)
def test_a_code_is_split_into_the_recorded_tokens(name: str) -> None:
    case = golden.case(name)
    out = build(case).eval()(case.tensor("x"))
    case.assert_codes("indices_pre", out.codes[:, 0])
    case.assert_codes("indices_post", out.codes[:, 1])
    case.assert_close("quantized", out.value)


@pytest.mark.parametrize("name", TRAINING)
def test_training_gives_the_recorded_entropies_losses_and_gradients(name: str) -> None:
    case = golden.case(name)
    x = case.tensor("x", grad=True)
    out = build(case).train()(latents_of(case, x))
    value = golden.from_image(out.value, case.parameters["layout"], x.shape)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    case.assert_close("sample_entropy", out.statistics["sample_entropy"])
    case.assert_close("batch_entropy", out.statistics["codebook_entropy"])
    case.assert_close("loss", total(case, out))
    (grad,) = torch.autograd.grad(total(case, out), x, retain_graph=True)
    case.assert_close("grad_x_of_loss", grad)
    if "commitment" in case:
        case.assert_close("commitment", out.losses["commitment"].value)
    if "grad_x_of_commitment" in case:
        (grad,) = torch.autograd.grad(out.losses["commitment"].value, x, retain_graph=True)
        case.assert_close("grad_x_of_commitment", grad)
    if "w" in case:
        (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x)
        case.assert_close("grad_x_of_qw", grad)


def test_bsq_without_its_sphere_is_lfq_with_bitwise_entropies() -> None:
    case = golden.case(RAW)
    p = case.parameters
    lfq = LFQ(
        bits=p["d"],
        temperature=1 / p["inv_temperature"],
        entropy_group=1,
        log_guard="add-1e-8",
        entropy_weight=p["zeta"] / p["inv_temperature"],
        sample_entropy_weight=p["gamma0"],
        codebook_entropy_weight=p["gamma"],
        commitment_weight=p["beta"] * p["d"],  # that commitment loss sums over channels
    ).train()
    x = case.tensor("x", grad=True)
    out = lfq(golden.as_image(x, "blc"))
    value = golden.from_image(out.value, "blc", x.shape)
    loss = torch.stack([loss.weight * loss.value for loss in out.losses.values()]).sum()
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    case.assert_close("sample_entropy", out.statistics["sample_entropy"])
    case.assert_close("batch_entropy", out.statistics["codebook_entropy"])
    case.assert_close("loss", loss)
    (grad,) = torch.autograd.grad(loss, x, retain_graph=True)
    case.assert_close("grad_x_of_loss", grad)
    (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x)
    case.assert_close("grad_x_of_qw", grad)


def test_the_entropy_loss_is_not_zero_where_an_original_with_a_mask_makes_it_so() -> None:
    """lucidrains' LFQ, given a mask, takes the mean over the wrong axes: both entropies are equal, their difference 0.

    Here positions to leave out are left out of the batch; what remains keeps its diversity.
    """
    logits = torch.randn(6, 1, 1, 8, generator=torch.Generator().manual_seed(0)).permute(3, 0, 1, 2)
    lfq = LFQ(bits=6, temperature=1.0).train()
    valid = torch.tensor([True, True, False, True, False, True, True, True])
    statistics = lfq(logits[valid]).statistics
    assert statistics["codebook_entropy"] > statistics["sample_entropy"] + 0.1
    # brute force over the 64 codes, of the valid positions only
    codes = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 6)
    soft = torch.softmax(2 * logits[valid].flatten(1) @ codes.T, dim=1).double().mean(dim=0)
    assert statistics["codebook_entropy"].item() == pytest.approx(-(soft * soft.log()).sum().item(), rel=1e-5)
    assert statistics["codebook_entropy"] < math.log(64)
