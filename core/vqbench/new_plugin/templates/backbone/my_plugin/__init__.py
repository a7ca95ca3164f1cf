"""my-plugin for vqbench. No torch here, so that `vqbench list` stays instant."""

from vqbench import BackboneSpec, Parameter, ParameterError, hookimpl

VQBENCH_API = 1


def check(parameters, image_size, levels):
    """Refuse what cannot be built, when planning."""
    if image_size % levels[0].stride:
        raise ParameterError(
            "image_size must be divisible by the coarsest stride",
            got=image_size,
            expected=f"a multiple of {levels[0].stride}",
        )


@hookimpl
def vqbench_backbones():
    yield BackboneSpec(
        name="my-component",
        target="my_plugin.backbone:MyComponent",
        summary="patches, and residual blocks of convolutions between them",
        version=1,
        parameters=(
            Parameter(name="width", type="int", default=64, minimum=1, maximum=4096, summary="channels of a patch"),
            Parameter(name="blocks", type="int", default=2, minimum=0, maximum=64, summary="residual blocks a side"),
        ),
        presets={"tiny": {"width": 32, "blocks": 1}},
        check=check,
    )
