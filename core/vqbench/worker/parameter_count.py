"""How many parameters a tokenizer has on its way in, on its way out and in its quantizers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, get_gradient_edge

from vqbench.plugin_code import calling
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["ParameterCount", "count_parameters"]


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """Parameters that the latents depend on, that decoding depends on, and of the quantizers.

    A parameter that both ways use (weights tied, or a net of the top-down path) counts in both. Buffers, such
    as codebooks that are moving averages or fixed, count nowhere.
    """

    encoder: int
    decoder: int
    quantizer: int


def count_parameters(tokenizer: Tokenizer) -> ParameterCount:
    """Count by following the graph of one blank image, which holds for any backbone. Changes neither weights
    nor buffers.
    """
    backbone = tokenizer.backbone
    parameters = [p for p in backbone.parameters() if p.is_floating_point()]
    frozen = [p for p in parameters if not p.requires_grad]
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()  # running statistics stay as they are
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad(), calling(tokenizer.backbone_name, "a blank image"):
            device = parameters[0].device if parameters else torch.device("cpu")
            size = backbone.image_size
            values = [
                torch.zeros(1, shape.code_channels, size // shape.stride, size // shape.stride, device=device)
                for shape in backbone.levels
            ]
            features = backbone.encode(torch.zeros(1, 3, size, size, device=device))
            latents = [
                features[0],
                *(backbone.fuse(i, features[i], values[:i]) for i in range(1, len(values))),
            ]
            encoder = _reached(latents, parameters)
            decoder = _reached([backbone.decode(values)], parameters)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
        for module, mode in modes.items():
            module.training = mode
    quantizer = {id(p): p.numel() for q in tokenizer.quantizers for p in q.parameters()}
    return ParameterCount(encoder=encoder, decoder=decoder, quantizer=sum(quantizer.values()))


def _reached(outputs: Iterable[Tensor], parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers the parameters hold that the graph of the outputs ends in; no gradient is computed."""
    ahead: list[Node | None] = [get_gradient_edge(output).node for output in outputs if output.requires_grad]
    seen: set[Node] = set()
    leaves: set[int] = set()
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            leaves.add(id(getattr(node, "variable", None)))
            ahead += [function for function, _ in node.next_functions]
    return sum(p.numel() for p in parameters if id(p) in leaves)
