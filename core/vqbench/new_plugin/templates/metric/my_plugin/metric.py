"""A metric that has a value for each image."""

from torch import Tensor

from vqbench import EvaluationBatch, PerImageMetric


class MyComponent(PerImageMetric):
    """Mean over images of the largest absolute difference of 8-bit RGB, 0 … 255."""

    def per_image(self, batch: EvaluationBatch) -> Tensor:  # (B,)
        difference = batch.originals_uint8.int() - batch.reconstructions_uint8.int()  # (B, 3, H, W)
        return difference.abs().flatten(1).amax(dim=1).float()
