"""SimVQ: a frozen codebook, moved as a whole by one linear layer (Zhu et al., arXiv 2411.02038)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqbench import Loss, Quantized, Quantizer, straight_through
from vqbench.ops import nearest_codeword


class SimVQ(Quantizer):
    """The nearest row of C·W: C is Gaussian and stays as it started, W is learned.

    Losses, with sg the stop-gradient: `commitment` = mean (z - sg q)², which moves the encoder, weighted with beta,
    and `codebook` = mean (sg z - q)², which moves W and with it every codeword, chosen or not.

    Args:
        codebook_size: K.
        dim: d, channels of a codeword.
        beta: weight of the commitment loss.
        bias: whether a learned vector is added to C·W.
    """

    def __init__(self, codebook_size: int, dim: int, beta: float = 0.25, bias: bool = False) -> None:
        super().__init__()
        self.latent_channels = self.code_channels = dim
        self.codebook_sizes = (codebook_size,)
        self.beta = beta
        self.register_buffer("frozen", torch.randn(codebook_size, dim) * dim**-0.5)  # C
        self.basis = nn.Linear(dim, dim, bias=bias)  # its weight is W transposed

    def codebook(self) -> Tensor:
        """The codewords, C·W: `(K, d)`."""
        return self.basis(self.frozen)

    def forward(self, latents: Tensor) -> Quantized:  # (B, d, h, w), float32
        codebook = self.codebook()
        codes = nearest_codeword(latents.movedim(1, -1), codebook)[:, None]  # one token per position: (B, T = 1, h, w)
        words = look_up(codes, codebook)
        if not self.training:
            return Quantized(value=words, codes=codes)
        losses = {
            "commitment": Loss(value=F.mse_loss(latents, words.detach()), unit="element_mean", weight=self.beta),
            "codebook": Loss(value=F.mse_loss(words, latents.detach()), unit="element_mean"),
        }
        return Quantized(value=straight_through(latents, words), codes=codes, losses=losses)

    def decode(self, codes: Tensor) -> Tensor:  # (B, 1, h, w) to (B, d, h, w), from the codes alone
        return look_up(codes, self.codebook())


def look_up(codes: Tensor, codebook: Tensor) -> Tensor:
    """Codewords `(B, d, h, w)` of codes `(B, 1, h, w)`."""
    return F.embedding(codes[:, 0], codebook).movedim(-1, 1).contiguous()
