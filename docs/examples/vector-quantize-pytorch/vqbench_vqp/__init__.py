"""The quantizers of vector-quantize-pytorch as a plugin of vqbench. No torch here, so that `vqbench list` stays instant."""

from pathlib import Path

from vqbench import SuiteSpec, hookimpl
from vqbench_vqp.codebook_specs import RESIDUAL_VQ, SIM_VQ, VECTOR_QUANTIZE
from vqbench_vqp.lookup_free_specs import FSQ, LFQ, RESIDUAL_FSQ

VQBENCH_API = 1


@hookimpl
def vqbench_quantizers():
    return VECTOR_QUANTIZE, RESIDUAL_VQ, SIM_VQ, FSQ, RESIDUAL_FSQ, LFQ


@hookimpl
def vqbench_suites():
    yield SuiteSpec(
        name="vqp",
        summary="vector-quantize-pytorch's quantizers beside vqbench's own, 640 bits per 64×64 photo crop",
        path=Path(__file__).parent / "vqp.toml",
    )
