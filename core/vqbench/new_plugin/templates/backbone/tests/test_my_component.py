"""What makes it itself."""

import torch

from my_plugin.backbone import MyComponent
from vqbench import LevelShape

COARSE = LevelShape(stride=8, latent_channels=3, code_channels=2)
FINE = LevelShape(stride=4, latent_channels=5, code_channels=4)


def test_without_blocks_a_patch_sees_its_own_pixels_only():
    backbone = MyComponent(16, [FINE], width=8, blocks=0).eval()
    images = torch.rand(1, 3, 16, 16)
    changed = images.clone()
    changed[..., :4, 8:12] = 0  # row 0, column 2 of the patches
    [before], [after] = backbone.encode(images), backbone.encode(changed)
    assert (before != after).any(dim=1)[0].nonzero().tolist() == [[0, 2]]


def test_a_finer_level_sees_the_values_of_the_coarser_one():
    backbone = MyComponent(16, [COARSE, FINE], width=8, blocks=1).eval()
    features = backbone.encode(torch.rand(1, 3, 16, 16))
    first, second = (backbone.fuse(1, features[1], [torch.full((1, 2, 2, 2), value)]) for value in (0.0, 1.0))
    assert not torch.equal(first, second)
