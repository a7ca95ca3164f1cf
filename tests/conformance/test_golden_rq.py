"""RQ against vectors recorded from RQ-VAE's code, and its per-stage form against lucidrains' residual VQ."""

from __future__ import annotations

from typing import Any

import golden
import pytest
import torch
from torch import Tensor

from vqbench_plugins.quantizers.rq import RQ

EVALUATION = golden.names("rq.cumulative", "rvq.per_stage")
[PER_STAGE] = golden.names("rvq.per_stage.train")
SEQUENCES = golden.names(rule="rq_sequence")


def build(case: golden.Case) -> RQ:
    """The quantizer of a case, holding its codebooks."""
    p = case.parameters
    update = p["codebook_update"] or {}
    arguments: dict[str, Any] = {key: update[key] for key in ("decay", "eps", "counts_init") if key in update}
    arguments["restart_below"] = 1.0 if update.get("restart") else 0.0
    if "commitment_weight" in p:
        arguments["commitment_weight"] = p["commitment_weight"]
    quantizer = RQ(
        codebook_size=p["K"],
        dim=p["d"],
        depth=p["depth"],
        shared_codebook=p["shared"],
        gradient="per-stage" if p.get("gradient") == "per_stage_ste" else "total",
        **arguments,
    )
    for book, words in zip(quantizer.codebooks, case.tensor("codebooks"), strict=True):
        book.words.copy_(words)
        book.sums.copy_(words)
    return quantizer


def tables(quantizer: RQ, kind: str) -> Tensor:
    return torch.stack([getattr(book, kind) for book in quantizer.codebooks])


@pytest.fixture
def input_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts take the vectors in input order, as they did when the cases were recorded."""
    monkeypatch.setattr(torch, "randperm", torch.arange)


@pytest.mark.parametrize("name", EVALUATION)
def test_evaluation_gives_the_recorded_codes_and_values(name: str) -> None:
    case = golden.case(name)
    quantizer = build(case).eval()
    out = quantizer(golden.as_image(case.tensor("x"), "blc"))
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, "blc", case["x"].shape))
    case.assert_close("decoded", golden.from_image(quantizer.decode(out.codes), "blc", case["x"].shape))


def test_the_commitment_compares_the_latent_with_every_prefix() -> None:
    [name] = golden.names("rq.cumulative")
    case = golden.case(name)
    quantizer = build(case).train()
    for book in quantizer.codebooks:
        book.decay = 1 - 1e-9  # recorded without a step of the averages
    out = quantizer(golden.as_image(case.tensor("x"), "blc"))
    case.assert_close("commitment", out.losses["commitment"].value)


@pytest.mark.usefixtures("input_order")
@pytest.mark.parametrize("name", SEQUENCES)
def test_consecutive_training_steps_give_the_recorded_trace(name: str) -> None:
    case = golden.case(name)
    quantizer = build(case).train()
    xs = case.tensor("xs")
    for step in range(case.parameters["steps"]):
        x = xs[step].clone().requires_grad_()
        out = quantizer(golden.as_image(x, "blc"))
        value, commitment = golden.from_image(out.value, "blc", x.shape), out.losses["commitment"]
        case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"][step]), step=step)
        case.assert_close("quantized", value, step=step)
        case.assert_close("commitment", commitment.value, step=step)
        if "ws" in case:
            (commitment.weight * commitment.value + (value * case.tensor("ws")[step]).sum()).backward()
            case.assert_close("grad_xs_of_loss_plus_qw", x.grad, step=step)
        for field, kind in (("codebooks_steps", "words"), ("counts_steps", "counts"), ("sums_steps", "sums")):
            if field in case:
                case.assert_close(field, tables(quantizer, kind), step=step)
    if "x_eval" in case:
        x = case.tensor("x_eval")
        out, shape = quantizer.eval()(golden.as_image(x, "blc")), x.shape
        case.assert_codes("eval_indices", golden.codes_from_image(out.codes, case["eval_indices"]))
        case.assert_close("eval_quantized", golden.from_image(out.value, "blc", shape))
        case.assert_close("eval_decoded", golden.from_image(quantizer.decode(out.codes), "blc", shape))
        prefixes = [golden.from_image(prefix, "blc", shape) for prefix in quantizer.decode_prefixes(out.codes)]
        case.assert_close("eval_partial", torch.stack(prefixes))
        errors = [(x - prefix).square().mean() for prefix in prefixes]
        case.assert_close("eval_commitment", torch.stack(errors).mean())


def test_the_per_stage_form_passes_the_gradient_once_per_depth() -> None:
    case = golden.case(PER_STAGE)
    quantizer = build(case).train()
    x = case.tensor("x", grad=True)
    out = quantizer(golden.as_image(x, "blc"))
    value, depth = golden.from_image(out.value, "blc", x.shape), case.parameters["depth"]
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    case.assert_close("losses", torch.stack([out.statistics[f"squared_residual_{t + 1}"] for t in range(depth)]))
    (grad,) = torch.autograd.grad((value * case.tensor("w")).sum(), x, retain_graph=True)
    case.assert_close("grad_x_of_qw", grad)
    (grad,) = torch.autograd.grad(depth * out.losses["commitment"].value, x)  # the original adds what RQ-VAE averages
    case.assert_close("grad_x_of_losses", grad)
    case.assert_close("codebooks_after", tables(quantizer, "words"))
