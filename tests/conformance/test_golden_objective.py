"""The training objective against vectors recorded from the authors of Gaussian quantization.

Theirs is a negative log-likelihood summed over an image, with a trained log scale s:
``L = D·(e^-s·r + s) + d_weight·g + w·kl``, where r is the mean error, D = 3·H·W and g the adversarial loss. Ours has
s = 0 (a unit scale) and everything divided by D: ``r + gan_weight·α·g + w·kl/D``. So for any s
``L = D·e^-s·(ours without kl) + D·s + D·(ours of kl)``, and their adaptive weight is D·e^-s·gan_weight·α.
Their feature alignment (`vf`) is not part of the suite: of that case all terms but this one are compared.
"""

from __future__ import annotations

import golden
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqbench.interfaces import Loss, Quantized, no_codes
from vqbench.plan import Recipe
from vqbench.worker.adversary import Adversary, hinge_discriminator_loss
from vqbench.worker.objective import Objective, ObjectiveValue, adaptive_weight
from vqbench.worker.tokenizer import TokenizerOutput

GENERATOR = golden.names("objective.pre_disc", "objective.post_disc", "objective.post_disc_vf")
ACTIVE = golden.names("objective.post_disc", "objective.post_disc_vf")


class HalfSquaredError(nn.Module):
    """The stand-in for the perceptual distance that the vectors were recorded with."""

    def forward(self, originals: Tensor, reconstructions: Tensor) -> Tensor:
        return 0.5 * (originals - reconstructions).square().mean(dim=(1, 2, 3), keepdim=True)


class Setup:
    """One recorded step: stand-in nets with the recorded weights around the suite's own objective."""

    def __init__(self, name: str) -> None:
        self.case = case = golden.case(name)
        p = case.parameters
        self.last_layer = nn.Parameter(case.tensor("W_last"))
        self.originals = case.tensor("x")  # in [-1, 1]
        hidden = F.conv2d(case.tensor("feat"), case.tensor("W_enc"))
        self.reconstructions = F.conv2d(hidden, self.last_layer)
        self.dimensions = self.originals[0].numel()  # D
        self.log_scale = float(case["logvar"])  # s
        self.recipe = Recipe(
            gan_weight=p["disc_weight"], lpips_weight=p["perceptual_weight"], gradient_clip=None, gan_adaptive=True
        )
        self.adversary = Adversary(self.recipe, self.originals.shape[-1], seed=0, device=torch.device("cpu"))
        discriminator = nn.Conv2d(3, 1, 4, stride=2, padding=1)
        discriminator.load_state_dict({"weight": case.tensor("disc_w"), "bias": case.tensor("disc_b")})
        self.adversary.discriminator = discriminator  # type: ignore[assignment]

    def objective(self) -> ObjectiveValue:
        p = self.case.parameters
        kl = Loss(value=torch.tensor(p["kl"]), unit="image_sum", weight=p["kl_weight"])
        quantized = Quantized(value=torch.zeros(2, 1, 1, 1), codes=no_codes(torch.zeros(2, 1, 1, 1)), losses={"kl": kl})
        return Objective(self.recipe, "reconstruction", HalfSquaredError())(
            (self.originals + 1) / 2,
            TokenizerOutput(reconstructions=(self.reconstructions + 1) / 2, quantized=(quantized,)),
            adversary=self.adversary.generator_loss if p["D_active"] else None,
            last_layer=self.last_layer,
        )

    @property
    def scale(self) -> float:
        """What theirs is larger by, D·e^-s."""
        return self.dimensions * float(torch.exp(torch.tensor(-self.log_scale)))


@pytest.mark.parametrize("name", GENERATOR)
def test_error_terms_add_up_to_the_recorded_likelihood(name: str) -> None:
    setup = Setup(name)
    terms = setup.objective().terms
    error = terms["reconstruction"] + terms["perceptual"]
    setup.case.assert_close("rec", error)
    setup.case.assert_close("nll", setup.scale * error + setup.dimensions * setup.log_scale)


@pytest.mark.parametrize("name", ACTIVE)
def test_the_adaptive_weight_is_the_recorded_one(name: str) -> None:
    setup = Setup(name)
    adversarial = setup.adversary.generator_loss(setup.reconstructions)
    setup.case.assert_close("g_loss", adversarial)
    difference = setup.originals - setup.reconstructions
    error = difference.abs().mean() + HalfSquaredError()(setup.originals, setup.reconstructions).mean()
    weight = setup.recipe.gan_weight * adaptive_weight(error, adversarial, setup.last_layer)
    setup.case.assert_close("d_weight", setup.scale * weight)
    setup.case.assert_close("d_weight", setup.scale * setup.objective().terms["adversarial"] / adversarial.detach())


@pytest.mark.parametrize("name", golden.names("objective.pre_disc", "objective.post_disc"))
def test_the_whole_loss_and_its_gradient_are_the_recorded_ones_up_to_the_stated_scale(name: str) -> None:
    setup = Setup(name)
    value = setup.objective()
    kl = value.terms["kl"]
    theirs = setup.scale * (value.total - kl) + setup.dimensions * (setup.log_scale + kl)
    setup.case.assert_close("loss", theirs)
    (gradient,) = torch.autograd.grad(value.total, setup.last_layer)
    setup.case.assert_close("grad_W_last_of_loss", setup.scale * gradient)


def test_before_the_discriminator_starts_there_is_no_adversarial_term() -> None:
    setup = Setup("objective_base_pre_disc")
    assert "adversarial" not in setup.objective().terms
    setup.case.assert_close("d_weight", 0.0)


@pytest.mark.parametrize("name", golden.names("objective.disc_pre", "objective.disc_post"))
def test_the_discriminator_sees_what_it_saw_in_the_recorded_step(name: str) -> None:
    setup = Setup(name)
    for field, images in (("logits_real", setup.originals), ("logits_fake", setup.reconstructions.detach())):
        setup.case.assert_close(field, setup.adversary.discriminator(images).mean())


def test_a_step_of_the_discriminator_has_the_recorded_loss() -> None:
    """Before it starts theirs has a loss of zero; ours makes no step then, which the trainer's tests see to."""
    setup = Setup("objective_base_disc_post")
    images, reconstructions = (setup.originals + 1) / 2, (setup.reconstructions + 1) / 2
    autocast = torch.autocast("cpu", enabled=False)
    setup.case.assert_close("loss", setup.adversary.update(images, reconstructions, 0, autocast))


def test_the_hinge_loss_is_the_recorded_one() -> None:
    case = golden.case("disc_loss_3")
    case.assert_close("hinge", hinge_discriminator_loss(case.tensor("real"), case.tensor("fake")))
