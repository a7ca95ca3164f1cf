"""vector-quantize-pytorch's modules with vqbench's interface."""

from abc import abstractmethod

import vector_quantize_pytorch as vqp
from torch import Tensor, nn

from vqbench import Loss, Quantized, Quantizer

__all__ = ["FSQ", "LFQ", "Adapter", "ResidualFSQ", "ResidualVQ", "SimVQ", "VectorQuantize"]


class Adapter(Quantizer):
    """A module of the library, which sees the positions of a map as a sequence ``(B, h·w, C)``.

    What is measured is the library's: its search, its gradients, its loss, as it weighs it itself. That loss comes as one number,
    ``auxiliary``, a mean over elements; a recipe's ``loss_weights.auxiliary`` is a factor on all of it.

    In evaluation the value is what the codes decode to, which is all that whoever has only the codes can get. The module's own
    output differs from it in the last bits, where sums or products are taken in another order.

    Args:
        module: the wrapped one.
        channels: of latent and value.
        codebook_sizes: K of each token.
    """

    def __init__(self, module: nn.Module, channels: int, codebook_sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module
        self.latent_channels = self.code_channels = channels
        self.codebook_sizes = codebook_sizes

    def forward(self, latents: Tensor) -> Quantized:
        value, indices, *loss = self.module(latents.flatten(2).mT)  # loss: none, one, or one of each stage
        shape = latents.shape[-2:]
        codes = indices.long().reshape(len(latents), *shape, -1).movedim(-1, 1).contiguous()
        if not self.training:
            return Quantized(value=self.decode(codes), codes=codes)
        return Quantized(
            value=value.mT.unflatten(2, shape),
            codes=codes,
            losses={"auxiliary": Loss(value=loss[0].sum(), unit="element_mean")} if loss else {},
        )

    def decode(self, codes: Tensor) -> Tensor:
        words = self.look_up(codes.flatten(2).mT)  # (B, h·w, T) to (B, h·w, C), or the tokens' parts of C apart
        return words.flatten(2).mT.unflatten(2, codes.shape[-2:]).contiguous()

    @abstractmethod
    def look_up(self, indices: Tensor) -> Tensor:
        """The module's own way back from indices ``(B, h·w, T)`` to values ``(B, h·w, …)``."""


class VectorQuantize(Adapter):
    """One token per head.

    The library's ``get_output_from_indices`` does not join heads that share a codebook: so its two halves are called here.
    """

    def __init__(self, **arguments: object) -> None:
        module = vqp.VectorQuantize(**arguments)
        super().__init__(module, module.dim, (module.codebook_size,) * module.heads)

    def look_up(self, indices: Tensor) -> Tensor:
        words: Tensor = self.module.project_out(self.module.get_codes_from_indices(indices).flatten(2))
        return words


class ResidualVQ(Adapter):
    """One token per stage; the loss is the sum over stages."""

    def __init__(self, dim: int, **arguments: object) -> None:
        module = vqp.ResidualVQ(dim=dim, **arguments)
        super().__init__(module, dim, module.codebook_sizes)

    def look_up(self, indices: Tensor) -> Tensor:
        return self.module.get_output_from_indices(indices)


class ResidualFSQ(Adapter):
    """One token per stage; no loss."""

    def __init__(self, levels: list[int], dim: int | None, **arguments: object) -> None:
        module = vqp.ResidualFSQ(levels=levels, dim=dim, **arguments)
        super().__init__(module, dim or len(levels), (module.codebook_size,) * module.num_quantizers)

    def look_up(self, indices: Tensor) -> Tensor:
        return self.module.get_output_from_indices(indices)


class FSQ(Adapter):
    """One token per codebook; no loss."""

    def __init__(self, **arguments: object) -> None:
        module = vqp.FSQ(keep_num_codebooks_dim=True, **arguments)
        super().__init__(module, module.dim, (module.codebook_size,) * module.num_codebooks)

    def look_up(self, indices: Tensor) -> Tensor:
        return self.module.indices_to_codes(indices)


class LFQ(Adapter):
    """One token per codebook; the loss is the library's of entropy and commitment."""

    def __init__(self, **arguments: object) -> None:
        module = vqp.LFQ(keep_num_codebooks_dim=True, **arguments)
        super().__init__(module, module.dim, (module.codebook_size,) * module.num_codebooks)

    def look_up(self, indices: Tensor) -> Tensor:
        return self.module.indices_to_codes(indices)


class SimVQ(Adapter):
    """One token."""

    def __init__(self, dim: int, **arguments: object) -> None:
        module = vqp.SimVQ(dim, **arguments)
        super().__init__(module, dim, (module.codebook_size,))

    def look_up(self, indices: Tensor) -> Tensor:
        return self.module.indices_to_codes(indices)
