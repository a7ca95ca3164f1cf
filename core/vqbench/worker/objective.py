"""The training loss: one objective for methods that minimise an error and for methods that maximise an ELBO."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vqbench.errors import ParameterError, PluginError, VQBenchError, closest
from vqbench.interfaces import Loss, Quantized
from vqbench.plan import Recipe
from vqbench.worker.perceptual import Perceptual
from vqbench.worker.tokenizer import TokenizerOutput

__all__ = ["Objective", "ObjectiveValue", "adaptive_weight", "scaled"]

RESERVED = ("total", "reconstruction", "perceptual", "adversarial", "discriminator")


@dataclass(frozen=True, kw_only=True)
class ObjectiveValue:
    """The loss of one batch: the scalar to minimise, and the detached terms that add up to it, by name."""

    total: Tensor
    terms: dict[str, Tensor]


class Objective:
    """Assembles reconstruction, quantizer, perceptual and adversarial terms in one unit.

    With x and x̂ scaled to [-1, 1], D = 3·H·W, w a loss's own weight or ``recipe.loss_weights``'s, and
    mse_sum the squared error summed over an image, mean over the batch:

    ``"reconstruction"``: mean |x - x̂| or mean (x - x̂)² + Σ w·(element means) + Σ w·(image sums)/D + rest.
    It is the summed negative log-likelihood plus weighted sums, all divided by D.

    ``"elbo"``: D/2·log mse_sum + Σ w·(image sums), in nats per image: the Gaussian likelihood with its
    variance at the optimum (SQ-VAE, arXiv 2205.07547). Where the recipe has a perceptual or adversarial
    weight, the same gradient direction at the scale of a mean error instead:
    mse_mean + 2·sg(σ²)/D·Σ w·(image sums) + rest, with σ² = mse_sum/D.
    ``recipe.reconstruction`` does not apply: the likelihood fixes the squared error. Where quantizers leave
    prefixes (progressive coding, HQ-VAE, arXiv 2401.00365), the first term is Σ w_p·D/2·log mse_sum_p over the
    reconstructions from all of them, each with a variance of its own and none clamped, w_p its level's
    ``prefix_weight``: 1 for the sum, 1 over their number for the mean.

    The rest is ``lpips_weight``·LPIPS + ``gan_weight``·α·(-mean D(x̂)), where α is 1 or
    :func:`adaptive_weight`.

    Args:
        recipe: weights and the kind of reconstruction error.
        kind: ``"reconstruction"`` or ``"elbo"``, as the quantizer declares.
        perceptual: the perceptual distance; needed where ``recipe.lpips_weight`` is positive.
    """

    def __init__(self, recipe: Recipe, kind: str, perceptual: Perceptual | None = None) -> None:
        if kind not in ("reconstruction", "elbo"):
            raise PluginError("There is no such objective", got=repr(kind), expected="reconstruction or elbo")
        assert (perceptual is not None) == (recipe.lpips_weight > 0)
        self.recipe, self.kind, self.perceptual = recipe, kind, perceptual

    def check_weights(self, quantized: Sequence[Quantized]) -> None:
        """See that every name in ``recipe.loss_weights`` is a loss that some quantizer leaves.

        Raises:
            ParameterError: one is not; the message names the losses there are.
        """
        names = sorted({name for q in quantized for name in q.losses})
        for name in self.recipe.loss_weights:
            if name not in names:
                raise ParameterError(
                    "recipe.loss_weights names a loss that the quantizer does not have",
                    got=repr(name),
                    expected=f"one of {', '.join(names)}" if names else "none: it has no losses",
                    hint=closest(name, names),
                )

    def __call__(
        self,
        images: Tensor,
        output: TokenizerOutput,
        *,
        adversary: Callable[[Tensor], Tensor] | None = None,
        last_layer: nn.Parameter | None = None,
    ) -> ObjectiveValue:
        """The loss of a batch of images ``(B, 3, H, W)`` in [0, 1], computed in float32.

        Args:
            images: the originals.
            output: what the tokenizer made of them.
            adversary: the generator's adversarial loss of scaled reconstructions; None before the
                discriminator joins.
            last_layer: the decoder's last weight; needed for an adaptive adversarial weight.

        Raises:
            VQBenchError: an element-mean loss in an ELBO, or prefixes in another objective.
            TensorError: a quantizer's loss is not a scalar.
            PluginError: a quantizer's loss has a name that is the objective's own.
        """
        with torch.autocast(images.device.type, enabled=False):
            originals, reconstructions = scaled(images.float()), scaled(output.reconstructions.float())
            terms = self._error_and_losses(originals, reconstructions, output)
            if self.perceptual is not None:
                distance = self.perceptual(originals, reconstructions).float().mean()
                terms["perceptual"] = self.recipe.lpips_weight * distance
        if adversary is not None:
            term = self.recipe.gan_weight * adversary(reconstructions).float()
            if self.recipe.gan_adaptive:
                assert last_layer is not None
                error = terms["reconstruction"] + terms.get("perceptual", 0.0)
                term = term * adaptive_weight(error, term / self.recipe.gan_weight, last_layer)
            terms["adversarial"] = term
        total = torch.stack(list(terms.values())).sum()
        return ObjectiveValue(total=total, terms={name: term.detach() for name, term in terms.items()})

    def _error_and_losses(
        self, originals: Tensor, reconstructions: Tensor, output: TokenizerOutput
    ) -> dict[str, Tensor]:
        dimensions = originals[0].numel()  # D
        scale: Tensor | float
        if self.kind == "elbo":
            terms, scale = self._likelihood(originals, reconstructions, output)
        else:
            if output.prefixes:
                raise VQBenchError(
                    "Progressive coding belongs to an ELBO",
                    got=f"{len(output.prefixes)} prefixes in the objective {self.kind!r}",
                    hint="The quantizer's plugin should leave no prefixes, or declare another objective.",
                )
            difference = originals - reconstructions
            error = difference.abs() if self.recipe.reconstruction == "l1" else difference.square()
            terms = {"reconstruction": error.mean()}
            scale = 1 / dimensions
        for key, name, loss in _named_losses(output.quantized):
            if self.kind == "elbo" and loss.unit != "image_sum":
                raise VQBenchError(
                    f"An ELBO adds nats per image; the loss {name!r} is in another unit",
                    got=loss.unit,
                    expected="image_sum",
                    hint="The quantizer's plugin should sum it over positions, or declare another objective.",
                )
            weight = self.recipe.loss_weights.get(name, loss.weight)
            value = weight * loss.value.float()
            terms[key] = value * scale if loss.unit == "image_sum" else value
        return terms

    def _likelihood(
        self, originals: Tensor, reconstructions: Tensor, output: TokenizerOutput
    ) -> tuple[dict[str, Tensor], Tensor | float]:
        """The ELBO's term of the reconstruction, and the factor on the quantizers' nats."""
        dimensions = originals[0].numel()  # D
        weights = [q.prefix_weight for q in output.quantized for _ in q.prefixes]
        if not output.quantized[-1].prefixes:  # then the whole is no prefix
            weights.append(1.0)
        decoded = [scaled(prefix.float()) for prefix in output.prefixes] + [reconstructions]
        squared_sums = [_squared_sum(originals, images) for images in decoded]
        if not (self.recipe.lpips_weight or self.recipe.gan_weight):
            nats = [w * dimensions / 2 * total.log() for w, total in zip(weights, squared_sums, strict=True)]
            return {"reconstruction": torch.stack(nats).sum()}, 1.0
        variances = [total / dimensions for total in squared_sums]  # σ²
        whole = variances[-1].detach()  # all of the gradient is scaled by 2σ²/D
        scales = [whole / v.detach() for v in variances[:-1]] + [torch.ones_like(whole)]
        errors = [w * s * v for w, s, v in zip(weights, scales, variances, strict=True)]
        return {"reconstruction": torch.stack(errors).sum()}, 2 * whole / dimensions


def _squared_sum(originals: Tensor, reconstructions: Tensor) -> Tensor:
    """The squared error summed over an image, mean over the batch of all processes (log of the mean, not mean of logs).

    Its gradient is that of this process's share: averaged over processes, as DistributedDataParallel does with
    gradients, it is that of the whole.
    """
    own = (originals - reconstructions).square().flatten(1).sum(dim=1).mean()
    if not (dist.is_available() and dist.is_initialized()):
        return own
    mean = own.detach().clone()
    dist.all_reduce(mean)
    return own + (mean / dist.get_world_size() - own.detach())


def scaled(images: Tensor) -> Tensor:
    """Images in [0, 1] scaled to [-1, 1]."""
    return images * 2 - 1


def adaptive_weight(error: Tensor, adversarial: Tensor, last_layer: nn.Parameter) -> Tensor:
    """``clamp(‖∂error/∂W‖ / (‖∂adversarial/∂W‖ + 1e-4), 0, 1e4)`` at the decoder's last weight W, detached.

    It gives both terms gradients of one size there (VQGAN, arXiv 2012.09841, eq. 7).
    """
    of_error = torch.autograd.grad(error, last_layer, retain_graph=True)[0]
    of_adversarial = torch.autograd.grad(adversarial, last_layer, retain_graph=True)[0]
    ratio: Tensor = of_error.norm() / (of_adversarial.norm() + 1e-4)
    return ratio.clamp(0, 1e4).detach()


def _named_losses(quantized: Sequence[Quantized]) -> Iterator[tuple[str, str, Loss]]:
    """Each loss with its key among the terms (prefixed by its level where there are several) and its name."""
    for level, of_level in enumerate(quantized):
        for name, loss in of_level.losses.items():
            if name in RESERVED:
                raise PluginError(f"A quantizer's loss may not be called {name!r}, which is the objective's own")
            yield (name if len(quantized) == 1 else f"level{level}/{name}"), name, loss
