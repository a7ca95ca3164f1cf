"""What makes it itself."""

import torch

from vqbench_simvq.quantizer import SimVQ


def test_one_latent_moves_every_codeword_and_not_the_frozen_table():
    torch.manual_seed(0)
    quantizer = SimVQ(codebook_size=64, dim=8)
    codebook, frozen = quantizer.codebook().detach(), quantizer.frozen.clone()
    optimizer = torch.optim.SGD(quantizer.parameters(), lr=1.0)
    quantizer(torch.randn(1, 8, 1, 1)).losses["codebook"].value.backward()
    optimizer.step()
    assert (quantizer.codebook() != codebook).any(dim=1).all()
    assert torch.equal(quantizer.frozen, frozen)
