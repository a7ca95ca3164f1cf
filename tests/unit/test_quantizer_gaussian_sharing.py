"""What the Gaussian methods train as: which cells share one training run."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from vqbench.catalog import Catalog, CatalogOptions, resolve_parameters
from vqbench.errors import ParameterError
from vqbench.plan import PlanFilter, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.specs import TrainsAs
from vqbench_plugins.quantizers.divergence import Variant
from vqbench_plugins.quantizers.gaussian_specs import GAUSSIAN_VAE, GQ, TOKENBRIDGE
from vqbench_plugins.quantizers.tdc import TDC_RULES

SPECS = {spec.name: spec for spec in (GAUSSIAN_VAE, GQ, TOKENBRIDGE)}


def trained(name: str, **values: Any) -> dict[str, Any]:
    """Parameters of the Gaussian VAE that a method is trained as."""
    spec = SPECS[name]
    parameters = resolve_parameters(spec, values)
    assert spec.trains_as is not None
    trains_as = spec.trains_as(parameters) or TrainsAs(quantizer=f"vqbench/{name}", parameters=parameters)
    assert trains_as.quantizer == "vqbench/gaussian_vae"
    again = resolve_parameters(GAUSSIAN_VAE, trains_as.parameters)
    assert again == dict(trains_as.parameters)
    assert GAUSSIAN_VAE.trains_as is not None
    assert GAUSSIAN_VAE.trains_as(again) is None
    return again


def test_conversions_and_both_ceilings_of_one_target_share_a_run() -> None:
    gq = trained("gq", codebook_size=2**16, dim=4)
    assert gq == trained("tokenbridge", bits=4, train_dim=4, target_bits=16.0)
    assert gq == trained("tokenbridge", bits=6, definition="gq", scale=0.5, train_dim=4, target_bits=16.0)
    for evaluation in ("mean", "sample"):
        assert gq == trained("gaussian_vae", dim=4, target_bits=16.0, evaluation=evaluation)
    assert gq != trained("tokenbridge", bits=4)


def test_by_default_each_channel_of_tokenbridge_is_held_to_its_bits() -> None:
    tokenbridge = trained("tokenbridge", bits=4)
    assert (tokenbridge["dim"], tokenbridge["target_bits"]) == (1, 4.0)
    assert tokenbridge == trained("gq", dim=1, codebook_size=16)
    assert trained("tokenbridge", bits=3, train_dim=4)["target_bits"] == 12.0


def test_one_converter_with_two_trainings_is_two_runs() -> None:
    with_tdc, without = trained("tokenbridge", bits=4), trained("tokenbridge", bits=4, constraint="kl")
    assert with_tdc != without
    assert without == trained("gq", constraint="kl", codebook_size=1000, dim=4)
    assert without == trained("gaussian_vae", constraint="kl", dim=2, evaluation="sample")


def test_groupings_that_are_the_same_share_a_run() -> None:
    for dim in (1, 16):
        assert trained("gq", dim=dim, grouping="contiguous") == trained("gq", dim=dim)
    assert trained("gq", dim=4, grouping="contiguous") != trained("gq", dim=4)


def test_the_straight_through_form_is_trained_itself() -> None:
    assert GQ.trains_as is not None
    parameters = resolve_parameters(GQ, {"training": "straight-through", "codebook_size": 256})
    assert GQ.trains_as(parameters) is None
    [level] = GQ.levels(parameters)
    assert level.arguments["target_bits"] == 8.0
    published = resolve_parameters(GQ, preset="gq2-0.25")
    assert (published["variant"], published["grouping"]) == ("tdc-gq2", "contiguous")


def test_a_plan_shows_the_shared_run() -> None:
    shared = {"channels": 8, "train_dim": 4, "target_bits": 8.0}
    document = {
        "schema": 1,
        "name": "shared",
        "stride": 8,
        "data": {"name": "photos", "image_size": 32, "params": {"train_images": 2, "test_images": 2}},
        "quantizers": [
            *(
                {"name": "gq", "label": f"gq-{k}", "params": {**shared, "codebook_size": k, "dim": 4}}
                for k in (64, 512)
            ),
            {"name": "tokenbridge", "params": {**shared, "bits": 2}},
            {"name": "gaussian_vae", "params": {"channels": 8, "dim": 4, "target_bits": 8.0}},
            {"name": "gaussian_vae", "label": "sampled", "params": {"channels": 8, "dim": 4, "target_bits": 8.0}},
        ],
        "backbones": [{"name": "unet", "preset": "tiny"}],
    }
    document["quantizers"][-1]["params"]["evaluation"] = "sample"  # type: ignore[index]
    plan = build_plan(parse_suite(document, source="test"), Catalog.load(CatalogOptions()), only=PlanFilter())
    assert len(plan.units) == 1
    assert len({cell.id for cell in plan.cells}) == 5
    assert [cell.converts for cell in plan.cells] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("tokenbridge", {"train_dim": 5}, "train_dim must divide channels"),
        ("gq", {"training": "straight-through", "codebook_size": 1000}, "Take 512, or give target_bits"),
        ("gq", {"training": "straight-through", "train_dim": 4}, "train_dim does not go with"),
        ("gaussian_vae", {"dim": 3, "constraint": "kl"}, "dim must divide channels"),
    ],
)
def test_parameters_that_do_not_go_together_are_named(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SPECS[name].levels(resolve_parameters(SPECS[name], values))


def test_the_variants_offered_are_those_there_are() -> None:
    [choices] = [p.choices for p in GAUSSIAN_VAE.parameters if p.name == "variant"]
    assert choices == get_args(Variant) == (*TDC_RULES, "target")
