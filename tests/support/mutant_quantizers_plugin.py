"""A plugin of :mod:`mutant_quantizers` and what they stem from; importing it imports torch: a bug that a check catches."""

from functools import partial

from mutant_quantizers import MUTANTS
from sound_quantizers import CORRECT

from vqbench import LevelPlan, QuantizerSpec, hookimpl

VQBENCH_API = 1


def levels(cls, parameters):
    return [
        LevelPlan(
            latent_channels=cls.latent_channels,
            code_channels=cls.code_channels,
            codebook_sizes=getattr(cls, "announced_sizes", cls.codebook_sizes),
            arguments={},
        )
    ]


@hookimpl
def vqbench_quantizers():
    for cls in (*CORRECT.values(), *(cls for cls, _ in MUTANTS.values())):
        yield QuantizerSpec(
            name=cls.__name__.lower(),
            target=f"{cls.__module__}:{cls.__name__}",
            summary="for the proof that checks catch bugs",
            levels=partial(levels, cls),
            objective=getattr(cls, "objective", "reconstruction"),
        )
