"""What makes it itself, by numbers that were worked out by hand."""

import torch

from my_plugin.metric import MyComponent
from vqbench import EvaluationBatch


def test_it_is_the_mean_over_images_of_their_largest_error():
    originals = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    reconstructions = originals.clone()
    reconstructions[0, 1, 2, 3], reconstructions[1, 0, 0, 0], reconstructions[1, 0, 0, 1] = 10, 30, 20
    metric = MyComponent()
    metric.update(
        EvaluationBatch(
            originals=originals / 255,
            reconstructions=reconstructions / 255,
            originals_uint8=originals,
            reconstructions_uint8=reconstructions,
        )
    )
    measured = metric.compute()
    assert (measured.value, measured.n) == (20.0, 2)
