"""How fast it is planned; CI compares base and head on one machine."""

from pathlib import Path

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import build_plan, load_suite

SUITE = Path(__file__).parents[1] / "my_plugin" / "my-component.toml"


def test_plan(benchmark):
    catalog = Catalog.load(CatalogOptions())
    assert len(benchmark(lambda: build_plan(load_suite(SUITE), catalog)).cells) == 18
