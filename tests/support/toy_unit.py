"""Train units and cells of the toy plugin."""

from __future__ import annotations

from pathlib import Path

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import Suite, TrainUnit, build_plan

TOY_FOLDER = Path(__file__).parent


def toy_catalog() -> Catalog:
    return Catalog.load(CatalogOptions(plugins=("toy_plugin",), strict=True, autoload=False))


def toy_cell(catalog, quantizer="noisy_vq", *, parameters=None, seed=0, image_size=8, count=10, **recipe):
    recipe = {"steps": 6, "batch_size": 4, "lr": 1e-2, **recipe}
    suite = Suite.model_validate(
        {
            "schema": 1,
            "name": "toy",
            "evaluation": {"metrics": []},
            "stride": 2,
            "seeds": [seed],
            "recipe": recipe,
            "data": [{"name": "toy_plugin/squares", "image_size": image_size, "params": {"count": count}}],
            "backbones": [{"name": "toy_plugin/convs"}],
            "quantizers": [{"name": f"toy_plugin/{quantizer}", "params": parameters or {}}],
        }
    )
    [cell] = build_plan(suite, catalog).cells
    return cell


def toy_unit(catalog, quantizer="noisy_vq", **options) -> TrainUnit:
    return toy_cell(catalog, quantizer, **options).unit
