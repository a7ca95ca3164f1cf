"""Planning with the built-in components, through our own entry point."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.errors import (
    ParameterError,
    SuiteError,
    UnequalBitsError,
    UnknownComponentError,
    UsageError,
)
from vqbench.plan import PlanFilter, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.run.skeleton import component_record

CATALOG = Catalog.load(CatalogOptions(autoload=False))

FSQ = {"name": "fsq", "params": {"levels": [8, 8, 4, 4]}}
VQ = {"name": "vqgan", "params": {"codebook_size": 1024, "dim": 8}}
TWO_LEVELS = {"name": "vq_vae_2", "params": {"coarse_codebook_size": 256, "fine_codebook_size": 256, "dim": 8}}


def gq(label=None, **params):
    base = {"channels": 8, "dim": 8, "codebook_size": 1024, "train_dim": 4, "target_bits": 5.0}
    return {"name": "gq", "label": label or "gq", "params": base | params}


def suite(**changes):
    document = {
        "schema": 1,
        "name": "test",
        "stride": 8,
        "data": {"name": "photos", "image_size": 64},
        "quantizers": [FSQ],
        "backbones": [{"name": "unet", "preset": "tiny"}, {"name": "vit", "preset": "tiny"}],
        "recipe": {"steps": 5},
    }
    return parse_suite(document | changes, source="test.toml")


def plan(only=None, **changes):
    return build_plan(suite(**changes), CATALOG, source="test.toml", only=only)


def test_a_matrix_is_the_product_of_its_axes():
    made = plan(quantizers=[FSQ, VQ, TWO_LEVELS], seeds=[0, 1])
    assert len(made.cells) == 3 * 2 * 2
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    assert len(made.units) == len(made.cells)


def test_every_quickstart_method_has_640_bits():
    made = plan(quantizers=[FSQ, VQ, TWO_LEVELS, gq(), gq("gq-2x32", dim=4, codebook_size=32)], equal_bits=640)
    assert {str(cell.bits) for cell in made.cells} == {"640"}


def test_a_two_level_method_gets_two_levels_coarse_to_fine():
    cell = plan(quantizers=[TWO_LEVELS]).cells[0]
    assert [(level.shape.stride, level.rate.height) for level in cell.levels] == [(16, 4), (8, 8)]


def test_conversions_of_one_vae_share_its_training_run():
    made = plan(quantizers=[gq(), gq("gq-2x32", dim=4, codebook_size=32)])
    by_backbone = {}
    for cell in made.cells:
        assert cell.converts
        by_backbone.setdefault(cell.backbone_label, set()).add(cell.unit.id)
    assert [len(units) for units in by_backbone.values()] == [1, 1]
    assert {unit.quantizer.id for unit in made.units} == {"vqbench/gaussian_vae"}


def test_a_conversion_shares_the_run_of_the_plain_vae_too():
    vae = {"name": "gaussian_vae", "params": {"channels": 8, "dim": 4, "target_bits": 5.0}}
    made = plan(quantizers=[gq(), vae])
    assert len(made.units) == 2  # one per backbone
    assert [cell.bits is None for cell in made.cells if cell.backbone_label == "unet"] == [False, True]


def test_conversions_whose_training_differs_do_not_share():
    made = plan(quantizers=[gq(), gq("vanilla", constraint="kl")])
    assert len({cell.unit.id for cell in made.cells if cell.backbone_label == "unet"}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"steps": 6}},
        {"seeds": [1]},
        {"data": {"name": "photos", "image_size": 128}},
        {"quantizers": [{"name": "fsq", "params": {"levels": [8, 8, 4, 4], "bound": "atanh"}}]},
        {"backbones": [{"name": "unet", "preset": "small"}]},
        {"stride": 16},
        {"data": {"name": "photos", "image_size": 64, "params": {"test_images": 17}}},
    ],
)
def test_what_should_change_the_number_changes_the_id(changes):
    before, after = plan().cells[0], plan(**changes).cells[0]
    assert before.id != after.id
    assert before.unit.id != after.unit.id


@pytest.mark.parametrize(
    "changes",
    [
        {"quantizers": [FSQ | {"label": "other"}]},
        {"quantizers": [FSQ, VQ]},
        {"backbones": [{"name": "vqbench/unet", "preset": "tiny"}]},
        {"evaluation": {"metrics": ["psnr"], "batch_size": 8}},
        {"name": "renamed", "summary": "x"},
        {"recipe": {"steps": 5, "lr": 1e-3}},
    ],
)
def test_labels_neighbours_metrics_and_spelled_out_defaults_do_not_change_the_id(changes):
    assert plan().cells[0].id == plan(**changes).cells[0].id


def test_a_quantizers_recipe_overrides_the_backbones_and_the_suites():
    made = plan(
        quantizers=[FSQ | {"recipe": {"lr": 0.5}}, VQ],
        backbones=[{"name": "unet", "preset": "tiny", "recipe": {"lr": 0.25, "batch_size": 3}}],
    )
    recipes = {cell.label: cell.unit.recipe for cell in made.cells}
    assert (recipes["fsq"]["lr"], recipes["fsq"]["batch_size"]) == (0.5, 3)
    assert (recipes["vqgan"]["lr"], recipes["vqgan"]["batch_size"]) == (0.25, 3)


def test_a_wrong_recipe_override_names_its_key():
    with pytest.raises(SuiteError, match=r"quantizers\.fsq\.recipe\.stepz.*Did you mean 'steps'"):
        plan(quantizers=[FSQ | {"recipe": {"stepz": 1}}])


def test_unequal_bits_are_an_error_where_the_suite_demands_equal_ones():
    half = {"name": "vqgan", "params": {"codebook_size": 512, "dim": 8}}
    with pytest.raises(UnequalBitsError, match=re.escape("got vqgan 576, expected 640 for every method")):
        plan(quantizers=[FSQ, half], equal_bits=True)
    with pytest.raises(UnequalBitsError, match="expected 512"):
        plan(equal_bits=512)
    assert len(plan(quantizers=[FSQ, half]).cells) == 4


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"quantizers": [{"name": "fssq"}]}, UnknownComponentError, "Did you mean 'fsq'"),
        ({"backbones": [{"name": "resnet50"}]}, UnknownComponentError, "resnet50"),
        ({"evaluation": {"metrics": ["pnsr"]}}, UnknownComponentError, "Did you mean 'psnr'"),
        ({"quantizers": [{"name": "fsq", "params": {"level": [8]}}]}, ParameterError, "Did you mean 'levels'"),
        ({"quantizers": [{"name": "fsq", "params": {"levels": "8"}}]}, ParameterError, "levels"),
        ({"quantizers": [{"name": "fsq", "params": {"levels": [1, 8]}}]}, ParameterError, "levels"),
        ({"quantizers": [{"name": "fsq", "params": {"levels": [2000]}}]}, ParameterError, "levels"),
        ({"quantizers": [gq(dim=3)]}, ParameterError, "dim"),
        ({"quantizers": [gq(codebook_size=1000, target_bits=None)]}, ParameterError, "codebook_size"),
        ({"backbones": [{"name": "unet", "preset": "huge"}]}, ParameterError, "preset"),
        ({"data": {"name": "photos", "image_size": 60}}, SuiteError, "divisible"),
        ({"stride": 6, "data": {"name": "photos", "image_size": 60}}, ParameterError, "power of two"),
        ({"quantizers": [FSQ, FSQ]}, SuiteError, "label"),
        ({"quantizers": [FSQ, FSQ | {"label": "again"}]}, SuiteError, "same cell"),
    ],
)
def test_what_cannot_be_planned_is_one_clear_message(changes, error, message):
    with pytest.raises(error) as caught:
        plan(**changes)
    assert message in str(caught.value)


def test_missing_data_skips_its_cells_with_the_way_to_get_it():
    made = plan(data=[{"name": "photos", "image_size": 64}, {"name": "folder", "image_size": 64}])
    assert {cell.dataset_label for cell in made.cells} == {"photos"}
    assert {skip.dataset for skip in made.skips} == {"folder"}
    assert "--set data.params.root=" in made.skips[0].reason


def test_an_exclusion_skips_with_its_reason():
    made = plan(exclude=[{"quantizer": "f*", "backbone": "vit", "reason": "too slow"}])
    assert [cell.backbone_label for cell in made.cells] == ["unet"]
    assert [(skip.backbone, skip.reason) for skip in made.skips] == [("vit", "too slow")]


def test_filters_take_globs_on_labels_names_and_ids():
    quantizers = [FSQ, VQ, gq("mine")]
    assert {c.label for c in plan(PlanFilter(quantizers=("*q",)), quantizers=quantizers).cells} == {"fsq", "mine"}
    assert {c.label for c in plan(PlanFilter(quantizers=("vqbench/vq*",)), quantizers=quantizers).cells} == {"vqgan"}
    only = PlanFilter(backbones=("vit",), seeds=(1,))
    assert [(c.backbone_label, c.unit.seed) for c in plan(only, seeds=[0, 1]).cells] == [("vit", 1)]


@pytest.mark.parametrize(
    "only",
    [
        PlanFilter(quantizers=("fssq",)),
        PlanFilter(backbones=("x*",)),
        PlanFilter(datasets=("y",)),
        PlanFilter(seeds=(7,)),
    ],
)
def test_a_filter_that_selects_nothing_is_a_usage_error(only):
    with pytest.raises(UsageError, match="one of"):
        plan(only)


@settings(max_examples=25)
@given(st.permutations([FSQ, VQ, TWO_LEVELS, gq()]), st.integers(1, 4))
def test_ids_depend_neither_on_order_nor_on_company(quantizers, count):
    alone = {q["name"]: plan(quantizers=[q]).cells[0].id for q in quantizers}
    together = plan(quantizers=quantizers[:count], backbones=[{"name": "unet", "preset": "tiny"}])
    assert {cell.quantizer.name: cell.id for cell in together.cells} == {
        q["name"]: alone[q["name"]] for q in quantizers[:count]
    }


def test_where_an_image_folder_lies_is_no_part_of_its_identity(tmp_path):
    from PIL import Image

    for folder in ("here", "there"):
        for split in ("train", "test"):
            (tmp_path / folder / split).mkdir(parents=True)
            Image.new("RGB", (64, 64), "red" if split == "train" else "blue").save(tmp_path / folder / split / "a.png")
    here, there = (
        plan(data={"name": "folder", "image_size": 64, "params": {"root": str(tmp_path / folder)}}).cells[0]
        for folder in ("here", "there")
    )
    assert here.id == there.id
    assert here.unit.dataset.parameters["root"] != there.unit.dataset.parameters["root"]
    assert str(tmp_path) not in str(here.unit.identity) + str(here.protocol)


def test_what_a_third_partys_component_was_installed_from_is_recorded_and_no_part_of_its_identity():
    built_in = CATALOG.get("quantizer", "fsq")

    def cell(version):
        theirs = replace(built_in, plugin="theirs", distribution="a-dist", distribution_version=version, builtin=False)
        catalog = Catalog([*CATALOG.entries(), theirs])
        return build_plan(suite(quantizers=[FSQ | {"name": "theirs/fsq"}]), catalog, source="test.toml").cells[0]

    old, new = cell("1.0"), cell("1.1")
    assert old.id == new.id
    records = [component_record(each.quantizer, each.label) for each in (old, new, plan().cells[0])]
    assert [record.distribution for record in records] == ["a-dist 1.0", "a-dist 1.1", None]
    modules = [each.quantizer.module for each in (old, plan().cells[0])]
    assert modules == [None, "vqbench_plugins.quantizers.fsq"]  # a third party's may end the process that imports it
