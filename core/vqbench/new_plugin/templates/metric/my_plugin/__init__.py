"""my-plugin for vqbench. No torch here, so that `vqbench list` stays instant."""

from vqbench import MetricSpec, hookimpl

VQBENCH_API = 1


@hookimpl
def vqbench_metrics():
    yield MetricSpec(
        name="my-component",
        target="my_plugin.metric:MyComponent",
        summary="largest error of any pixel of an image",
        version=1,
        unit="grey levels",
        better="lower",
        protocol="uint8 RGB, largest of an image, mean over images",
    )
