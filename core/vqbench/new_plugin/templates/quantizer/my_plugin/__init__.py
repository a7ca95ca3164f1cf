"""my-plugin for vqbench. No torch here, so that `vqbench list` stays instant."""

from vqbench import LevelPlan, Parameter, QuantizerSpec, hookimpl

VQBENCH_API = 1


def levels(p):
    """One level: `channels` tokens per position, `steps` codes each."""
    return [
        LevelPlan(
            latent_channels=p["channels"],  # asked of the encoder
            code_channels=p["channels"],  # given to the decoder
            codebook_sizes=(p["steps"],) * p["channels"],
            arguments=p,
        )
    ]


@hookimpl
def vqbench_quantizers():
    yield QuantizerSpec(
        name="my-component",
        target="my_plugin.quantizer:MyComponent",
        summary="bound each channel and round it to a grid",
        version=1,
        parameters=(
            Parameter(name="channels", type="int", default=4, minimum=1, maximum=64, summary="latent channels"),
            Parameter(name="steps", type="int", default=8, minimum=2, maximum=1024, summary="values of a channel"),
        ),
        levels=levels,
    )
