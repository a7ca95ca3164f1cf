"""The discriminator of the GAN term."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from vqbench.errors import ParameterError
from vqbench.interfaces import ParameterGroup
from vqbench.plan import Recipe
from vqbench.seeds import derive_seed
from vqbench.worker.objective import scaled
from vqbench.worker.optimizer import make_optimizer, set_learning_rate

__all__ = ["ActNorm", "Adversary", "PatchDiscriminator", "hinge_discriminator_loss"]


class ActNorm(nn.Module):
    """Per-channel ``scale · (x + shift)``, both learned; the first training batch sets them to standardise
    it.

    Glow (arXiv 1807.03039), as PatchGAN discriminators use it in place of BatchNorm: the statistics of fakes
    and of originals, which come in different batches, do not mix.
    """

    initialized: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.register_buffer("initialized", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.initialized:
            with torch.no_grad():
                std, mean = torch.std_mean(x.float(), dim=(0, 2, 3), keepdim=True)
                self.shift.copy_(-mean)
                self.scale.copy_(1 / (std + 1e-6))
                self.initialized.fill_(True)
        return self.scale * (x + self.shift)


class PatchDiscriminator(nn.Sequential):
    """PatchGAN: logits of overlapping patches ``(B, 1, h, w)`` from images scaled to [-1, 1] (pix2pix, arXiv
    1611.07004).

    4×4 convs with LeakyReLU(0.2) and :class:`ActNorm`: ``layers`` of stride 2, one of stride 1 and the
    logits. Channels double from ``width`` up to 8 times it. Weights are drawn from N(0, 0.02).

    Args:
        layers: convs of stride 2.
        width: channels after the first of them.
    """

    def __init__(self, layers: int, width: int) -> None:
        channels = [width * min(2**i, 8) for i in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for i, (before, after) in enumerate(pairwise(channels), start=1):
            stride = 2 if i < layers else 1
            blocks += [
                nn.Conv2d(before, after, 4, stride=stride, padding=1),
                ActNorm(after),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*blocks, nn.Conv2d(channels[-1], 1, 4, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)

    @classmethod
    def for_images(cls, image_size: int) -> PatchDiscriminator:
        """The discriminator for an image size: strided down to 4×4, 160 channels from 128 pixels on and 64
        below.

        At 256 and 128 pixels it has the published 6 and 5 layers.

        Raises:
            ParameterError: the images are smaller than 8×8.
        """
        if image_size < 8:
            raise ParameterError(
                "recipe.gan_weight: the discriminator needs larger images",
                got=image_size,
                expected="at least 8 pixels",
            )
        return cls(layers=int(math.log2(image_size)) - 2, width=160 if image_size >= 128 else 64)


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``½·(mean relu(1 - D(x)) + mean relu(1 + D(x̂)))``."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


class Adversary:
    """A discriminator with its optimiser.

    It is updated in every step from ``recipe.gan_start`` on, on the batch that the tokenizer has just been
    updated on. (The published GQ and VQGAN recipes that alternate mini-batches between the two show each
    network half the data instead.)

    Args:
        recipe: learning rate, betas and clipping; no weight decay.
        image_size: in pixels.
        seed: the run's seed; the initial weights derive from it.
        device: where it runs.
    """

    def __init__(self, recipe: Recipe, image_size: int, seed: int, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(seed, "init", "discriminator"))
            discriminator = PatchDiscriminator.for_images(image_size)
        self.recipe = recipe
        self.discriminator = discriminator.to(device).train()
        self._lr = recipe.lr if recipe.gan_lr is None else recipe.gan_lr
        groups = [ParameterGroup(parameters=list(discriminator.parameters()))]
        self.optimizer = make_optimizer(groups, recipe)

    def generator_loss(self, reconstructions: Tensor) -> Tensor:
        """``-mean D(x̂)`` of scaled reconstructions; differentiable in them, not in the discriminator."""
        self.discriminator.requires_grad_(False)
        loss: Tensor = -self.discriminator(reconstructions).float().mean()
        self.discriminator.requires_grad_(True)
        return loss

    def update(self, images: Tensor, reconstructions: Tensor, step: int, autocast: torch.autocast) -> Tensor:
        """One optimiser step on images and reconstructions in [0, 1]; returns the detached loss before it."""
        set_learning_rate(self.optimizer, self.recipe, step, lr=self._lr)
        with autocast:
            real = self.discriminator(scaled(images)).float()
            fake = self.discriminator(scaled(reconstructions.detach())).float()
        loss = hinge_discriminator_loss(real, fake)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.recipe.gradient_clip is not None:
            clip_grad_norm_(self.discriminator.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        return loss.detach()
