"""vqbench-simvq for vqbench. No torch here, so that `vqbench list` stays instant."""

from vqbench import LevelPlan, Parameter, QuantizerSpec, hookimpl

VQBENCH_API = 1


def levels(p):
    """One level: one token per position, with `codebook_size` codes."""
    return [
        LevelPlan(
            latent_channels=p["dim"],  # asked of the encoder
            code_channels=p["dim"],  # given to the decoder
            codebook_sizes=(p["codebook_size"],),
            arguments=p,
        )
    ]


@hookimpl
def vqbench_quantizers():
    yield QuantizerSpec(
        name="simvq",
        target="vqbench_simvq.quantizer:SimVQ",
        summary="nearest codeword of a frozen Gaussian codebook times one learned matrix",
        version=1,
        parameters=(
            Parameter(name="codebook_size", type="int", default=1024, minimum=2, maximum=2**24, summary="codewords"),
            Parameter(name="dim", type="int", default=128, minimum=1, summary="channels of a codeword"),
            Parameter(name="beta", type="float", default=0.25, minimum=0.0, summary="weight of the commitment loss"),
            Parameter(
                name="bias",
                type="bool",
                default=False,
                summary="add a learned vector to all codewords, as the authors' code does and their paper does not",
            ),
        ),
        levels=levels,
        paper="Zhu et al., arXiv 2411.02038",
    )
