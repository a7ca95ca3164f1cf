"""How fast it is; CI compares base and head on one machine."""

import pytest
import torch

from my_plugin.backbone import MyComponent
from vqbench import LevelShape

LEVEL = LevelShape(stride=8, latent_channels=16, code_channels=16)


@torch.no_grad()
@pytest.mark.parametrize("side", ["encode", "decode"])
def test_inference(benchmark, side):
    backbone = MyComponent(64, [LEVEL], width=64, blocks=2).eval()
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    value = torch.rand(8, 16, 8, 8, generator=torch.Generator().manual_seed(1))
    benchmark(backbone.encode, images) if side == "encode" else benchmark(backbone.decode, [value])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
