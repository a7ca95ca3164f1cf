"""A plugin that misbehaves where and how it is told (:mod:`misbehaviour`): while planning by the variable ``MISBEHAVES``, in
a worker by the parameter ``order`` of its components."""

from __future__ import annotations

import os
from functools import partial

from misbehaviour import misbehave

from vqbench import (
    BackboneSpec,
    DatasetSpec,
    LevelPlan,
    MetricSpec,
    Parameter,
    QuantizerSpec,
    TrainsAs,
    hookimpl,
)

VQBENCH_API = 1
ORDER = Parameter(name="order", type="str", default="", summary="where and how it misbehaves")
here = partial(misbehave, os.environ.get("MISBEHAVES", ""))
here("import")


def _levels(p):
    return here(
        "levels",
        [LevelPlan(latent_channels=2, code_channels=2, codebook_sizes=(8,), arguments={"order": p["order"]})],
    )


@hookimpl
def vqbench_quantizers():
    def specs():
        yield QuantizerSpec(
            name="unruly",
            target="unruly_components:Unruly",
            summary="a quantizer",
            parameters=(ORDER,),
            levels=_levels,
            trains_as=lambda p: here("trains_as"),
        )
        here("hook")
        yield QuantizerSpec(
            name="stray",
            target="unruly_stray:Stray",
            summary="its module misbehaves",
            levels=lambda p: _levels({"order": ""}),
        )
        yield QuantizerSpec(
            name="converted",
            target="unruly_components:Unruly",
            summary="a conversion",
            parameters=(ORDER,),
            levels=_levels,
            trains_as=lambda p: TrainsAs(quantizer="unruly_plugin/unruly", parameters={}),
        )

    return here("hook's return", specs())


@hookimpl
def vqbench_backbones():
    yield BackboneSpec(
        name="unruly-convs",
        target="unruly_components:UnrulyConvs",
        summary="convolutions",
        parameters=(ORDER,),
        check=lambda p, size, levels: here("check"),
    )


@hookimpl
def vqbench_datasets():
    yield DatasetSpec(
        name="unruly-squares",
        target="unruly_components:UnrulySquares",
        summary="images",
        parameters=(ORDER,),
        revision=lambda p: here("revision", "1"),
        assets="unruly_plugin:assets",
    )


def assets(parameters):
    return here("assets", [])


@hookimpl
def vqbench_metrics():
    for name in ("fine", "raises", "returns-a-float", "unimportable"):
        target = "unruly_components:" + name.title().replace("-", "")
        yield MetricSpec(name=name, target=target, summary="s", unit="1", better="higher", protocol="none")
