"""How fast it is; CI compares base and head on one machine."""

import torch

from my_plugin.metric import MyComponent
from vqbench import EvaluationBatch


def test_a_batch(benchmark):
    images = torch.randint(0, 256, (32, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = EvaluationBatch(
        originals=images / 255,
        reconstructions=images.flip(0) / 255,
        originals_uint8=images,
        reconstructions_uint8=images.flip(0),
    )
    benchmark(MyComponent().per_image, batch)
