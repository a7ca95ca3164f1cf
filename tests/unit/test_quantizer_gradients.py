"""The pieces that quantizers' gradients are made of: straight through, and along the unit sphere."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import straight_through
from vqbench_plugins.quantizers.sphere import on_sphere


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_straight_through_gives_the_value_exactly_and_a_gradient_to_the_latents_alone() -> None:
    latents, value = draw(2, 3, 4).mul(1e4).requires_grad_(), draw(2, 3, 4, seed=1).requires_grad_()
    passed = straight_through(latents, value)
    assert torch.equal(passed, value)
    weights = draw(2, 3, 4, seed=2)
    (passed * weights).sum().backward()
    assert latents.grad is not None
    assert torch.equal(latents.grad, weights)
    assert value.grad is None


@pytest.mark.parametrize("slope", [0.25, torch.tensor([1.0, 2.0, 4.0])[:, None]])
def test_a_slope_scales_the_gradient_and_leaves_the_value(slope: float | Tensor) -> None:
    latents, value, weights = draw(2, 3, 4).requires_grad_(), draw(2, 3, 4, seed=1), draw(2, 3, 4, seed=2)
    passed = straight_through(latents, value, slope)
    assert torch.equal(passed, value)
    (grad,) = torch.autograd.grad((passed * weights).sum(), latents)
    assert torch.equal(grad, weights * slope)


@pytest.mark.parametrize("dim", [1, -1])
@pytest.mark.parametrize("scale", [1.0, 1e-13, 0.0])
def test_on_the_sphere_value_and_gradient_are_those_of_a_normalisation(dim: int, scale: float) -> None:
    vectors, weights = (scale * draw(2, 5, 3, 4)).double().requires_grad_(), draw(2, 5, 3, 4, seed=1).double()
    expected = F.normalize(vectors, dim=dim)
    (expected_grad,) = torch.autograd.grad((expected * weights).sum(), vectors)
    unit = on_sphere(vectors, dim=dim)
    (grad,) = torch.autograd.grad((unit * weights).sum(), vectors)
    torch.testing.assert_close(unit, expected)
    torch.testing.assert_close(grad, expected_grad)
