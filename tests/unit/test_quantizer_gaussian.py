"""The Gaussian VAE and its constraint: formulas, worked example, adaptive state."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError, VQBenchError
from vqbench_plugins.quantizers.divergence import token_nats
from vqbench_plugins.quantizers.gaussian import GaussianVAE, posterior
from vqbench_plugins.quantizers.grouping import join_groups, split_groups
from vqbench_plugins.quantizers.tdc import TDC, TDC_RULES, TargetWeights, TDCRule


def latents(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def example() -> Tensor:
    """One image, three positions: means 0, 2, 3 and log variances -1, -2.8, -6."""
    return torch.tensor([[0.0, 2.0, 3.0], [-1.0, -2.8, -6.0]]).reshape(1, 2, 1, 3)


@pytest.mark.parametrize("variant", ["tdc", "tdc-astrained"])
def test_worked_example_of_two_steps(variant: str) -> None:
    vae = GaussianVAE(channels=1, dim=1, target_bits=4.0, variant=variant)  # type: ignore[arg-type]
    first, second = vae(example()), vae(example())
    assert first.statistics["bits_mean"].item() == pytest.approx(4.864247, abs=1e-5)
    assert first.statistics["bits_min"].item() == pytest.approx(0.265351, abs=1e-5)
    assert first.statistics["bits_max"].item() == pytest.approx(10.099988, abs=1e-5)
    assert first.losses["kl"].value.item() == pytest.approx(14.592742, abs=1e-4)
    assert first.statistics["lam"].item() == pytest.approx(1.01)
    assert first.statistics["lam_min"].item() == pytest.approx(1 / 1.01)
    assert second.losses["kl"].value.item() == pytest.approx(14.838025, abs=1e-4)
    assert second.statistics["lam"].item() == pytest.approx(1.0201)
    assert second.statistics["lam_max"].item() == pytest.approx(1.0201)
    assert second.statistics["lam_min"].item() == pytest.approx(0.980296, abs=1e-6)


def test_the_weight_of_high_tokens_falls_again_only_in_the_corrected_form() -> None:
    high, inside = torch.full((1, 1, 1, 2), 9.0), torch.full((1, 1, 1, 2), 4.0)
    after: dict[str, float] = {}
    for variant, rule in TDC_RULES.items():
        tdc = TDC(4.0, rule=rule)
        for bits in (high, high, inside):
            tdc(bits)
        after[variant] = tdc.lam_max.item()
    assert after["tdc"] == pytest.approx(1.01)
    assert {name: lam_max for name, lam_max in after.items() if name != "tdc"} == {
        name: pytest.approx(1.0201) for name in TDC_RULES if name != "tdc"
    }


def test_variants_differ_as_published_from_the_second_step_on() -> None:
    losses = {}
    for variant in (*TDC_RULES, "target"):
        vae = GaussianVAE(channels=1, dim=1, target_bits=4.0, variant=variant)  # type: ignore[arg-type]
        losses[variant] = [vae(example()).losses["kl"].value.item() for _ in range(2)]
    for variant in ("tdc", "tdc-astrained", "tdc-nolam"):
        assert losses[variant][0] == pytest.approx(14.592742, abs=1e-4)
    assert losses["tdc-nolam"][1] == pytest.approx(14.838025 / 1.01, abs=1e-4)
    assert losses["tdc-gq2"] == pytest.approx([14.592742 / 3, 14.838025 / 3], abs=1e-4)
    nats = [value / 1.4426 for value in (0.265351, 4.227402, 10.099988)]
    assert losses["target"] == pytest.approx([nats[0] / 40 + nats[1] + 40 * nats[2]] * 2, abs=1e-3)


def test_the_fixed_weights_have_no_state_and_sum_over_tokens() -> None:
    weights = TargetWeights(4.0, tolerance=0.5)
    assert not weights.state_dict()
    bits = torch.tensor([[3.5, 4.5], [3.0, 5.0]])  # both edges are inside; mean over two images
    assert weights(bits).item() == pytest.approx((3.5 + 4.5 + 3.0 / 40 + 40 * 5.0) / 2 / 1.4426)


def test_the_band_is_closed() -> None:
    tdc = TDC(4.0, tolerance=0.5)
    tdc.lam_max.fill_(100.0)
    tdc.lam_min.fill_(0.01)
    at_the_edges = torch.tensor([3.5, 4.5]).reshape(1, 1, 1, 2)
    assert tdc.eval()(at_the_edges).item() == pytest.approx(8.0)


def test_outer_multipliers_stay_in_their_range_and_the_common_one_is_free() -> None:
    tdc = TDC(4.0, rule=TDCRule(lowest=0.97, highest=1.03))
    for _ in range(10):
        tdc(torch.tensor([[0.0, 20.0]]))
    assert tdc.lam_max.item() == 1.03
    assert tdc.lam_min.item() == 0.97
    assert tdc.lam.item() == pytest.approx(1.01**10)
    for _ in range(20):
        tdc(torch.tensor([[4.0, 4.0]]))
    assert tdc.lam_max.item() == 1.0
    assert tdc.lam_min.item() == 1.0
    assert tdc.lam.item() == pytest.approx(1.01**-10)


def test_evaluation_leaves_the_multipliers_alone() -> None:
    tdc = TDC(4.0).eval()
    tdc(torch.tensor([[0.0, 20.0]]))
    assert tdc.lam.item() == tdc.lam_min.item() == tdc.lam_max.item() == 1.0
    vae = GaussianVAE(channels=4, dim=2, target_bits=1.0).eval()
    out = vae(latents(2, 8, 3, 3))
    assert isinstance(vae.divergence.tdc, TDC)
    assert vae.divergence.tdc.lam.item() == 1.0
    assert not out.losses


def test_a_resumed_run_equals_an_uninterrupted_one() -> None:
    run, resumed = GaussianVAE(channels=4, dim=2), GaussianVAE(channels=4, dim=2)
    for step in range(3):
        run(latents(2, 8, 3, 3, seed=step))
    resumed.load_state_dict(run.state_dict())
    losses = [vae(latents(2, 8, 3, 3, seed=9)).losses["kl"].value.item() for vae in (run, resumed)]
    assert losses[0] == losses[1]
    assert set(run.state_dict()) == {f"divergence.tdc.{name}" for name in ("lam", "lam_min", "lam_max")}


def test_the_gradient_does_not_reach_the_multipliers_or_clamped_log_variances() -> None:
    x = latents(1, 8, 2, 2)
    x[:, 4] = 40.0
    x[:, 5] = -50.0
    x.requires_grad_()
    GaussianVAE(channels=4, dim=4, target_bits=2.0)(x).losses["kl"].value.backward()
    assert x.grad is not None
    assert not x.grad[:, 4:6].any()
    assert bool(x.grad[:, 6:].any())


def test_evaluation_is_the_posterior_mean_without_codes() -> None:
    vae = GaussianVAE(channels=4, dim=2).eval()
    x = latents(2, 8, 3, 5)
    state = torch.get_rng_state()
    out = vae(x)
    assert torch.equal(out.value, x[:, :4])
    assert out.codes.shape == (2, 0, 3, 5)
    assert vae.codebook_sizes == ()
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(VQBenchError, match="no codes"):
        vae.decode(out.codes)


def test_the_plain_divergence_is_the_closed_form_of_two_normals() -> None:
    x = latents(3, 8, 2, 2)
    means, log_variances = posterior(x)
    normal = torch.distributions.Normal(means, torch.exp(log_variances / 2))
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum() / 3
    out = GaussianVAE(channels=4, dim=2, constraint="kl", kl_weight=0.64)(x)
    torch.testing.assert_close(out.losses["kl"].value, expected)
    assert out.losses["kl"].weight == 0.64
    assert out.losses["kl"].unit == "image_sum"
    assert not GaussianVAE(channels=4, dim=2, constraint="kl").state_dict()


@pytest.mark.parametrize("grouping", ["strided", "contiguous"])
def test_groups_hold_the_channels_their_map_says(grouping: str) -> None:
    channels = torch.arange(6.0).reshape(1, 6, 1, 1).expand(2, 6, 3, 4)
    groups = split_groups(channels, 2, grouping)  # type: ignore[arg-type]
    assert groups.shape == (2, 3, 3, 4, 2)
    expected = {"strided": [[0, 3], [1, 4], [2, 5]], "contiguous": [[0, 1], [2, 3], [4, 5]]}
    assert groups[0, :, 0, 0].tolist() == expected[grouping]
    assert torch.equal(join_groups(groups, grouping), channels)  # type: ignore[arg-type]


def test_token_divergences_are_those_of_their_channels() -> None:
    means, log_variances = torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1)
    means[0, 1] = 2.0  # token 1 of the strided map
    assert token_nats(means, log_variances, 2, "strided").flatten().tolist() == [0.0, 2.0]
    assert token_nats(means, log_variances, 2, "contiguous").flatten().tolist() == [2.0, 0.0]


def test_a_dimension_that_does_not_divide_the_channels_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"dim = 3 with channels = 8, expected 1, 2, 4, 8"):
        GaussianVAE(channels=8, dim=3)


def test_a_sample_is_evaluated_with_one_fixed_field_of_noise() -> None:
    vae = GaussianVAE(channels=4, dim=2, evaluation="sample").eval()
    x = latents(3, 8, 3, 5)
    state = torch.get_rng_state()
    value = vae(x).value
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(vae(x).value, value)
    assert torch.equal(vae(x[1:2]).value, value[1:2])  # whatever else is in the batch
    noise = (value - x[:, :4]) / torch.exp(x[:, 4:] / 2)
    torch.testing.assert_close(noise[0], noise[2])
    assert 0.5 < float(noise[0].std()) < 1.5


def test_what_evaluation_decodes_makes_no_difference_to_training() -> None:
    x = latents(2, 8, 3, 3)
    values = []
    for evaluation in ("mean", "sample"):
        torch.manual_seed(0)
        values.append(GaussianVAE(channels=4, dim=2, evaluation=evaluation)(x).value)  # type: ignore[arg-type]
    assert torch.equal(*values)
