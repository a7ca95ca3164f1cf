"""The examples in the hooks' docstrings, put together, are a plugin that works."""

import inspect
import sys
import textwrap

import pytest
import torch

from docs.hooks.docstrings import BLOCK, FILE
from vqbench import hookspecs
from vqbench.catalog import Catalog, CatalogOptions
from vqbench.leaderboard.published import read_publication
from vqbench.plan import build_plan
from vqbench.plan.suite import load_suite
from vqbench.testing import checks_of, run_checks, subject
from vqbench.worker.build import build_dataset, build_tokenizer
from vqbench.worker.evaluate import Batches, evaluate

PLUGIN = "my_plugin"
COMPONENTS = ("quantizer:rounding", "backbone:patches", "dataset:textures", "metric:max_error", "suite:on-textures")


def files_of(hook):
    """Text by path of the files that a docstring shows."""
    [(_, _, example)] = BLOCK.findall(inspect.getdoc(hook) + "\n")
    nothing, *files = FILE.split(textwrap.dedent(example))
    assert not nothing.strip()
    return dict(zip(files[::3], files[2::3], strict=True))


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    (tmp_path / PLUGIN).mkdir()
    for name, hook in vars(hookspecs).items():
        if name.startswith("vqbench_"):
            for path, text in files_of(hook).items():
                with (tmp_path / path).open("a") as file:  # all have a part of the plugin's module
                    file.write(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    yield Catalog.load(CatalogOptions(plugins=(PLUGIN,), autoload=False, strict=True))
    for name in [name for name in sys.modules if name.split(".")[0] == PLUGIN]:
        del sys.modules[name]


def planned(catalog, *overrides):
    suite = load_suite(catalog.suite("on-textures").spec.path, overrides)
    return build_plan(suite, catalog).cells


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_passes_the_conformance_kit(catalog, component):
    made = subject(component, catalog)
    outcomes = list(run_checks(made, checks_of(made.entry.kind)))
    assert not [f"{outcome.check.name}: {outcome.message}" for outcome in outcomes if not outcome.good]


def test_a_tokenizer_of_them_trains_and_is_measured(catalog):
    rounding, fsq = planned(catalog)
    assert rounding.bits == fsq.bits
    assert str(rounding.bits) == str(4 * 4 * 4 * 3)  # positions × channels × log2 of 8 levels
    dataset = build_dataset(rounding.unit.dataset, 32, catalog)
    images = torch.stack([dataset.split("train")[i] for i in range(16)])
    assert images.shape == (16, 3, 32, 32)
    tokenizer = build_tokenizer(rounding.unit, catalog)
    optimizer = torch.optim.Adam(tokenizer.parameters(), lr=1e-2)
    for _ in range(40):
        error = (tokenizer(images).reconstructions - images).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in tokenizer.parameters())
    plain = (images - images.mean(dim=(0, 2, 3), keepdim=True)).abs().mean()
    assert error < 0.75 * plain  # it has learnt more than a colour
    metric = catalog.load_target(catalog.get("metric", "max_error"))()
    test = dataset.split("test")
    evaluation = evaluate(tokenizer, Batches(test, 32, torch.device("cpu")), {"max_error": metric})
    number = evaluation.metrics["max_error"]
    assert number.n == len(test) == 128
    assert 0 < number.low < number.value < number.high <= 255


def test_the_backbone_joins_levels(catalog):
    [cell] = planned(catalog, "quantizers=[{name='vq_vae_2'}]")
    tokenizer = build_tokenizer(cell.unit, catalog).eval()
    assert len(tokenizer.levels) == 2
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        codes = tokenizer.encode(images)
        assert torch.equal(tokenizer.decode(codes), tokenizer(images).reconstructions)


def test_the_published_numbers_are_read(catalog):
    [entry] = [entry for entry in catalog.publications() if entry.plugin == PLUGIN]
    [table] = read_publication(entry.spec.path, id=entry.id, summary=entry.spec.summary).tables
    assert [row.numbers["psnr"].value for row in table.rows] == [21.5]
