"""The target divergence constraint against traces recorded from the authors' code."""

from __future__ import annotations

from typing import Any

import golden
import pytest

from vqbench.interfaces import Quantizer
from vqbench_plugins.quantizers.divergence import token_nats
from vqbench_plugins.quantizers.gaussian import GaussianVAE, posterior
from vqbench_plugins.quantizers.gq import GQ
from vqbench_plugins.quantizers.tdc import NATS_TO_BITS, TDC, TDC_RULES, TDCRule

CASES = golden.names("tdc.*")
MULTIPLIERS = ("lam", "lam_min", "lam_max")


def rule_of(case: golden.Case) -> TDCRule:
    p = case.parameters
    return TDCRule(
        reduction={"sum_tokens_mean_batch": "image_sum", "mean_over_tokens": "token_mean"}[p["kl_reduction"]],
        maximum_falls=p["lam_max_decreases"],
        lowest=p["lam_min_range"][0],
        highest=p["lam_max_range"][1],
    )


@pytest.mark.parametrize("name", CASES)
def test_losses_gradients_and_multipliers_follow_the_recorded_trace(name: str) -> None:
    case = golden.case(name)
    p = case.parameters
    tdc = TDC(float(p["K"].bit_length() - 1), p["tolerance"], rule_of(case))
    xs = case.tensor("xs")
    for step in range(p["steps"]):
        x = xs[step].clone().requires_grad_()
        bits = NATS_TO_BITS * token_nats(*posterior(golden.as_image(x, p["layout"])), p["m"], p["grouping"])
        loss = tdc(bits)
        case.assert_close("kl_loss", loss, step=step)
        for statistic in ("mean", "min", "max"):
            case.assert_close(f"bits_{statistic}", getattr(bits, statistic)(), step=step)
        for multiplier in MULTIPLIERS:
            case.assert_close(multiplier, getattr(tdc, multiplier), step=step)
        if "grad_xs_of_kl_loss" in case:
            loss.backward()
            case.assert_close("grad_xs_of_kl_loss", x.grad, step=step)


def test_the_named_variants_are_the_recorded_ones() -> None:
    assert {rule_of(golden.case(name)) for name in golden.names("tdc.fixed", "tdc.example")} == {TDC_RULES["tdc"]}
    assert [rule_of(golden.case(name)) for name in golden.names("tdc.monotone_max")] == [TDC_RULES["tdc-gq2"]]


@pytest.mark.parametrize("method", ["gaussian_vae", "gq straight-through"])
@pytest.mark.parametrize("name", CASES)
def test_methods_leave_the_recorded_losses_statistics_and_gradients(name: str, method: str) -> None:
    case = golden.case(name)
    p = case.parameters
    xs = case.tensor("xs")
    channels = golden.as_image(xs[0], p["layout"]).shape[1] // 2
    quantizer = quantizer_of(case, method, channels).train()
    for step in range(p["steps"]):
        x = xs[step].clone().requires_grad_()
        out = quantizer(golden.as_image(x, p["layout"]))
        assert out.losses["kl"].unit == "image_sum"
        case.assert_close("kl_loss", out.losses["kl"].value, step=step)
        for field in ("bits_mean", "bits_min", "bits_max", *MULTIPLIERS):
            case.assert_close(field, out.statistics[field], step=step)
        if "grad_xs_of_kl_loss" in case:
            out.losses["kl"].value.backward()
            case.assert_close("grad_xs_of_kl_loss", x.grad, step=step)


def quantizer_of(case: golden.Case, method: str, channels: int) -> Quantizer:
    p = case.parameters
    arguments: dict[str, Any] = {"channels": channels, "dim": p["m"], "grouping": p["grouping"]}
    arguments |= {"variant": "tdc-gq2" if case.variant == "tdc.monotone_max" else "tdc", "tolerance": p["tolerance"]}
    if method == "gaussian_vae":
        return GaussianVAE(**arguments, target_bits=float(p["K"].bit_length() - 1))
    return GQ(**arguments, codebook_size=p["K"], training="straight-through")
