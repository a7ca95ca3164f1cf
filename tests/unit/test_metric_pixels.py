"""From decoded images to 8-bit images."""

from __future__ import annotations

import pytest
import torch

from vqbench.errors import TensorError
from vqbench.worker.pixels import evaluation_batch, to_uint8


def test_every_level_survives_the_way_to_float_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(levels.float() / 255), levels)
    assert torch.equal(to_uint8(levels.double() / 255), levels)


def test_values_are_rounded_to_the_nearest_level_and_not_truncated() -> None:
    images = torch.tensor([0.49, 0.51, 1.4999, 1.5001, 254.4, 254.6]) / 255
    assert to_uint8(images).tolist() == [0, 1, 1, 2, 254, 255]


def test_a_tie_goes_to_the_even_level() -> None:
    assert to_uint8(torch.tensor([0.5])).item() == 128  # 127.5, exactly


def test_values_outside_0_to_1_are_clamped() -> None:
    assert to_uint8(torch.tensor([-3.0, -1e-3, 1.001, 7.0])).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    images = torch.zeros(1, 3, 2, 2)
    images[0, 0, 0, 0] = value
    with pytest.raises(TensorError, match="1 of 12"):
        to_uint8(images)


def test_a_batch_holds_the_images_in_both_domains() -> None:
    originals, reconstructions = torch.rand(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    batch = evaluation_batch(originals, reconstructions.bfloat16())
    assert torch.equal(batch.originals, originals)
    assert torch.equal(batch.reconstructions, reconstructions.bfloat16().float())  # not clamped
    assert torch.equal(batch.originals_uint8, to_uint8(originals))
    assert torch.equal(batch.reconstructions_uint8, to_uint8(reconstructions.bfloat16()))


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(TensorError, match="original"):
        evaluation_batch(torch.rand(2, 3, 4, 4), torch.rand(1, 3, 4, 4))
    with pytest.raises(TensorError, match="RGB"):
        evaluation_batch(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4))
