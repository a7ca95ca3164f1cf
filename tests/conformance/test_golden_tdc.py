"""The target divergence constraint against traces recorded from the authors' code."""

from __future__ import annotations

import golden
import pytest

from vqbench_plugins.quantizers.gaussian import GaussianVAE, posterior, token_nats
from vqbench_plugins.quantizers.tdc import NATS_TO_BITS, TDC, TDCRule

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


@pytest.mark.parametrize("name", golden.names("tdc.fixed", "tdc.example"))
def test_the_gaussian_vae_leaves_the_recorded_losses_and_statistics(name: str) -> None:
    case = golden.case(name)
    p = case.parameters
    xs = case.tensor("xs")
    channels = golden.as_image(xs[0], p["layout"]).shape[1] // 2
    vae = GaussianVAE(channels=channels, dim=p["m"], target_bits=float(p["K"].bit_length() - 1)).train()
    for step in range(p["steps"]):
        out = vae(golden.as_image(xs[step], p["layout"]))
        assert out.losses["kl"].unit == "image_sum"
        case.assert_close("kl_loss", out.losses["kl"].value, step=step)
        for field in ("bits_mean", "bits_min", "bits_max", *MULTIPLIERS):
            case.assert_close(field, out.statistics[field], step=step)
