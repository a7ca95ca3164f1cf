"""What the descriptors of all wrapped classes share."""

import re
from importlib import metadata

from vqbench import LevelPlan, Parameter, QuantizerSpec, Requirement

DISTRIBUTION = "vector-quantize-pytorch"
LARGEST_CODEBOOK = 2**22
"""The library holds implicit codebooks whole, and adds up their indices in float32: right up to here, wrong from about 2^24."""


def wrapped(name, cls, *, summary, parameters, shape, paper):
    """The descriptor of a class of the library.

    Args:
        name: of the quantizer.
        cls: the adapter's class, called like the library's.
        summary: of what it does.
        parameters: arguments of the library's constructor, by their names there and with their defaults.
        shape: a function of the parameters that returns the channels of the latent and K of each token; it raises ParameterError
            where they do not go together. What else the library refuses, it says when it is built.
        paper: of the method.
    """

    def levels(p):
        channels, codebook_sizes = shape(p)
        return [LevelPlan(latent_channels=channels, code_channels=channels, codebook_sizes=codebook_sizes, arguments=p)]

    return QuantizerSpec(
        name=name,
        target=f"vqbench_vqp.adapter:{cls}",
        summary=f"vector-quantize-pytorch's {cls}: {summary}",
        version=release(),
        parameters=parameters,
        requires=(Requirement(module="vector_quantize_pytorch", install=f"pip install {DISTRIBUTION}"),),
        paper=paper,
        licence="MIT",
        levels=levels,
    )


def release():
    """The library's release as a number, 1.32.0 as 13200: cells of two releases are different cells. 1 where it is missing."""
    try:
        numbers = [int(number) for number in re.findall(r"\d+", metadata.version(DISTRIBUTION))[:3]]
    except metadata.PackageNotFoundError:
        return 1
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major * 10_000 + minor * 100 + patch


def integer(name, default, summary, *, minimum=1, maximum=None):
    """An integer argument of the library's constructor."""
    return Parameter(name=name, type="int", default=default, minimum=minimum, maximum=maximum, summary=summary)


def number(name, default, summary, *, minimum=0.0, maximum=None):
    """A number that the library's constructor takes."""
    return Parameter(name=name, type="float", default=default, minimum=minimum, maximum=maximum, summary=summary)


def switch(name, default, summary):
    """A flag of the library's constructor; a default of None leaves the choice to the library."""
    return Parameter(name=name, type="bool", default=default, summary=summary)
