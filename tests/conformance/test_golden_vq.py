"""VQ against vectors recorded from six code bases."""

from __future__ import annotations

from typing import Any

import golden
import pytest
import torch
from torch import Tensor

from vqbench.interfaces import Quantized
from vqbench_plugins.quantizers.ema import EMACodebook
from vqbench_plugins.quantizers.vq import VQ

CASES = golden.names(rule="vq")
EVALUATION = [name for name in CASES if golden.case(name).parameters["mode"] == "eval"] + golden.names("vq.factorized")
TRAINING = [name for name in CASES if golden.case(name).parameters["mode"] == "train"]
SEQUENCES = golden.names(rule="vq_sequence")


def build(case: golden.Case) -> VQ:
    """The quantizer of a case, holding its codebook; the loss weights are those that the case's formula spells out."""
    p = case.parameters
    update, groups, loss = p.get("codebook_update"), p.get("groups", {}), p.get("loss")
    tables = case.tensor("codebook").reshape(-1, p["K"], p["d"])  # one, or one per token
    arguments: dict[str, Any] = {
        "codebook_size": p["K"],
        "dim": p["d"],
        "tokens": groups.get("count", 1),
        "grouping": groups.get("map", "strided"),
        "shared_codebook": groups.get("shared", True),
        "latent_dim": p.get("d_in"),
        "normalize": "l2" if p.get("normalize") == "both" else "none",
        "gradient": "rotation" if p.get("gradient") == "rotation" else "straight-through",
    }
    if update is not None:
        arguments |= {"update": "ema", **{key: update[key] for key in ("decay", "eps", "counts_init")}}
        arguments["beta"] = p["commitment_weight"] if "commitment_weight" in p else loss["commitment"]
    elif case.variant.endswith("frozen"):
        arguments |= {"update": "frozen", "beta": loss["commitment"]}
    elif loss is not None and loss["form"] == "joint":
        arguments |= {"loss": "joint", "codebook_weight": loss["weight"]}
    elif loss is not None:
        weights = loss["commitment"], loss["codebook"]
        legacy = weights[0] == 1.0
        arguments |= {
            "beta": weights[1] if legacy else weights[0],
            "beta_placement": "legacy" if legacy else "standard",
        }
        arguments["reduction"] = "mean" if loss["reduction"] == "mean" else "sum_channels"
    quantizer = VQ(**arguments)
    with torch.no_grad():
        for book, table in zip(quantizer.codebooks, tables, strict=True):
            book.words.copy_(table)
            if isinstance(book, EMACodebook):
                book.sums.copy_(table)
        if "W_in" in case:
            for layer, end in ((quantizer.project_in, "in"), (quantizer.project_out, "out")):
                layer.weight.copy_(case.tensor(f"W_{end}"))
                layer.bias.copy_(case.tensor(f"b_{end}"))
    return quantizer


def table(quantizer: VQ, field: str) -> Tensor:
    """The one codebook's table that a field such as ``counts_after`` is about."""
    [book] = quantizer.codebooks
    kept: Tensor = getattr(book, {"codebook": "words"}.get(name := field.split("_")[0], name))
    return kept


def total(out: Quantized) -> Tensor:
    losses = [loss.weight * loss.value for loss in out.losses.values()]
    return torch.stack(losses).sum()


@pytest.mark.parametrize("name", EVALUATION)
def test_evaluation_gives_the_recorded_codes_and_values(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    out = build(case).eval()(golden.as_image(case.tensor("x"), layout))
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, layout, case["x"].shape))
    assert not out.losses


@pytest.mark.parametrize("name", TRAINING)
def test_one_training_step_gives_the_recorded_results(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    quantizer = build(case).train()
    x = case.tensor("x", grad=True)
    out = quantizer(golden.as_image(x, layout))
    value = golden.from_image(out.value, layout, x.shape)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    case.assert_close("loss", total(out))
    if "grad_x_of_loss" in case:
        (grad,) = torch.autograd.grad(total(out), x, retain_graph=True)
        case.assert_close("grad_x_of_loss", grad)
    if "grad_x_of_qw" in case:
        (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x, retain_graph=True)
        case.assert_close("grad_x_of_qw", grad)
    if "grad_codebook_of_loss" in case:
        (grad,) = torch.autograd.grad(total(out), quantizer.codebooks[0].words)
        case.assert_close("grad_codebook_of_loss", grad)
    for field in ("codebook_after", "counts_after", "sums_after"):
        if field in case:
            case.assert_close(field, table(quantizer, field))


@pytest.mark.parametrize("name", SEQUENCES)
def test_consecutive_training_steps_give_the_recorded_trace(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    quantizer = build(case).train()
    xs = case.tensor("xs")
    for step in range(case.parameters["steps"]):
        x = xs[step].clone().requires_grad_()
        out = quantizer(golden.as_image(x, layout))
        value = golden.from_image(out.value, layout, x.shape)
        case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"][step]), step=step)
        if "quantized" in case:
            case.assert_close("quantized", value, step=step)
            case.assert_close("commitment", out.losses["commitment"].value, step=step)
            (total(out) + (value * case.tensor("ws")[step]).sum()).backward()
            case.assert_close("grad_xs_of_loss_plus_qw", x.grad, step=step)
            for field in ("codebook_steps", "counts_steps", "sums_steps"):
                case.assert_close(field, table(quantizer, field), step=step)
    if "codebook_last" in case:
        for field in ("codebook_last", "counts_last", "sums_last"):
            case.assert_close(field, table(quantizer, field))
    if "x_eval" in case:
        out = quantizer.eval()(golden.as_image(case.tensor("x_eval"), layout))
        case.assert_codes("eval_indices", golden.codes_from_image(out.codes, case["eval_indices"]))
        value = golden.from_image(out.value, layout, case["x_eval"].shape)
        case.assert_close("eval_quantized", value)
        case.assert_close("eval_commitment", (case.tensor("x_eval") - value).square().mean())
