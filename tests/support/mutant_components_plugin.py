"""A plugin of the components of :mod:`mutant_components`."""

from mutant_components import CORRECT, KINDS, MUTANTS

from vqbench import BackboneSpec, DatasetSpec, MetricSpec, hookimpl

VQBENCH_API = 1


def described(kind):
    for cls in (*CORRECT.values(), *(cls for cls, _ in MUTANTS.values())):
        if issubclass(cls, KINDS[kind]):
            target = f"mutant_components:{cls.__name__}"
            yield {"name": cls.__name__.lower(), "target": target, "summary": "for the proof that checks catch bugs"}


@hookimpl
def vqbench_backbones():
    return [BackboneSpec(**words) for words in described("backbone")]


@hookimpl
def vqbench_datasets():
    return [DatasetSpec(**words, revision=lambda parameters: "1") for words in described("dataset")]


@hookimpl
def vqbench_metrics():
    rest = {"unit": "1", "better": "lower", "protocol": "of images in [0, 1]", "capabilities": frozenset({"symmetric"})}
    return [MetricSpec(**words, **rest) for words in described("metric")]
