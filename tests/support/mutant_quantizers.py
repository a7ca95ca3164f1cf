"""What was got wrong in real libraries or is easily got wrong: :mod:`sound_quantizers` with one bug in each.

The docstring of a mutant says which.
"""

from __future__ import annotations

import torch
from sound_quantizers import Bits, Lookup, Residual
from torch.nn import functional

from vqbench import Loss, Quantized, Quantizer, straight_through

MUTANTS: dict[str, tuple[type[Quantizer], str]] = {}
"""By class name: the class, and the check that must catch it."""


def caught_by(check):
    def registered(cls):
        MUTANTS[cls.__name__] = cls, check
        return cls

    return registered


@caught_by("axes_are_not_swapped")
class SwappedAxes(Lookup):
    """(B, C, h, w) is reshaped to rows, not permuted."""

    def codes(self, latents):
        batch, _, height, width = latents.shape
        return self.search(latents.reshape(-1, 8)).view(batch, 1, height, width)


@caught_by("axes_are_not_swapped")
class Transposed(Lookup):
    """Codes are laid out as if maps were square: (h, w) as (w, h)."""

    def codes(self, latents):
        return super().codes(latents).transpose(2, 3).reshape(len(latents), 1, *latents.shape[2:])


@caught_by("codes_are_int64_in_range")
class OffByOne(Lookup):
    """Codes count from 1."""

    def codes(self, latents):
        return super().codes(latents) + 1

    def decode(self, codes):
        return super().decode(codes - 1)


@caught_by("codes_are_int64_in_range")
class ShortCodes(Bits):
    """Codes are int32."""

    def pack(self, bits):
        return super().pack(bits).int()


@caught_by("eval_value_is_decode_of_codes")
class SignOfZero(Bits):
    """sign(0) = 0 is the value of a latent that is zero, as it is under ReLU, and no code decodes to 0."""

    def forward(self, latents):
        out = super().forward(latents)
        return out if self.training else Quantized(value=torch.sign(latents), codes=out.codes)


@caught_by("eval_value_is_decode_of_codes")
class StraightThroughInEvaluation(Lookup):
    """The evaluated value is z + (q - z), which rounding keeps from being q."""

    def forward(self, latents):
        out = super().forward(latents)
        return out if self.training else Quantized(value=latents + (out.value - latents), codes=out.codes)


@caught_by("eval_value_is_decode_of_codes")
class OtherBitOrderInDecode(Bits):
    """Packed with the first channel lowest, unpacked with it highest."""

    def unpack(self, codes):
        return super().unpack(codes).unflatten(1, (2, 10)).flip(2).flatten(1, 2)

    def forward(self, latents):
        out = super().forward(latents)
        return out if self.training else Quantized(value=self.signs(latents) * 2.0 - 1, codes=out.codes)


@caught_by("values_follow_the_latents")
class OtherBitOrderThroughout(OtherBitOrderInDecode):
    """The same, and the value is decoded from the codes, so that both agree on the wrong channels."""

    forward = Bits.forward


@caught_by("eval_value_is_decode_of_codes")
class CodesInFloat(Bits):
    """Codes of 30 bits are added up in float32, which has 24."""

    codebook_sizes = (1 << 30,)
    latent_channels = code_channels = 30

    def pack(self, bits):
        return (
            (bits * 2.0 ** torch.arange(30).view(1, 30, 1, 1)).sum(dim=1, keepdim=True).long().clamp(max=(1 << 30) - 1)
        )

    def unpack(self, codes):
        return (codes >> torch.arange(30).view(1, 30, 1, 1)) & 1

    def forward(self, latents):
        out = super().forward(latents)
        return out if self.training else Quantized(value=self.signs(latents) * 2.0 - 1, codes=out.codes)


@caught_by("equal_latents_have_equal_codes")
class TiesByLot(Bits):
    """A latent of zero gets a bit by lot, from a generator of the quantizer's own."""

    def signs(self, latents):
        lot = torch.rand(latents.shape, generator=torch.Generator().manual_seed(0)) < 0.5
        return (latents > 0) | ((latents == 0) & lot)


@caught_by("codes_do_not_depend_on_the_rest_of_the_batch")
class NormalisedByTheBatch(Lookup):
    """Latents are centred by the mean of the batch, in evaluation too."""

    def codes(self, latents):
        return super().codes(latents - latents.mean(dim=(0, 2, 3), keepdim=True))


@caught_by("decode_needs_codes_only")
class DecodesWhatItSaw(Lookup):
    """Codewords are scaled by the last latents' norm, which no code carries."""

    scale = 1.0

    def forward(self, latents):
        self.scale = float(latents.norm(dim=1).mean())
        return super().forward(latents)

    def decode(self, codes):
        return super().decode(codes) * self.scale


@caught_by("builds_as_announced")
class FewerCodes(Lookup):
    """The descriptor says 1024 codewords, the class has 2048: a bit less than the truth."""

    announced_sizes = (1024,)


# --- randomness, state


@caught_by("eval_uses_no_global_randomness")
class GlobalNoise(Lookup):
    """Noise is drawn, and thrown away, in evaluation: everything after it in the run changes."""

    def forward(self, latents):
        torch.rand(1)
        return super().forward(latents)


@caught_by("eval_is_deterministic")
class Dithered(Bits):
    """Noise before the decision, in evaluation too."""

    def signs(self, latents):
        return latents + 0.1 * torch.randn_like(latents) > 0


@caught_by("eval_changes_no_state_and_leaves_no_losses")
class CountsInEvaluation(Lookup):
    """Running counts go on in evaluation."""

    def codes(self, latents):
        codes = super().codes(latents)
        self.count(codes)
        return codes


@caught_by("a_resumed_run_equals_an_uninterrupted_one")
class AdaptsOutsideBuffers(Lookup):
    """What anneals is a plain number that each step changes: a checkpoint does not have it."""

    pressure = 1.0

    def losses(self, latents, value):
        self.pressure *= 1.1
        losses = super().losses(latents, value)
        return losses | {"commitment": Loss(value=self.pressure * losses["commitment"].value, unit="element_mean")}


@caught_by("state_survives_saving")
class ParameterNotRegistered(Lookup):
    """The codebook is a tensor beside the parameters: no checkpoint, optimiser or device has it."""

    def __init__(self):
        super().__init__()
        words = self.codebook.detach().clone().requires_grad_()
        del self.codebook
        self.codebook = words


@caught_by("every_parameter_is_trained")
class ParameterNotListed(Lookup):
    """parameter_groups() forgets the codebook."""

    def parameter_groups(self):
        return []


@caught_by("every_parameter_is_trained")
class WritesToTheCodebook(Lookup):
    """Codewords are moved through .data in the forward pass, behind the backs of the losses that read them."""

    def count(self, codes):
        super().count(codes)
        self.codebook.data.mul_(0.99)


@caught_by("pickles_for_a_spawned_process")
class HoldsALambda(Lookup):
    """A function that has no name in its module is an attribute."""

    def __init__(self):
        super().__init__()
        self.activation = lambda latents: latents


# --- training


@caught_by("gradient_reaches_the_encoder")
class NoStraightThrough(Lookup):
    """The value in training carries the codebook's gradient only."""

    def forward(self, latents):
        out = super().forward(latents)
        return Quantized(value=self.decode(out.codes), codes=out.codes, losses=out.losses)


@caught_by("gradient_reaches_the_encoder")
class DetachedResidual(Residual):
    """The straight-through gradient is that of the last residual, from which the latents were detached."""

    def with_gradient(self, latents, codes):
        first, second = self.decode_stages(codes)
        return first.detach() + straight_through(latents.detach() - first, second)


@caught_by("gradient_reaches_the_encoder")
class DividesByTheNorm(Lookup):
    """A latent of zero is divided by its norm, and the gradient is NaN."""

    def losses(self, latents, value):
        angle = (latents / latents.norm(dim=1, keepdim=True)).sum(dim=1).square().mean()
        return super().losses(latents, value) | {"angle": Loss(value=angle, unit="element_mean")}


@caught_by("losses_do_not_change_when_the_batch_is_repeated")
class SumsOverTheBatch(Lookup):
    """A loss is summed over the batch: twice the images, twice its weight."""

    def losses(self, latents, value):
        losses = super().losses(latents, value)
        total = (value - latents.detach()).square().sum()
        return losses | {"codebook": Loss(value=total, unit="image_sum")}


@caught_by("losses_do_not_change_when_the_batch_is_repeated")
class WrongUnit(Lookup):
    """A mean over elements is declared to be a sum over the image."""

    def losses(self, latents, value):
        mean = (value - latents.detach()).square().mean()
        return super().losses(latents, value) | {"codebook": Loss(value=mean, unit="image_sum")}


@caught_by("losses_are_finite_named_and_in_a_declared_unit")
class OverflowingLoss(Lookup):
    """A loss exponentiates latents without a bound."""

    def losses(self, latents, value):
        return super().losses(latents, value) | {"spread": Loss(value=latents.exp().mean(), unit="element_mean")}


@caught_by("several_levels_and_prefixes")
class PrefixesReversed(Residual):
    """Prefixes go from the whole to the first stage."""

    def prefixes(self, latents, codes, value):
        return tuple(reversed(super().prefixes(latents, codes, value)))


# --- memory, layouts


@caught_by("no_score_matrix")
class AllDistances(Lookup):
    """Distances of all positions and codewords at once."""

    def search(self, rows):
        return torch.cdist(rows, self.codebook.detach()).argmin(dim=1)


@caught_by("no_score_matrix")
class OneHots(Lookup):
    """Codes are counted through a one-hot matrix."""

    def count(self, codes):
        self.counts.mul_(0.9).add_(functional.one_hot(codes.flatten(), 2048).sum(dim=0))


@caught_by("shapes_dtypes_and_devices_are_kept")
class InPlace(Bits):
    """The latents are clamped in place, under the feet of whoever else uses them."""

    def forward(self, latents):
        if not latents.requires_grad:
            latents.clamp_(-1, 1)
        return super().forward(latents)


@caught_by("shapes_dtypes_and_devices_are_kept")
class ViewsOnly(Lookup):
    """Latents are taken to be contiguous."""

    def codes(self, latents):
        return super().codes(latents.view(len(latents), -1).view(latents.shape))


@caught_by("shapes_dtypes_and_devices_are_kept")
class DoubleValues(Bits):
    """Values are float64."""

    def decode(self, codes):
        return super().decode(codes).double()
