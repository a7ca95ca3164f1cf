"""The path through the levels: a running sum of quantized values, upsampled between levels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vqbench import TensorError
from vqbench_plugins.backbones.pixels import from_images, to_images
from vqbench_plugins.backbones.top_down import TopDown


class Product(nn.Module):
    """A fusion whose result can be worked out by hand."""

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        return features * state


def double() -> nn.Upsample:
    return nn.Upsample(scale_factor=2)


def constant(value: float, size: int) -> Tensor:
    return torch.full((1, 1, size, size), value)


def test_the_state_is_the_upsampled_state_plus_the_value() -> None:
    path = TopDown([double(), double()], [Product(), Product()])
    values = [constant(1.0, 1), constant(10.0, 2), constant(100.0, 4)]
    assert torch.equal(path.merge(values), constant(111.0, 4))
    assert torch.equal(path.fuse(1, constant(2.0, 2), values[:1]), constant(2.0, 2))
    assert torch.equal(path.fuse(2, constant(2.0, 4), values[:2]), constant(22.0, 4))


def test_a_single_level_passes_its_value_through() -> None:
    value = torch.rand(1, 2, 3, 3)
    path = TopDown([], [])
    assert path.merge([value]) is value
    assert not list(path.parameters())


@pytest.mark.parametrize(("level", "count"), [(0, 0), (3, 3), (1, 2), (2, 1)])
def test_a_level_without_its_coarser_values_is_refused(level: int, count: int) -> None:
    path = TopDown([double(), double()], [Product(), Product()])
    with pytest.raises(TensorError):
        path.fuse(level, constant(1.0, 2), [constant(1.0, 1)] * count)


def test_a_missing_or_surplus_value_is_refused() -> None:
    path = TopDown([double()], [Product()])
    for count in (0, 1, 3):
        with pytest.raises(TensorError, match="one value per level"):
            path.merge([constant(1.0, 1)] * count)


def test_pixels_go_to_plus_minus_one_and_back_without_clamping() -> None:
    assert from_images(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1.0, 0.0, 1.0]
    assert to_images(torch.tensor([-3.0, 0.0, 1.0])).tolist() == [-1.0, 0.5, 1.0]
    assert to_images(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert to_images(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
