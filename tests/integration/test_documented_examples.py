"""The examples in the documents do what the documents say."""

import re
import sys
from pathlib import Path

import torch

from vqbench import hookspecs
from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import build_plan
from vqbench.plan.suite import load_suite, parse_suite
from vqbench.worker.build import build_tokenizer

DOCS = Path(__file__).parents[2] / "docs"


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)


def from_hookspec():
    text = hookspecs.vqbench_quantizers.__doc__
    assert text is not None
    code = re.sub(r"^ {4,8}", "", text.split("::", 1)[1].split("\n    and in its", 1)[0], flags=re.MULTILINE)
    light, heavy = code.split("# my_plugin/rounding.py")
    return light, heavy


def test_the_example_plugin_loads_plans_quantizes_and_trains(tmp_path, monkeypatch):
    light, heavy = from_hookspec()
    package = tmp_path / "my_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(light)
    (package / "rounding.py").write_text(heavy)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "my_plugin"]:
        monkeypatch.delitem(sys.modules, name)
    catalog = Catalog.load(CatalogOptions(plugins=("my_plugin",), autoload=False, strict=True))
    suite = {
        "schema": 1,
        "name": "documented",
        "data": {"name": "photos", "image_size": 32},
        "quantizers": [{"name": "my_plugin/rounding"}],
        "backbones": [{"name": "vit", "preset": "tiny"}],
    }
    [cell] = build_plan(parse_suite(suite, source="docs"), catalog).cells
    assert str(cell.bits) == str(4 * 4 * 4 * 3)  # positions × channels × log2 of 8 levels
    tokenizer = build_tokenizer(cell.unit, catalog)
    images = torch.rand(2, 3, 32, 32)
    tokenizer(images).reconstructions.sum().backward()
    assert all(p.grad is not None for p in tokenizer.backbone.encoder.parameters())
    tokenizer.eval()
    with torch.no_grad():
        assert torch.equal(tokenizer.decode(tokenizer.encode(images)), tokenizer(images).reconstructions)
    for name in [name for name in sys.modules if name.split(".")[0] == "my_plugin"]:
        monkeypatch.delitem(sys.modules, name)


def test_the_example_suite_plans(tmp_path):
    [example] = blocks("suites.md", "toml")
    path = tmp_path / "my-suite.toml"
    path.write_text(example)
    plan = build_plan(load_suite(path), Catalog.load(CatalogOptions(autoload=False)), source="docs")
    assert [(cell.label, cell.backbone_label) for cell in plan.cells] == [("fsq", "unet")] * 3 + [
        ("vqgan-ema", "unet")
    ] * 3
    assert not plan.skips  # the exclusion is of a backbone that the example leaves out
