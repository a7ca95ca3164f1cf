"""The suites that ship with vqbench can be planned, spend the bits they say and share the training runs they mean to."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import Plan, PlanFilter, build_plan, load_suite
from vqbench_plugins.suites import SUITES

CATALOG = Catalog.load(CatalogOptions(autoload=False))
ALL = [spec.name for spec in SUITES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the suites on a folder of images need: planning looks at names and bytes, not at pixels."""
    root = tmp_path_factory.mktemp("images")
    for split in ("train", "val"):
        (root / split).mkdir()
        Image.new("RGB", (8, 8)).save(root / split / "one.png")
    return root


@pytest.fixture(scope="module")
def plan_of(folder: Path):
    def plan(name: str, *overrides: str, only: PlanFilter | None = None) -> Plan:
        path = CATALOG.suite(name).spec.path
        given = (f'data.params.root="{folder}"',) if name.endswith("-256") else ()
        return build_plan(load_suite(path, [*given, *overrides]), CATALOG, source=path.name, only=only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vqbench_plugins.datasets.sources.present", lambda asset: True)  # planning reads no fetched data
        yield plan


def bits_per_position(label: str) -> Fraction:
    """What a label of the GQ suites promises: ``gq-16b``, or ``gq-0.25-unet`` in bits per pixel."""
    parts = label.removesuffix("-unet").removesuffix("-vit").split("-")
    return Fraction(parts[-1][:-1]) if parts[-1].endswith("b") else Fraction(parts[-1]) * 64


@pytest.mark.parametrize("name", ALL)
def test_a_bundled_suite_is_called_what_its_file_says_and_plans_whole(plan_of, name: str) -> None:
    plan = plan_of(name)
    assert plan.suite == name
    assert plan.cells
    assert {cell.backbone_label for cell in plan.cells} == {"unet", "vit"}
    assert [skip for skip in plan.skips if "configured as published" not in skip.reason] == []


@pytest.mark.parametrize(
    ("name", "cells", "units"),
    [
        ("gq-claims", 22 * 2 * 3, 17 * 2 * 3),
        ("gq-claims-cifar10", 22 * 2 * 3, 17 * 2 * 3),
        ("gq-claims-256", 22 * 2 * 3, 17 * 2 * 3),
        ("hqvae-claims", 7 * 2 * 3, 7 * 2 * 3),
        ("hqvae-claims-cifar10", 7 * 2 * 3, 7 * 2 * 3),
        ("hqvae-claims-256", 6 * 2 * 3, 6 * 2 * 3),
    ],
)
def test_the_claims_suites_have_every_method_on_both_backbones_with_three_seeds(
    plan_of, name: str, cells: int, units: int
) -> None:
    plan = plan_of(name)
    assert len(plan.cells) == cells
    assert len(plan.units) == units
    assert {cell.unit.seed for cell in plan.cells} == {0, 1, 2}


@pytest.mark.parametrize("name", ["gq-claims", "gq-claims-cifar10", "gq-claims-256"])
def test_every_method_of_the_gq_suites_spends_the_bits_in_its_label(plan_of, name: str) -> None:
    by_rate = defaultdict(set)
    for cell in plan_of(name).cells:
        size = cell.unit.image_size
        if cell.bits is None:
            assert cell.label.startswith("vae-of-gq-")
            continue
        promised = bits_per_position(cell.label) * (size // cell.unit.stride) ** 2
        assert (cell.bits.twos, cell.bits.odd) == (promised, 1), cell.label
        by_rate[promised].add((cell.label.split("-")[0], cell.backbone_label))
    five = {(method, backbone) for method in ("gq", "vqgan", "fsq", "lfq", "bsq") for backbone in ("unet", "vit")}
    assert len(by_rate) == 3
    assert all(found >= five for found in by_rate.values())
    highest = max(by_rate)
    assert {backbone for method, backbone in by_rate[highest] if method == "tokenbridge"} == {"unet", "vit"}


def test_the_paper_sized_gq_suite_has_the_published_rates(plan_of) -> None:
    bits = {float(cell.bits) / 256**2 for cell in plan_of("gq-claims-256").cells if cell.bits is not None}
    assert bits == {0.25, 0.5, 1.0}


@pytest.mark.parametrize("name", ["gq-claims", "gq-claims-cifar10", "gq-claims-256"])
def test_conversions_share_the_training_runs_that_they_should(plan_of, name: str) -> None:
    plan = plan_of(name, only=PlanFilter(seeds=(0,)))
    sharing = defaultdict(set)
    for cell in plan.cells:
        sharing[cell.unit.id].add(cell.label.removesuffix("-unet").removesuffix("-vit"))
    rates = ("0.25", "0.50", "1.00") if name.endswith("-256") else ("8b", "16b", "32b")
    top = rates[-1]
    expected = [{f"gq-{rate}", f"vae-of-gq-{rate}"} for rate in rates]
    expected += [{f"{method}-{how}-{top}" for method in ("tokenbridge", "gq-scalar")} for how in ("tdc", "vanilla")]
    assert Counter(map(frozenset, filter(lambda labels: len(labels) > 1, sharing.values()))) == Counter(
        {frozenset(labels): 2 for labels in expected}  # once a backbone
    )


@pytest.mark.parametrize("name", ["gq-claims", "gq-claims-cifar10", "gq-claims-256"])
def test_tokenbridge_with_and_without_tdc_differ_in_training_alone(plan_of, name: str) -> None:
    plan = plan_of(name, only=PlanFilter(quantizers=("tokenbridge-*",), seeds=(0,)))
    for backbone in ("unet", "vit"):
        tdc, vanilla = [cell for cell in plan.cells if cell.backbone_label == backbone]
        assert tdc.levels == vanilla.levels
        changed = {k for k, v in tdc.unit.quantizer.parameters.items() if vanilla.unit.quantizer.parameters[k] != v}
        assert changed <= {"constraint", "kl_weight", "dim", "target_bits"}
        assert tdc.unit.quantizer.parameters["dim"] == 1
        assert tdc.unit.quantizer.parameters["target_bits"] == 4.0  # bits of a channel
        assert tdc.unit.recipe == vanilla.unit.recipe


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("quickstart", 640),
        ("cifar10", 576),
        ("hqvae-claims", 640),
        ("hqvae-claims-cifar10", 640),
        ("hqvae-claims-256", 3584),
    ],
)
def test_all_cells_of_a_suite_that_demands_it_have_equal_bits(plan_of, name: str, bits: int) -> None:
    path = CATALOG.suite(name).spec.path
    assert load_suite(path).equal_bits == bits
    assert {float(cell.bits) for cell in plan_of(name).cells if cell.bits is not None} == {bits}


@pytest.mark.parametrize("name", ["hqvae-claims", "hqvae-claims-cifar10", "hqvae-claims-256"])
@pytest.mark.parametrize(
    ("stochastic", "counterpart"), [("sq_vae", "vqgan-ema"), ("sq_vae_2", "vq_vae_2"), ("rsq_vae", "rq_vae")]
)
def test_a_method_and_its_counterpart_differ_in_the_quantizer_alone(
    plan_of, name: str, stochastic: str, counterpart: str
) -> None:
    plan = plan_of(name, only=PlanFilter(quantizers=(stochastic, counterpart), seeds=(0,)))
    for backbone in ("unet", "vit"):
        a, b = [cell for cell in plan.cells if cell.backbone_label == backbone]
        assert [level.shape for level in a.levels] == [level.shape for level in b.levels]
        assert [level.rate for level in a.levels] == [level.rate for level in b.levels]
        assert a.unit.recipe == b.unit.recipe
        assert (a.unit.objective, b.unit.objective) == ("elbo", "reconstruction")


@pytest.mark.parametrize("name", ALL)
def test_methods_of_one_suite_and_backbone_see_equally_many_images(plan_of, name: str) -> None:
    seen = defaultdict(set)
    for cell in plan_of(name).cells:
        seen[cell.backbone_label].add(cell.protocol["images_seen"])
    assert {backbone: len(counts) for backbone, counts in seen.items()} == {"unet": 1, "vit": 1}


def test_weights_beside_a_mean_error_are_the_published_ones_beside_a_sum(plan_of) -> None:
    numbers = 3 * 256 * 256
    plan = plan_of("gq-claims-256", only=PlanFilter(quantizers=("lfq-*-unet", "bsq-*-unet"), seeds=(0,)))
    for cell in plan.cells:
        weights = cell.unit.recipe["loss_weights"]
        if cell.label.startswith("lfq"):
            assert math.isclose(weights["entropy"] * numbers, 0.1, rel_tol=1e-4)
            assert math.isclose(weights["commitment"] * numbers, 0.025, rel_tol=1e-4)
        else:  # our entropies are divided by the inverse temperature
            scale = cell.quantizer.parameters["inverse_temperature"]
            assert math.isclose(weights["entropy"] * numbers / scale, 0.1, rel_tol=1e-4)


def test_the_published_grid_of_rq_vae_can_be_had_as_the_comment_says(plan_of) -> None:
    path = CATALOG.suite("hqvae-claims-256").spec.path
    comment = path.read_text().split("that grid of equal bits is\n")[1].split("# - ")[0]
    words = comment.replace("#", " ").replace('"', "").split()
    overrides = [value for flag, value in pairwise(words) if flag == "--set"]
    assert len(overrides) == 6
    plan = plan_of("hqvae-claims-256", *overrides, only=PlanFilter(quantizers=("rq_vae", "rsq_vae"), seeds=(0,)))
    for cell in plan.cells:
        (level,) = cell.levels
        assert (level.rate.height, level.rate.width, level.rate.codebook_sizes) == (8, 8, (16384,) * 4)
