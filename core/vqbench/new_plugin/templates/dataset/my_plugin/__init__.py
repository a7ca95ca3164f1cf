"""my-plugin for vqbench. No torch here, so that `vqbench list` stays instant."""

from vqbench import DatasetSpec, Parameter, hookimpl

VQBENCH_API = 1


def revision(parameters):
    """Identifies the content. Of files: their checksum, or UnavailableError with the line to run where they are missing."""
    return "1"


@hookimpl
def vqbench_datasets():
    yield DatasetSpec(
        name="my-component",
        target="my_plugin.dataset:MyComponent",
        summary="coloured gratings of random direction, made from a seed",
        version=1,
        parameters=(
            Parameter(name="train_images", type="int", default=1024, minimum=1, summary="how many to train on"),
            Parameter(name="test_images", type="int", default=128, minimum=1, summary="how many to test on"),
        ),
        revision=revision,
        licence="CC0-1.0",
    )
