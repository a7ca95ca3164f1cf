"""What stochastic quantizers must do before any training, as tests that imitations fail: sanity tests S2 to S8, S14 and
S17 of the family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.interfaces import Quantized
from vqbench.plan import PlanFilter, Recipe, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.worker.build import build_tokenizer
from vqbench.worker.objective import Objective
from vqbench.worker.tokenizer import Tokenizer, TokenizerOutput
from vqbench.worker.usage import slot_usage
from vqbench_plugins.quantizers.categorical import posterior_logits, relaxed_sample
from vqbench_plugins.quantizers.sq import SQ

CATALOG = Catalog.load(CatalogOptions())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def built(name: str, backbone: str = "unet", **parameters: Any) -> Tokenizer:
    """A registered method on a tiny backbone at 32×32 pixels and stride 8, as a run would build it."""
    document = {
        "schema": 1,
        "name": "behaviour",
        "stride": 8,
        "data": {"name": "photos", "image_size": 32, "params": {"train_images": 4, "test_images": 4}},
        "quantizers": [{"name": f"vqbench/{name}", "params": {"dim": 8} | parameters}],
        "backbones": [{"name": backbone, "preset": "tiny"}],
        "recipe": {"steps": 1, "batch_size": 4},
    }
    [cell] = build_plan(parse_suite(document, source="test"), CATALOG, only=PlanFilter()).cells
    return build_tokenizer(cell.unit, CATALOG)


TWO_LEVELS = {"coarse_codebook_size": 16, "fine_codebook_size": 64}
COUNTERPARTS = {
    "sq_vae": ({"codebook_size": 64}, "vqgan", {"codebook_size": 64}),
    "rsq_vae": ({"codebook_size": 64, "layers": 3}, "rq_vae", {"codebook_size": 64, "depth": 3}),
    "sq_vae_2": (TWO_LEVELS, "vq_vae_2", TWO_LEVELS),
}


@pytest.mark.parametrize("backbone", ["unet", "vit"])
@pytest.mark.parametrize("name", COUNTERPARTS)
def test_a_method_and_its_deterministic_counterpart_start_from_the_same_network(name: str, backbone: str) -> None:
    parameters, counterpart, of_counterpart = COUNTERPARTS[name]
    one, other = built(name, backbone, **parameters), built(counterpart, backbone, **of_counterpart)
    weights, expected = one.backbone.state_dict(), other.backbone.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    assert one.levels == other.levels
    assert [q.codebook_sizes for q in one.quantizers] == [q.codebook_sizes for q in other.quantizers]


def quantizer_of(layers: int = 1, **arguments: Any) -> SQ:
    torch.manual_seed(0)
    return SQ(**({"codebook_size": 7, "dim": 3, "variance_init": 2.0, "layers": layers} | arguments)).train()


def nats(out: Quantized) -> Tensor:
    return torch.stack([loss.weight * loss.value for loss in out.losses.values()]).sum()


class TestReductions:
    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("sq_vae", {}),
            ("rsq_vae", {}),
            ("sq_vae_2", {}),
            ("hq_vae", {"layers": [1, 2, 1], "codebook_sizes": [64, 32, 128]}),
        ],
    )
    def test_entropy_starts_at_positions_times_log_of_the_codebook(self, name: str, parameters: dict[str, Any]) -> None:
        """S2, within 5 %: an entropy averaged over positions, layers or codes is far off."""
        tokenizer = built(name, dim=64, **parameters)
        torch.manual_seed(0)
        for quantizer, out in zip(tokenizer.quantizers, tokenizer(torch.rand(4, 3, 32, 32)).quantized, strict=True):
            positions = out.codes[0, 0].numel()
            uniform = positions * sum(math.log(size) for size in quantizer.codebook_sizes)
            assert out.losses["kld_discrete"].value.item() == pytest.approx(-uniform, rel=0.05)

    @pytest.mark.parametrize("layers", [1, 3])
    def test_losses_are_means_over_images_and_sums_over_positions(self, layers: int) -> None:
        """S3: unchanged by repeating the batch, doubled by tiling the positions."""
        quantizer, latents = quantizer_of(layers), random(2, 3, 4, 4)
        noise = uniforms(layers, 2, 4, 4, 7)

        def losses(latents: Tensor, noise: Tensor) -> list[Tensor]:
            out = quantizer.relax(latents, uniforms=noise.reshape(layers, -1, 7))
            return [out.losses[name].value for name in ("kld_discrete", "kld_continuous")]

        once = losses(latents, noise)
        repeated = losses(torch.cat([latents] * 2), torch.cat([noise] * 2, dim=1))
        tiled = losses(torch.cat([latents] * 2, dim=2), torch.cat([noise] * 2, dim=2))
        torch.testing.assert_close(repeated, once)
        torch.testing.assert_close(tiled, [2 * loss for loss in once])

    @pytest.mark.parametrize("layers", [1, 3])
    @pytest.mark.parametrize("scale", [0.1, 7.0])
    def test_scaling_latents_codewords_and_deviation_together_changes_no_loss(self, layers: int, scale: float) -> None:
        """S4, the gauge freedom: neither log s² in the loss nor a floor nor sampled Gaussian noise survives it."""
        quantizer = quantizer_of(layers, variance_form="product")
        latents, noise = random(2, 3, 4, 4), uniforms(layers, 32, 7)
        before = quantizer.relax(latents, uniforms=noise)
        with torch.no_grad():
            quantizer.codebooks.mul_(scale)
            quantizer.variance.log_scale.add_(2 * math.log(scale))
        after = quantizer.relax(latents * scale, uniforms=noise)
        for name, loss in before.losses.items():
            torch.testing.assert_close(after.losses[name].value, loss.value, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(after.value, scale * before.value, rtol=1e-4, atol=1e-5)

    def test_the_distance_is_weighted_once_with_the_summed_variances(self) -> None:
        """S8: half the inverse of their sum, so it moves with every layer's variance."""
        quantizer = quantizer_of(3, variance_form="product")
        latents, noise = random(2, 3, 4, 4), uniforms(3, 32, 7)
        with torch.no_grad():
            quantizer.variance.log_scale.copy_(torch.tensor([0.5, 2.0, 0.25]).log())
        for doubled in (None, 0, 1, 2):
            if doubled is not None:
                with torch.no_grad():
                    quantizer.variance.log_scale[doubled] += math.log(2)
            out = quantizer.relax(latents, uniforms=noise)
            distance = (latents - out.value).square().sum() / len(latents)
            expected = distance / (2 * quantizer.variance.log_scale.exp().sum())
            torch.testing.assert_close(out.losses["kld_continuous"].value, expected)


class TestSampling:
    def test_sharp_samples_have_the_frequencies_of_the_posterior(self) -> None:
        """S5: the Gumbel-max trick; chi-square of 20 000 draws."""
        draws, codebook, mean = 20_000, random(5, 3), random(1, 3, seed=1)
        precisions = torch.full((draws, 1), 1 / 1.5)
        expected = posterior_logits(mean, precisions[:1], codebook).softmax(dim=1)[0].double() * draws
        torch.manual_seed(0)
        sample = relaxed_sample(mean.expand(draws, 3), precisions, codebook, torch.tensor(1e-4))
        drawn = torch.cdist(sample.values, codebook).argmin(dim=1)
        assert (sample.values - codebook[drawn]).abs().amax(dim=1).median() < 1e-5
        counts = torch.bincount(drawn, minlength=5).double()
        assert ((counts - expected).square() / expected).sum() < 23.5  # p = 1e-4 at 4 degrees of freedom
        uniform = torch.full((5,), draws / 5).double()
        assert ((counts - uniform).square() / uniform).sum() > 100  # the test could have failed

    def test_training_draws_and_evaluation_does_not(self) -> None:
        quantizer, latents = quantizer_of(2), random(2, 3, 4, 4)
        assert not torch.equal(quantizer(latents).value, quantizer(latents).value)
        quantizer.eval()
        assert torch.equal(quantizer(latents).value, quantizer(latents).value)

    @pytest.mark.parametrize("layers", [1, 3])
    def test_samples_are_between_codewords_and_evaluated_values_are_sums_of_rows(self, layers: int) -> None:
        """S6: no straight-through in training; one row of each layer in evaluation."""
        quantizer, latents = quantizer_of(layers), random(2, 3, 4, 4)

        def distance_to_rows(value: Tensor) -> Tensor:
            sums = torch.zeros(1, 3)
            for codebook in quantizer.codebooks.detach():  # every way to take one row of each layer
                sums = (sums[:, None] + codebook).reshape(-1, 3)
            rows = value.permute(0, 2, 3, 1).reshape(-1, 1, 3)
            return (rows - sums).abs().amax(dim=-1).amin(dim=-1)

        with torch.no_grad():
            relaxed = quantizer(latents).value
            assert distance_to_rows(relaxed).median() > 1e-2
            # a sum of convex combinations: inside the sum of the codebooks' bounding boxes
            low, high = (
                bound.sum(dim=0) for bound in (quantizer.codebooks.amin(dim=1), quantizer.codebooks.amax(dim=1))
            )
            assert ((relaxed.movedim(1, -1) >= low) & (relaxed.movedim(1, -1) <= high)).all()
            assert distance_to_rows(quantizer.eval()(latents).value).max() < 1e-6


class TestGradients:
    def test_the_reconstruction_alone_reaches_encoder_variances_and_every_codeword(self) -> None:
        """S7."""
        tokenizer = built("hq_vae", layers=[2, 2], codebook_sizes=[16, 16], variance_init=20.0)
        images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        for _ in range(2):  # what a backbone starts at zero lets gradients through after its first step
            tokenizer.zero_grad()
            (tokenizer(images).reconstructions - images).square().sum().backward()
            with torch.no_grad():
                for parameter in tokenizer.backbone.parameters():
                    if parameter.grad is not None:
                        parameter -= 1e-3 * parameter.grad.sign()
        assert all(p.grad is not None and p.grad.any() for p in tokenizer.backbone.parameters() if p.ndim > 1)
        for quantizer in tokenizer.quantizers:
            assert isinstance(quantizer, SQ)
            assert quantizer.variance.log_scale.grad is not None
            assert (quantizer.variance.log_scale.grad != 0).all()
            assert quantizer.codebooks.grad is not None
            assert (quantizer.codebooks.grad != 0).any(dim=-1).all()

    def test_entropy_of_the_second_layer_reaches_the_first_layers_codebook_and_variance(self) -> None:
        """S7: what the stack's entropy adds to the first layer's own is the second layer's; zero if the residual is
        detached.
        """
        stack, first = quantizer_of(2), quantizer_of(1)
        with torch.no_grad():
            first.codebooks.copy_(stack.codebooks[:1])
        latents, noise = random(2, 3, 4, 4).requires_grad_(), uniforms(2, 32, 7)

        def of_entropy(quantizer: SQ) -> Sequence[Tensor]:
            entropy = quantizer.relax(latents, uniforms=noise[: quantizer.layers]).losses["kld_discrete"].value
            return torch.autograd.grad(entropy, [quantizer.codebooks, quantizer.variance.log_scale])

        for whole, own in zip(of_entropy(stack), of_entropy(first), strict=True):
            assert (whole[0] - own[0]).abs().min() > 1e-4

    def test_reconstruction_gradient_is_that_of_the_error_times_half_the_dimensions_over_it(self) -> None:
        """S17: so that errors scaled by any factor give the same gradient times its inverse."""
        images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        error = random(3, 3, 8, 8)
        gradients = []
        for scale in (1e-3, 1.0):
            reconstructions = (images + scale * error).requires_grad_()
            quantized = Quantized(value=images, codes=torch.zeros(3, 1, 1, 1, dtype=torch.int64))
            output = TokenizerOutput(reconstructions=reconstructions, quantized=(quantized,))
            value = Objective(Recipe(), "elbo")(images, output).total
            [gradient] = torch.autograd.grad(value, reconstructions)
            squared = 4 * (scale * error).square().sum() / 3
            torch.testing.assert_close(value, 192 / 2 * squared.log(), rtol=1e-4, atol=1e-3)
            torch.testing.assert_close(gradient, 192 / 2 / squared * 8 * scale * error / 3, rtol=1e-3, atol=1e-3)
            gradients.append(gradient * scale)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_hard_perplexity_is_of_the_whole_sets_histogram() -> None:
    """S14: random codes give K within 2 %, a constant code gives 1."""
    codes = torch.randint(512, (64 * 1024,), generator=torch.Generator().manual_seed(0))
    assert slot_usage(torch.bincount(codes, minlength=512), 512).perplexity == pytest.approx(512, rel=0.02)
    assert slot_usage(torch.bincount(torch.zeros_like(codes), minlength=512), 512).perplexity == 1.0
