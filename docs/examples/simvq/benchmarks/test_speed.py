"""How fast it is; CI compares base and head on one machine."""

import pytest
import torch

from vqbench_simvq.quantizer import SimVQ

LATENTS = torch.randn(16, 4, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_quantize(benchmark):
    quantizer = SimVQ(codebook_size=1024, dim=4).eval()
    benchmark(quantizer, LATENTS)


def test_train(benchmark):
    quantizer = SimVQ(codebook_size=1024, dim=4)
    latents = LATENTS.clone().requires_grad_()

    def step():
        out = quantizer(latents)
        (out.value.square().mean() + sum(loss.value for loss in out.losses.values())).backward()

    benchmark(step)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
