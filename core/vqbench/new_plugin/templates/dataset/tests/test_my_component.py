"""What makes it itself."""

import torch

from my_plugin.dataset import grating


def test_a_grating_has_shades_of_two_colours():
    image = grating(seed=3, size=64).float().flatten(1)  # (3, H·W): its colours lie on a line
    line, beside, _ = torch.linalg.svdvals(image - image.mean(dim=1, keepdim=True))
    assert beside < 0.02 * line  # but for rounding to bytes
