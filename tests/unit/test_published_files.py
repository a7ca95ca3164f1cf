"""Reading files of published numbers, and the ones that ship with vqbench."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.errors import PluginError
from vqbench.leaderboard import Publication, read_publication
from vqbench_plugins.published import PUBLISHED

GOOD = """
schema = 1
[sources.paper]
name = "Doe, table 2"
kind = "paper"
[sources.hearsay]
name = "somebody's blog"
kind = "second hand"
[protocols.p]
dataset = "textures"
images = "test split"
count = 10
resolution = 32
crop = "centre"
[metrics.psnr]
name = "psnr"
unit = "dB"
better = "higher"
definition = "mean over images"
[metrics.psnr-pooled]
name = "psnr"
unit = "dB"
better = "higher"
definition = "of the pooled error"
[[tables]]
title = "T"
protocol = "p"
source = "paper"
rows = [
  { method = "vqgan", backbone = "unet", tokens = 16, codebook_size = 1024, values.psnr = 21.5, deviations.psnr = 2.0 },
  { method = "fsq", bits_per_pixel = 0.25, source = "hearsay", values = { psnr-pooled = 20 } },
  { method = "vae", codebook = "continuous", values = { psnr = 30 }, note = "the ceiling" },
]
"""


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str | bytes = GOOD) -> Publication:
        path = tmp_path / "numbers.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_publication(path, id="mine/numbers", summary="textures")

    return read


def test_rows_carry_rate_protocol_source_and_the_definition_of_each_number(read) -> None:
    publication = read()
    assert (publication.id, publication.summary) == ("mine/numbers", "textures")
    (table,) = publication.tables
    vqgan, fsq, vae = table.rows
    assert str(table.protocol) == "test split, 10 images, 32×32, centre"
    assert (vqgan.bits_per_image, vqgan.bits_per_pixel, vqgan.codebook) == (160.0, 0.15625, "16 tokens, K = 1024")
    assert (vqgan.source.name, vqgan.source.status, vqgan.backbone) == ("Doe, table 2", "verified", "unet")
    number = vqgan.numbers["psnr"]
    assert (number.value, number.deviation, number.metric.definition) == (21.5, 2.0, "mean over images")
    assert (fsq.bits_per_image, fsq.bits_per_pixel) == (256.0, 0.25)
    assert (fsq.source.status, fsq.numbers["psnr"].metric.definition) == ("secondary", "of the pooled error")
    assert (vae.bits_per_image, vae.bits_per_pixel, vae.codebook, vae.note) == (None, None, "continuous", "the ceiling")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "'schema' is malformed"),
        ("schema = 1", "", "'schema' is malformed: got Field required"),
        ("psnr = 21.5", 'psnr = "21.5"', "rows[0].values.psnr"),
        ("psnr = 21.5", "psnr = nan", "finite"),
        ("psnr = 21.5", "ssim = 0.5", "deviations of psnr without a value"),
        ("values.psnr = 21.5", "values = { psnr = 1.0, psnr-pooled = 2.0 }", "rows[0] has two values of psnr"),
        ("values = { psnr = 30 }", "values = { ssim = 0.5 }", "rows[2].values names 'ssim', which is not defined"),
        ("values = { psnr = 30 }", "values = {}", "rows[2].values"),
        (
            'source = "paper"',
            'source = "papers"',
            "source names 'papers', which is not defined: expected paper, hearsay",
        ),
        ('source = "paper"\nrows', "rows", "rows[0] has no source"),
        ('protocol = "p"', 'protocol = "q"', "tables[0].protocol names 'q'"),
        ('kind = "paper"', 'kind = "rumour"', "sources.paper.kind"),
        ('better = "higher"\ndefinition = "mean', 'better = "more"\ndefinition = "mean', "metrics.psnr.better"),
        ("tokens = 16, ", "tokens = 16, bits_per_pixel = 0.3, ", "differ: got 0.3 and 0.15625"),
        ("codebook_size = 1024, ", "", "tokens without codebook_size"),
        ("codebook_size = 1024", "codebook_size = 1", "codebook_size"),
        ('title = "T"', 'title = "T"\ncolour = "red"', "tables[0].colour"),
        ('title = "T"', 'title = "two\\nlines"', "tables[0].title"),
        ('method = "fsq"', 'method = "=cmd()"', "rows[1].method"),
        ("[[tables]]", "[[tables", "not valid TOML"),
    ],
)
def test_a_mistake_is_an_error_that_names_file_and_key(read, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(PluginError) as error:
        read(GOOD.replace(old, new, 1))
    assert message in str(error.value)
    assert "mine/numbers" in str(error.value)
    assert "numbers.toml" in str(error.value)


def test_sizes_are_bounded_and_odd_bytes_refused(read, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="too large"):
        read(GOOD + "#" * (1 << 20))
    with pytest.raises(PluginError, match="not UTF-8"):
        read(b"\xff\xfe")
    with pytest.raises(PluginError, match=r"not valid TOML|malformed"):
        read("a = " + "[" * 100_000)
    with pytest.raises(PluginError, match="cannot be read"):
        read_publication(tmp_path / "absent.toml", id="a/b", summary="")


BUNDLED = [read_publication(spec.path, id=f"vqbench/{spec.name}", summary=spec.summary) for spec in PUBLISHED]
ROWS = [(publication, table, row) for publication in BUNDLED for table in publication.tables for row in table.rows]


def number(table_title: str, method: str, metric: str, **wanted: object) -> list[float]:
    return [
        row.numbers[metric].value
        for _, table, row in ROWS
        if table.title == table_title and row.method == method and metric in row.numbers
        if all(getattr(row, field) == value for field, value in wanted.items())
    ]


def test_the_bundled_files_are_announced_by_the_hook() -> None:
    catalog = Catalog.load(CatalogOptions(autoload=False))
    assert [entry.id for entry in catalog.publications()] == sorted(publication.id for publication in BUNDLED)
    assert catalog.find("publication:gq-comparison").spec.path.is_file()


def test_bundled_numbers_are_those_of_their_sources() -> None:
    figure = "GQ figure 1, UNet"
    assert number(figure, "gq", "psnr") == [27.61, 30.17, 32.47]
    assert number(figure, "lfq", "rfid", bits_per_pixel=0.25) == [16.337]
    assert number("GQ figure 1, ViT", "vqgan", "ssim") == [0.740, 0.823, 0.899]
    assert number("GQ logs, ViT", "bsq", "lpips", bits_per_pixel=1.0) == [0.0270]
    assert number("GQ logs, COCO, UNet", "fsq", "rfid") == [5.4516, 4.0088, 2.7978]
    assert number("BSQ-ViT README", "bsq", "psnr", bits_per_pixel=0.5625) == [27.88, 28.14]
    assert number("VQGAN (taming-transformers)", "vqgan", "rfid", bits_per_pixel=0.0390625) == [7.94]
    assert number("IBQ", "ibq", "code_usage") == [99, 98, 96, 84]
    assert number("SimVQ README", "simvq", "psnr") == [22.34, 23.23, 24.15, 24.68]
    assert number("xyfJASON, CelebA-64", "fsq", "psnr") == [30.8543, 30.9025]
    assert number("VQ-WAE table 1, CIFAR-10", "sq_vae", "perplexity") == [434.8]


def test_bundled_numbers_are_in_the_range_of_their_metric() -> None:
    ranges = {"psnr": (15, 40), "lpips": (0, 1), "rfid": (0, 300), "code_usage": (0, 100), "ms_ssim": (0, 1)}
    for _, table, row in ROWS:
        for name, measured in row.numbers.items():
            low, high = ranges.get(name, (0, 1e4))
            if name == "ssim":
                high = 100 if measured.metric.unit == "%" else 1
            assert low < measured.value <= high, (table.title, row.label, name)


def test_every_bundled_row_says_where_it_is_from_and_nothing_second_hand_is_called_verified() -> None:
    for _, _, row in ROWS:
        assert row.source.name
        assert (row.source.status == "secondary") == (row.source.kind == "second hand")
    assert {row.source_key for _, _, row in ROWS if row.source.status == "secondary"} >= {"wizwand", "gq-quoted"}


def test_the_methods_of_the_comparison_have_published_numbers_under_their_own_names() -> None:
    catalog = Catalog.load(CatalogOptions(autoload=False))
    ours = {entry.name for entry in catalog.entries("quantizer")}
    published = {row.method for _, _, row in ROWS}
    assert published & ours >= {"gq", "gaussian_vae", "vqgan", "fsq", "lfq", "bsq", "tokenbridge", "rq_vae", "sq_vae"}
    assert not published & {"sq_vae_2", "rsq_vae", "hq_vae", "vq_vae_2"}  # none could be verified


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_no_definition_source_or_protocol_of_a_bundled_file_lies_idle(spec) -> None:
    document = tomllib.loads(spec.path.read_text())
    rows = [(table, row) for table in document["tables"] for row in table["rows"]]
    assert set(document["protocols"]) == {table["protocol"] for table, _ in rows}
    assert set(document["sources"]) == {row.get("source", table.get("source")) for table, row in rows}
    assert set(document["metrics"]) == {key for _, row in rows for key in row["values"]}


def test_no_bundled_file_takes_the_short_name_of_another_component() -> None:
    catalog = Catalog.load(CatalogOptions(autoload=False))
    for spec in PUBLISHED:
        assert catalog.find(spec.name).kind == "publication"
