"""my-plugin for vqbench: a suite that is run by its name."""

from pathlib import Path

from vqbench import SuiteSpec, hookimpl

VQBENCH_API = 1


@hookimpl
def vqbench_suites():
    yield SuiteSpec(
        name="my-component",
        summary="three quantizers of 16 bits a position on both tiny backbones",
        path=Path(__file__).parent / "my-component.toml",
    )
