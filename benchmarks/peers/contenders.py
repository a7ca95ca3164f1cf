"""Everything that is measured."""

from __future__ import annotations

import torch

from benchmarks.peers.cases import Case, Inputs
from benchmarks.peers.contender import Contender, Implementation, Outputs, Run
from benchmarks.peers.ours import EXACT_ENTROPY, OURS
from benchmarks.peers.packages import FAISS, SCIKIT_LEARN, SIM_VQ, VECTOR_QUANTIZE, VECTOR_QUANTIZE_MAPS
from benchmarks.peers.plain import ADDMM, CDIST, COMPILED, DENSE

__all__ = ["CONTENDERS", "contenders_of"]


def _dense_kernel(case: Case, inputs: Inputs) -> Run:
    from benchmarks.peers.dense_kernel import dense_gaussian_scores

    words = inputs.codebooks[0]

    @torch.inference_mode()
    def run() -> Outputs:
        deviations = torch.exp(0.5 * inputs.log_variances)
        codes = dense_gaussian_scores(inputs.vectors, deviations, words).argmax(dim=1)
        return Outputs(codes, words[codes])

    return run


DENSE_KERNEL = Contender(
    name="dense kernel + argmax",
    module="triton",
    package="triton",
    device="cuda",
    implementations={"gq": Implementation(prepare=_dense_kernel, need=lambda case: 4 * case.rows * case.codewords)},
)
CONTENDERS = {
    contender.name: contender
    for contender in (
        OURS,
        EXACT_ENTROPY,
        VECTOR_QUANTIZE,
        VECTOR_QUANTIZE_MAPS,
        SIM_VQ,
        FAISS,
        SCIKIT_LEARN,
        CDIST,
        ADDMM,
        COMPILED,
        DENSE,
        DENSE_KERNEL,
    )
}


def contenders_of(case: Case, device: str) -> list[Contender]:
    """Who has the operation of a case on a kind of device, vqbench first."""
    return [contender for contender in CONTENDERS.values() if contender.does(case, device)]
