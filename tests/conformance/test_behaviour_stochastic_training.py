"""What training makes of stochastic quantizers, as tests that imitations fail: sanity tests S9 to S15 of the family.

Toy tokenizers on drawn 8×8 images: directions and signs, no magnitudes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_components import Convs

from vqbench.interfaces import StepClock
from vqbench.plan import Recipe
from vqbench.specs import LevelShape
from vqbench.worker.objective import Objective
from vqbench.worker.optimizer import make_optimizer, set_learning_rate
from vqbench.worker.tokenizer import Tokenizer
from vqbench_plugins.quantizers.sq import SQ

SIZE = 8


def drawn(count: int, seed: int) -> Tensor:
    """Images ``(count, 3, 8, 8)``: a bilinear gradient of four colours with a square of a fifth on it."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 3, 2, 2, generator=generator)
    images = torch.nn.functional.interpolate(corners, size=SIZE, mode="bilinear", align_corners=True)
    top, left = torch.randint(0, 5, (2, count, 1, 1), generator=generator)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    inside = (x >= left) & (x < left + 4) & (y >= top) & (y < top + 4)
    return torch.where(inside[:, None], torch.rand(count, 3, 1, 1, generator=generator), images)


class CutFinest(Convs):
    """A decoder that does not see the finest level."""

    def decode(self, values: Sequence[Tensor]) -> Tensor:
        return super().decode([*values[:-1], torch.zeros_like(values[-1])])


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """On the test images: squared errors with the argmax and with the relaxed codes, statistics of each layer."""

    argmax_error: float
    relaxed_error: float
    layers: list[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A trained tokenizer, and what it was like before and during training (by step)."""

    tokenizer: Tokenizer
    at: Mapping[int, Snapshot]


TEST_IMAGES = drawn(256, seed=1)
STEPS, EARLY = 400, 80
RUNS: dict[str, dict[str, Any]] = {
    "sq": {"layers": [1], "size": 64, "dim": 16, "init": 10.0},
    "rsq": {"layers": [3]},
    "sq_vae_2": {"layers": [1, 1]},
    "hybrid": {"layers": [2, 1]},
    "progressive": {"layers": [2, 1], "prefix_weight": 1.0},
    "cut": {"layers": [1, 1], "cut": True},
}


@torch.no_grad()
def snapshot(tokenizer: Tokenizer) -> Snapshot:
    torch.manual_seed(0)
    relaxed = tokenizer.train()(TEST_IMAGES)
    argmax = tokenizer.eval()(TEST_IMAGES)
    tokenizer.train()
    layers = []
    for quantizer, out in zip(tokenizer.quantizers, relaxed.quantized, strict=True):
        depth = len(quantizer.codebook_sizes)
        for layer in range(depth):
            prefix = f"layer{layer}/" if depth > 1 else ""
            names = ("variance", "posterior_entropy", "information", "perplexity", "soft_perplexity")
            layers.append({name: out.statistics[prefix + name].item() for name in names})
    errors = [(out.reconstructions - TEST_IMAGES).square().mean().item() for out in (argmax, relaxed)]
    return Snapshot(argmax_error=errors[0], relaxed_error=errors[1], layers=layers)


@cache
def trained(name: str) -> Toy:
    def train(
        layers: list[int],
        size: int = 16,
        dim: int = 4,
        init: float = 3.0,
        prefix_weight: float | None = None,
        cut: bool = False,
    ) -> Toy:
        torch.manual_seed(0)
        strides = [2 ** (len(layers) - level) for level in range(len(layers))]
        levels = [LevelShape(stride=stride, latent_channels=dim, code_channels=dim) for stride in strides]
        backbone = (CutFinest if cut else Convs)(SIZE, levels, 16)
        options = {"variance_form": "product", "variance_init": init, "variance_lr_scale": 5.0}
        quantizers = [SQ(size, dim, layers=depth, prefix_weight=prefix_weight, **options) for depth in layers]  # type: ignore[arg-type]
        tokenizer = Tokenizer(backbone, quantizers).train()
        recipe = Recipe(steps=STEPS, lr=5e-3, weight_decay=0.0, warmup_steps=0)
        optimizer, objective = make_optimizer(tokenizer.parameter_groups(), recipe), Objective(recipe, "elbo")
        images, snapshots = drawn(512, seed=0), {}
        for step in range(STEPS):
            if step in (0, EARLY):
                snapshots[step] = snapshot(tokenizer)
            torch.manual_seed(step)
            batch = images[torch.randint(len(images), (32,))]
            tokenizer.on_step(StepClock(step=step, total=STEPS))
            value = objective(batch, tokenizer(batch))
            set_learning_rate(optimizer, recipe, step)
            optimizer.zero_grad()
            torch.autograd.backward(value.total)
            optimizer.step()
        return Toy(tokenizer=tokenizer, at={**snapshots, STEPS: snapshot(tokenizer)})

    return train(**RUNS[name])


class TestTrained:
    @pytest.mark.parametrize("name", ["sq", "rsq", "sq_vae_2", "hybrid"])
    def test_posteriors_of_every_layer_sharpen_and_carry_information(self, name: str) -> None:
        """S9. The variance itself need not fall: it is known only up to the latents' scale."""
        before, after = trained(name).at[0], trained(name).at[STEPS]
        for untrained, layer in zip(before.layers, after.layers, strict=True):
            assert untrained["information"] < 0.1
            assert layer["information"] > 0.2
            assert layer["posterior_entropy"] < untrained["posterior_entropy"] - 0.15
        assert after.argmax_error < before.argmax_error / 2

    def test_a_layer_cut_from_the_decoder_dies(self) -> None:
        """S10: without the reconstruction's pull its variance runs away, its posterior is uniform, its code constant."""
        start = trained("cut").at[0].layers[1]
        live, dead = trained("cut").at[STEPS].layers
        assert dead["variance"] > 5 * start["variance"]
        assert dead["soft_perplexity"] > 0.98 * 16
        assert dead["perplexity"] < 1.5
        assert dead["information"] < 0.01
        assert live["information"] > 0.3
        assert trained("sq_vae_2").at[STEPS].layers[1]["information"] > 0.3  # the same layer where it is decoded

    def test_residuals_shrink_with_depth(self) -> None:
        """S11, in evaluation."""
        tokenizer = trained("rsq").tokenizer.eval()
        with torch.no_grad():
            [latents] = tokenizer.latents(TEST_IMAGES)
        [quantizer] = tokenizer.quantizers
        assert isinstance(quantizer, SQ)
        residual, norms = latents, [latents.norm().item()]
        for codebook, codes in zip(quantizer.codebooks.detach(), quantizer(latents).codes.unbind(1), strict=True):
            residual = residual - codebook[codes].movedim(-1, 1)
            norms.append(residual.norm().item())
        assert norms == sorted(norms, reverse=True)

    def test_progressive_coding_makes_every_prefix_an_image(self) -> None:
        """Errors of the images decoded from 1, 2 and all 3 layers fall; without it nothing holds the first ones to that."""

        def errors(name: str) -> list[float]:
            tokenizer = trained(name).tokenizer.eval()
            with torch.no_grad():
                values = [q.value for q in tokenizer(TEST_IMAGES).quantized]
                coarse, _ = tokenizer.quantizers
                first = coarse.codebooks[0][coarse(tokenizer.latents(TEST_IMAGES)[0]).codes[:, 0]].movedim(-1, 1)
                nothing = torch.zeros_like(values[1])
                decoded = [tokenizer.backbone.decode(v) for v in ([first, nothing], [values[0], nothing], values)]
            return [(images - TEST_IMAGES).square().mean().item() for images in decoded]

        with_it, without = errors("progressive"), errors("hybrid")
        assert with_it == sorted(with_it, reverse=True)
        assert with_it[0] < 0.8 * trained("progressive").at[0].argmax_error
        assert with_it[0] < without[0]
        assert with_it[1] < without[1]

    @pytest.mark.parametrize("name", ["rsq", "sq_vae_2", "hybrid"])
    def test_codes_alone_give_the_evaluated_reconstruction(self, name: str) -> None:
        """S12, bit for bit."""
        tokenizer = trained(name).tokenizer.eval()
        with torch.no_grad():
            output = tokenizer(TEST_IMAGES)
            assert torch.equal(tokenizer.decode(tokenizer.encode(TEST_IMAGES)), output.reconstructions)
            assert all(not q.losses and not q.prefixes for q in output.quantized)

    @pytest.mark.parametrize("name", ["rsq", "sq_vae_2", "hybrid"])
    def test_the_decoder_uses_every_layer(self, name: str) -> None:
        """S13: random codes in place of one layer's make the error larger."""
        tokenizer = trained(name).tokenizer.eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            codes = tokenizer.encode(TEST_IMAGES)
            error = (tokenizer.decode(codes) - TEST_IMAGES).square().mean()
            for level, quantizer in enumerate(tokenizer.quantizers):
                for layer, size in enumerate(quantizer.codebook_sizes):
                    ablated = [of_level.clone() for of_level in codes]
                    ablated[level][:, layer] = torch.randint(size, codes[level][:, layer].shape, generator=generator)
                    assert (tokenizer.decode(ablated) - TEST_IMAGES).square().mean() > 1.2 * error

    def test_without_the_cut_levels_codes_nothing_changes(self) -> None:
        """The ablation of S13 on a layer that is known to be dead."""
        tokenizer = trained("cut").tokenizer.eval()
        with torch.no_grad():
            codes = tokenizer.encode(TEST_IMAGES)
            changed = [codes[0], (codes[1] + 1) % 16]
            assert torch.equal(tokenizer.decode(codes), tokenizer.decode(changed))

    def test_argmax_comes_close_to_the_relaxed_reconstruction(self) -> None:
        """S15."""
        early, late = trained("sq").at[EARLY], trained("sq").at[STEPS]
        gaps = [abs(at.argmax_error - at.relaxed_error) for at in (early, late)]
        assert gaps[1] < gaps[0] / 2
        assert gaps[1] < 0.2 * late.relaxed_error
