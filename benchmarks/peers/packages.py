"""Other libraries. Each is imported only where it is measured: none is a dependency of vqbench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.peers.cases import Case, Inputs
from benchmarks.peers.contender import (
    Contender,
    Implementation,
    Outputs,
    Run,
    as_maps,
    as_sequences,
    training_step,
)

__all__ = ["FAISS", "SCIKIT_LEARN", "SIM_VQ", "VECTOR_QUANTIZE", "VECTOR_QUANTIZE_MAPS"]

Forward: TypeAlias = Callable[[Tensor], tuple[Any, Any, Any]]
"""Latents to value, codes and the loss, None for none."""


def _vector_quantize(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import VectorQuantize

    module = VectorQuantize(case.dim, case.codewords, decay=0.99, commitment_weight=0.25, rotation_trick=False)
    module._codebook.embed.data.copy_(inputs.codebooks)
    return cast(Forward, _placed(module, case, inputs))


def _residual_vq(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import ResidualVQ

    module = ResidualVQ(dim=case.dim, num_quantizers=case.stages, codebook_size=case.codewords, rotation_trick=False)
    for layer, words in zip(module.layers, inputs.codebooks, strict=True):
        layer._codebook.embed.data.copy_(words[None])
    module = _placed(module, case, inputs)

    def forward(latents: Tensor) -> tuple[Any, Any, Any]:
        value, codes, losses = module(latents)
        return value, codes, losses.sum()

    return forward


def _fsq(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import FSQ

    module = _placed(FSQ(list(case.levels)), case, inputs)
    return lambda latents: (*module(latents), None)


def _lfq(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import LFQ

    return cast(Forward, _placed(LFQ(codebook_size=1 << case.dim, commitment_loss_weight=0.25), case, inputs))


def _bsq(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import LFQ

    module = _placed(LFQ(codebook_size=1 << case.dim, spherical=True), case, inputs)
    return lambda latents: module(latents, inv_temperature=1.0)


def _sim_vq(case: Case, inputs: Inputs) -> Forward:
    from vector_quantize_pytorch import SimVQ

    module = SimVQ(case.dim, case.codewords, codebook_transform=torch.nn.Identity(), rotation_trick=False)
    module.frozen_codebook.copy_(inputs.codebooks[0])
    return cast(Forward, _placed(module, case, inputs))


def _placed(module: Any, case: Case, inputs: Inputs) -> Any:
    return module.to(inputs.vectors.device).train(case.training)


def _module(
    make: Callable[[Case, Inputs], Forward],
    pair_bytes: int,
    layout: Callable[[Tensor], Tensor] = as_sequences,
) -> Implementation:
    """A module that maps latents to value, codes and, maybe, a loss; ``pair_bytes`` it takes per (row, codeword)."""
    maps = layout is as_maps

    def prepare(case: Case, inputs: Inputs) -> Run:
        forward, latents = make(case, inputs), layout(inputs.vectors)
        if not case.training:

            @torch.inference_mode()
            def evaluate() -> Outputs:
                value, codes, _ = forward(latents)
                return Outputs(codes, value)

            return evaluate

        latents = latents.clone().requires_grad_()
        gradient = layout(inputs.gradient)

        def train() -> Outputs:
            codes, value, slope = training_step(forward, latents, gradient)
            return Outputs(codes, value, slope.movedim(1, -1) if maps else slope)

        return train

    def need(case: Case) -> int:
        codewords = case.codewords or (1 << case.dim if case.training and not case.levels else 0)
        return pair_bytes * case.rows * codewords

    return Implementation(prepare=prepare, need=need)


def _sklearn(case: Case, inputs: Inputs) -> Run:
    from sklearn.metrics import pairwise_distances_argmin

    vectors, words = inputs.vectors.numpy(), inputs.codebooks[0].numpy()
    return lambda: Outputs(pairwise_distances_argmin(vectors, words))


def _indexes(kind: str, words: Tensor) -> list[Any]:
    """faiss's flat index of each codebook ``(T, K, d)``."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    indexes = [getattr(faiss, kind)(words.shape[2]) for _ in words]
    for index, table in zip(indexes, words, strict=True):
        index.add(table.numpy())
    return indexes


def _faiss(kind: str) -> Callable[[Case, Inputs], Run]:
    def prepare(case: Case, inputs: Inputs) -> Run:
        [index], vectors = _indexes(kind, inputs.codebooks), inputs.vectors.numpy()
        return lambda: Outputs(index.search(vectors, 1)[1])

    return prepare


def _faiss_cosine(case: Case, inputs: Inputs) -> Run:
    """Inner products of unit vectors; the length of a vector does not change which codeword is best."""
    [index] = _indexes("IndexFlatIP", normalize(inputs.codebooks, dim=-1))
    vectors = inputs.vectors.numpy()
    return lambda: Outputs(index.search(vectors, 1)[1])


def _faiss_residual(case: Case, inputs: Inputs) -> Run:
    indexes, words = _indexes("IndexFlatL2", inputs.codebooks), inputs.codebooks.numpy()

    def run() -> Outputs:
        residual, codes = inputs.vectors.numpy(), []
        for index, table in zip(indexes, words, strict=True):
            codes.append(index.search(residual, 1)[1][:, 0])
            residual = residual - table[codes[-1]]
        return Outputs(np.stack(codes, axis=1))

    return run


VECTOR_QUANTIZE = Contender(
    name="vector-quantize-pytorch",
    module="vector_quantize_pytorch",
    package="vector-quantize-pytorch",
    implementations={
        "vq": _module(_vector_quantize, 16),  # a one-hot of int64, one of float32, and the distances
        "rq": _module(_residual_vq, 16),
        "fsq": _module(_fsq, 0),
        "lfq": _module(_lfq, 24),
        "bsq": _module(_bsq, 24),
    },
)
VECTOR_QUANTIZE_MAPS = Contender(
    name="vector-quantize-pytorch, image maps",
    module="vector_quantize_pytorch",
    package="vector-quantize-pytorch",
    implementations={
        "fsq": _module(_fsq, 0, as_maps),
        "lfq": _module(_lfq, 24, as_maps),
        "bsq": _module(_bsq, 24, as_maps),
    },
)
SIM_VQ = Contender(
    name="vector-quantize-pytorch SimVQ",
    module="vector_quantize_pytorch",
    package="vector-quantize-pytorch",
    training=False,
    implementations={"vq": _module(_sim_vq, 4)},
)
FAISS = Contender(
    name="faiss",
    module="faiss",
    package="faiss-cpu",
    device="cpu",
    implementations={
        "search": Implementation(prepare=_faiss("IndexFlatL2")),
        "cosine": Implementation(prepare=_faiss_cosine),
        "inner": Implementation(prepare=_faiss("IndexFlatIP")),
        "residual": Implementation(prepare=_faiss_residual),
    },
)
SCIKIT_LEARN = Contender(
    name="scikit-learn",
    module="sklearn",
    package="scikit-learn",
    device="cpu",
    implementations={"search": Implementation(prepare=_sklearn)},
)
