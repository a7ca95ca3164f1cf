"""Planning a large matrix: the goal is 2 s for 10,000 cells."""

from __future__ import annotations

import json

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import build_plan
from vqbench.plan.suite import parse_suite


def test_a_plan_of_ten_thousand_cells(benchmark):
    suite = parse_suite(
        {
            "schema": 1,
            "name": "large",
            "seeds": list(range(100)),
            "data": {"name": "photos", "image_size": 64},
            "quantizers": [
                {"name": "vqgan", "label": f"k{k}", "params": {"codebook_size": k, "dim": 8}} for k in range(16, 66)
            ],
            "backbones": [{"name": "unet", "preset": "tiny"}, {"name": "vit", "preset": "tiny"}],
        },
        source="benchmark",
    )
    catalog = Catalog.load(CatalogOptions(autoload=False))

    def plan() -> int:
        made = build_plan(suite, catalog)
        return len({cell.id for cell in made.cells})

    assert benchmark.pedantic(plan, rounds=3, warmup_rounds=1) == 10_000


def test_writing_the_identities_as_json(benchmark):
    """The peer in the same run: what serialising as many dictionaries takes."""
    identity = {f"key{i}": {"a": i, "b": [i, i], "c": str(i)} for i in range(12)}
    benchmark.pedantic(lambda: [json.dumps(identity, sort_keys=True) for _ in range(20_000)], rounds=3)
