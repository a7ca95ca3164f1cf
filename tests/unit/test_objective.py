"""The objective against its formulas, the adversary and the optimiser's schedule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vqbench.errors import ParameterError, PluginError, VQBenchError
from vqbench.interfaces import Loss, ParameterGroup, Quantized
from vqbench.plan import Recipe
from vqbench.worker.adversary import ActNorm, Adversary, PatchDiscriminator, hinge_discriminator_loss
from vqbench.worker.objective import Objective, adaptive_weight
from vqbench.worker.optimizer import WeightAverage, lr_factor, make_optimizer, set_learning_rate
from vqbench.worker.tokenizer import TokenizerOutput

B, D = 4, 3 * 8 * 8
CPU = torch.device("cpu")


def images(seed):
    return torch.rand(B, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def output(reconstructions, *losses):
    codes = torch.zeros(B, 1, 4, 4, dtype=torch.int64)
    return TokenizerOutput(
        reconstructions=reconstructions,
        quantized=tuple(Quantized(value=torch.zeros(B, 2, 4, 4), codes=codes, losses=of_level) for of_level in losses),
    )


def image_sum(value, weight=1.0):
    return Loss(value=torch.as_tensor(value), unit="image_sum", weight=weight)


def element_mean(value, weight=1.0):
    return Loss(value=torch.as_tensor(value), unit="element_mean", weight=weight)


X, Y = images(0), images(1)


class TestReconstruction:
    @pytest.mark.parametrize(("kind", "power"), [("l1", 1), ("mse", 2)])
    def test_error_is_the_mean_on_images_scaled_to_minus_one_and_one(self, kind, power):
        value = Objective(Recipe(reconstruction=kind), "reconstruction")(X, output(Y, {}))
        torch.testing.assert_close(value.total, ((2 * X - 1) - (2 * Y - 1)).abs().pow(power).mean())

    def test_element_means_are_added_and_image_sums_divided_by_the_dimensions(self):
        losses = {"commit": element_mean(0.3, 0.25), "kl": image_sum(50.0, 0.1)}
        value = Objective(Recipe(), "reconstruction")(X, output(Y, losses))
        torch.testing.assert_close(value.terms["commit"], torch.tensor(0.25 * 0.3))
        torch.testing.assert_close(value.terms["kl"], torch.tensor(0.1 * 50 / D))
        torch.testing.assert_close(value.total, torch.stack(list(value.terms.values())).sum())

    def test_equals_the_summed_form_divided_by_the_dimensions(self):
        summed = (2 * (X - Y)).abs().sum() / B + 0.1 * 50
        value = Objective(Recipe(), "reconstruction")(X, output(Y, {"kl": image_sum(50.0, 0.1)}))
        torch.testing.assert_close(value.total, summed / D)

    def test_recipe_overrides_weights_by_name_on_every_level(self):
        losses = {"commit": element_mean(0.3, 0.25)}
        objective = Objective(Recipe(loss_weights={"commit": 2.0}), "reconstruction")
        value = objective(X, output(Y, losses, losses))
        torch.testing.assert_close(value.terms["level0/commit"], torch.tensor(0.6))
        torch.testing.assert_close(value.terms["level1/commit"], torch.tensor(0.6))

    def test_unknown_weight_names_the_losses_there_are(self):
        objective = Objective(Recipe(loss_weights={"comit": 2.0}), "reconstruction")
        with pytest.raises(ParameterError, match=r"'comit', expected one of commit, kl.*Did you mean 'commit'"):
            objective.check_weights(output(Y, {"commit": element_mean(0.3), "kl": image_sum(1.0)}).quantized)
        Objective(Recipe(loss_weights={"kl": 2.0}), "reconstruction").check_weights(
            output(Y, {}, {"kl": image_sum(1.0)}).quantized
        )

    def test_a_loss_may_not_be_called_like_a_term_of_the_objective(self):
        objective = Objective(Recipe(), "reconstruction")
        with pytest.raises(PluginError, match="'reconstruction'"):
            objective(X, output(Y, {"reconstruction": element_mean(1.0)}))


class TestElbo:
    def test_value(self):
        squared = (2 * X - 2 * Y).square().sum(dim=(1, 2, 3)).mean().item()
        value = Objective(Recipe(loss_weights={"entropy": 3.0}), "elbo")(
            X, output(Y, {"distance": image_sum(7.0), "entropy": image_sum(-2.0)})
        )
        assert value.total.item() == pytest.approx(D / 2 * math.log(squared) + 7 - 3 * 2, rel=1e-5)

    def test_gradient_of_the_error_is_that_of_the_mse_times_d_over_2_mse(self):
        """Sanity test S17 of SQ-VAE's adaptive variance."""
        reconstruction = Y.clone().requires_grad_()
        Objective(Recipe(), "elbo")(X, output(reconstruction, {})).total.backward()
        again = Y.clone().requires_grad_()
        squared = (2 * X - 2 * again).square().sum() / B
        squared.backward()
        torch.testing.assert_close(reconstruction.grad, D / (2 * squared.detach()) * again.grad)

    def test_with_perceptual_term_the_direction_is_kept_and_the_scale_is_that_of_a_mean(self):
        def gradients(recipe, perceptual):
            y, nats = Y.clone().requires_grad_(), torch.tensor(40.0, requires_grad=True)
            value = Objective(recipe, "elbo", perceptual)(X, output(y, {"kl": image_sum(nats)}))
            value.total.backward()
            return y.grad, nats.grad

        plain = gradients(Recipe(), None)
        rescaled = gradients(Recipe(lpips_weight=0.5), lambda x, y: y.new_zeros(len(y)))
        variance = (2 * X - 2 * Y).square().mean()
        for of_plain, of_rescaled in zip(plain, rescaled, strict=True):
            torch.testing.assert_close(of_rescaled, of_plain * 2 * variance / D)

    def test_element_means_are_refused(self):
        with pytest.raises(VQBenchError, match=r"'commit'.*element_mean.*image_sum"):
            Objective(Recipe(), "elbo")(X, output(Y, {"commit": element_mean(1.0)}))

    def test_is_computed_in_float32_under_autocast(self):
        def of_products(x, y):
            assert x.dtype == (x @ y).dtype == torch.float32
            return (x @ y).mean(dim=(1, 2, 3))

        objective = Objective(Recipe(lpips_weight=1.0), "elbo", of_products)
        expected = objective(X, output(Y, {})).total
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(objective(X, output(Y, {})).total, expected)


class TestPerceptual:
    def test_distance_of_scaled_images_is_averaged_and_weighted(self):
        def largest(x, y):
            assert x.min() < 0
            return (x - y).abs().amax(dim=(1, 2, 3))

        value = Objective(Recipe(lpips_weight=0.5), "reconstruction", largest)(X, output(Y, {}))
        expected = 0.5 * 2 * (X - Y).abs().amax(dim=(1, 2, 3)).mean()
        torch.testing.assert_close(value.terms["perceptual"], expected)


class TestAdversarialTerm:
    def test_adaptive_weight_is_the_ratio_of_gradient_norms(self):
        layer = nn.Parameter(torch.tensor([1.0, 2.0]))
        error, adversarial = (3 * layer).sum(), (layer * torch.tensor([0.0, 4.0])).sum()
        weight = adaptive_weight(error, adversarial, layer)
        assert weight.item() == pytest.approx(math.sqrt(18) / (4 + 1e-4))
        assert not weight.requires_grad

    def test_adaptive_weight_is_clamped(self):
        layer = nn.Parameter(torch.ones(1))
        assert adaptive_weight(1e9 * layer.sum(), 0 * layer.sum(), layer).item() == 1e4

    @pytest.mark.parametrize("adaptive", [True, False])
    def test_term(self, adaptive):
        layer = nn.Parameter(torch.full((1,), 0.5))
        recipe = Recipe(gan_weight=0.75, gan_adaptive=adaptive, reconstruction="mse")
        value = Objective(recipe, "reconstruction")(
            X, output(Y * layer, {}), adversary=lambda y: -y.mean(), last_layer=layer
        )
        scale = 1.0
        if adaptive:
            of_error = ((2 * X - 2 * Y * 0.5) * -2 * 2 * Y).mean().abs()
            scale = of_error / ((2 * Y).mean() + 1e-4)
        torch.testing.assert_close(value.terms["adversarial"], -0.75 * scale * (2 * Y * 0.5 - 1).mean())


class TestAdversary:
    def test_published_discriminator_for_256_pixels(self):
        with torch.device("meta"):
            discriminator = PatchDiscriminator.for_images(256).eval()
            assert discriminator(torch.empty(1, 3, 256, 256)).shape == (1, 1, 2, 2)
        assert sum(p.numel() for p in discriminator.parameters()) == 95_892_961

    @pytest.mark.parametrize(("size", "strided"), [(8, 1), (16, 2), (32, 3), (48, 3), (64, 4), (128, 5)])
    def test_fewer_layers_for_smaller_images(self, size, strided):
        with torch.device("meta"):
            discriminator = PatchDiscriminator.for_images(size).eval()
            logits = discriminator(torch.empty(1, 3, size, size))
        convs = [m for m in discriminator if isinstance(m, nn.Conv2d)]
        assert [c.stride for c in convs].count((2, 2)) == strided
        assert logits.shape[1] == 1
        assert logits.numel() >= 4

    def test_too_small_images(self):
        with pytest.raises(ParameterError, match="at least 8"):
            PatchDiscriminator.for_images(4)

    def test_act_norm_standardises_its_first_training_batch_and_keeps_that(self):
        norm = ActNorm(3)
        x = 5 + 2 * torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(norm.eval()(x), x)
        first = norm.train()(x)
        torch.testing.assert_close(first.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(first.std(dim=(0, 2, 3)), torch.ones(3))
        torch.testing.assert_close(norm(x + 1) - first, norm.scale.expand_as(x))

    def test_hinge_loss(self):
        real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
        assert hinge_discriminator_loss(real, fake).item() == pytest.approx(0.5 * (0.25 + 1.0))

    def test_it_learns_to_tell_originals_and_leaves_the_generators_gradient_alone(self):
        adversary = Adversary(Recipe(steps=30, gan_weight=1.0, gan_lr=1e-3), 8, 0, CPU)
        autocast = torch.autocast("cpu", enabled=False)
        fakes = (X * 0.2).requires_grad_()
        losses = [adversary.update(X, fakes, step, autocast).item() for step in range(30)]
        assert losses[-1] < 0.5 * losses[0]
        assert fakes.grad is None

        before = [p.grad.clone() for p in adversary.discriminator.parameters()]
        adversary.generator_loss(fakes * 2 - 1).backward()
        assert fakes.grad.abs().sum() > 0
        assert all(torch.equal(a, p.grad) for a, p in zip(before, adversary.discriminator.parameters(), strict=True))
        assert all(p.requires_grad for p in adversary.discriminator.parameters())


class TestSchedule:
    def test_warm_up_then_cosine(self):
        recipe = Recipe(steps=12, warmup_steps=4, final_lr_ratio=0.1)
        factors = [lr_factor(recipe, step) for step in range(12)]
        assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
        assert factors[8] == pytest.approx(0.55)  # half-way down
        assert lr_factor(recipe, 12) == pytest.approx(0.1)
        assert factors[4:] == sorted(factors[4:], reverse=True)

    def test_constant(self):
        recipe = Recipe(steps=5, schedule="constant")
        assert {lr_factor(recipe, step) for step in range(5)} == {1.0}

    def test_groups_have_their_own_rates_and_decay(self):
        a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
        recipe = Recipe(lr=0.1, weight_decay=0.5, schedule="constant", betas=[0.5, 0.6])
        optimizer = make_optimizer(
            [
                ParameterGroup(parameters=[a], weight_decay=True),
                ParameterGroup(parameters=[b], lr_scale=10.0),
            ],
            recipe,
        )
        set_learning_rate(optimizer, recipe, 0)
        assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [(0.1, 0.5), (1.0, 0.0)]
        assert isinstance(optimizer, torch.optim.AdamW)
        (a + b).sum().backward()
        optimizer.step()
        # Adam's first step is lr·sign(gradient); decoupled decay takes lr·decay·value beforehand
        assert a.item() == pytest.approx(1 - 0.1 * 0.5 - 0.1)
        assert b.item() == pytest.approx(1 - 1.0, abs=1e-6)


def test_weight_average_follows_its_formula():
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    average = WeightAverage(module, decay=0.25)
    expected = 0.0
    for step, weight in enumerate([1.0, 3.0, -2.0], start=1):
        module.weight.data.fill_(weight)
        average.update(module, step)
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    average.copy_to(module)
    assert module.weight.item() == pytest.approx(expected)
