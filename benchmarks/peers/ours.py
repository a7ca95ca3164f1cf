"""vqbench, through what it offers its users."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.peers.cases import Case, Inputs
from benchmarks.peers.contender import Contender, Implementation, Outputs, Run, as_maps, training_step
from vqbench.interfaces import Quantizer
from vqbench.ops import Metric, nearest_codeword, nearest_residual
from vqbench_plugins.quantizers.bsq import BSQ
from vqbench_plugins.quantizers.entropy import LogGuard
from vqbench_plugins.quantizers.fsq import FSQ
from vqbench_plugins.quantizers.gq import GQ
from vqbench_plugins.quantizers.lfq import LFQ
from vqbench_plugins.quantizers.rq import RQ
from vqbench_plugins.quantizers.vq import VQ

__all__ = ["EXACT_ENTROPY", "OURS"]

PEERS_GUARD: LogGuard = "clamp-1e-5"  # the logarithm of vector-quantize-pytorch, so that both compute the same loss


def _search(metric: Metric) -> Implementation:
    def prepare(case: Case, inputs: Inputs) -> Run:
        return lambda: Outputs(nearest_codeword(inputs.vectors, inputs.codebooks[0], metric=metric))

    return Implementation(prepare=prepare)


def _residual(case: Case, inputs: Inputs) -> Run:
    return lambda: Outputs(nearest_residual(inputs.vectors, inputs.codebooks))


def _vq(case: Case) -> Quantizer:
    return VQ(case.codewords, case.dim, update="ema" if case.training else "frozen", init="normal", beta=0.25)


def _gq(case: Case) -> Quantizer:
    return GQ(case.dim, case.codewords, case.dim)


def _rq(case: Case) -> Quantizer:
    return RQ(case.codewords, case.dim, case.stages, shared_codebook=False)


def _fsq(case: Case) -> Quantizer:
    return FSQ(case.levels, bound="atanh")


def _lfq(case: Case) -> Quantizer:
    return LFQ(case.dim, log_guard=PEERS_GUARD)


def _lfq_exact(case: Case) -> Quantizer:
    return LFQ(case.dim)


def _bsq(case: Case) -> Quantizer:
    return BSQ(case.dim, gradient_scale="1", entropy_group=None, log_guard=PEERS_GUARD)


def _bsq_exact(case: Case) -> Quantizer:
    return BSQ(case.dim, gradient_scale="1", entropy_group=None)


def _quantizer(make: Callable[[Case], Quantizer]) -> Implementation:
    """A quantizer's pass over latents ``(B, C, h, w)``, with the case's codebooks."""

    def prepare(case: Case, inputs: Inputs) -> Run:
        quantizer = make(case).to(inputs.vectors.device).train(case.training)
        state = quantizer.state_dict()
        if case.operation in ("vq", "rq"):
            state |= {f"codebooks.{t}.words": words for t, words in enumerate(inputs.codebooks)}
            quantizer.load_state_dict(state)
        columns = [inputs.vectors] + ([inputs.log_variances] if case.operation == "gq" else [])
        latents = as_maps(torch.cat(columns, dim=1))
        return _train(quantizer, latents, inputs) if case.training else _evaluate(quantizer, latents)

    return Implementation(prepare=prepare)


def _evaluate(quantizer: Quantizer, latents: Tensor) -> Run:
    @torch.inference_mode()
    def run() -> Outputs:
        out = quantizer(latents)
        return Outputs(out.codes.movedim(1, -1), out.value)

    return run


def _train(quantizer: Quantizer, latents: Tensor, inputs: Inputs) -> Run:
    latents.requires_grad_()
    gradient = as_maps(inputs.gradient)

    def forward(latents: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        out = quantizer(latents)
        losses = [loss.weight * loss.value for loss in out.losses.values() if loss.value.requires_grad]
        return out.value, out.codes, torch.stack(losses).sum() if losses else None

    def run() -> Outputs:
        codes, value, slope = training_step(forward, latents, gradient)
        return Outputs(codes.movedim(1, -1), value, slope.movedim(1, -1))

    return run


OURS = Contender(
    name="vqbench",
    package="vqbench",
    implementations={
        "search": _search("euclidean"),
        "cosine": _search("cosine"),
        "inner": _search("inner"),
        "residual": Implementation(prepare=_residual),
        "vq": _quantizer(_vq),
        "gq": _quantizer(_gq),
        "rq": _quantizer(_rq),
        "fsq": _quantizer(_fsq),
        "lfq": _quantizer(_lfq),
        "bsq": _quantizer(_bsq),
    },
)
EXACT_ENTROPY = Contender(
    name="vqbench, exact entropy",
    package="vqbench",
    implementations={"lfq": _quantizer(_lfq_exact), "bsq": _quantizer(_bsq_exact)},
    training=True,
    same_gradient=False,
)
