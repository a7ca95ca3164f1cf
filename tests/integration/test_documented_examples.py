"""The examples in the documents do what the documents say."""

import re
from pathlib import Path

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import build_plan
from vqbench.plan.suite import load_suite

DOCS = Path(__file__).parents[2] / "docs"


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)


def test_the_example_suite_plans(tmp_path):
    [example] = blocks("suites.md", "toml")
    path = tmp_path / "my-suite.toml"
    path.write_text(example)
    plan = build_plan(load_suite(path), Catalog.load(CatalogOptions(autoload=False)), source="docs")
    assert [(cell.label, cell.backbone_label) for cell in plan.cells] == [("fsq", "unet")] * 3 + [
        ("vqgan-ema", "unet")
    ] * 3
    assert not plan.skips  # the exclusion is of a backbone that the example leaves out
