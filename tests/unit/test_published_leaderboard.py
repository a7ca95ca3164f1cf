"""Published numbers beside a leaderboard: apart in every format, ranked in none, filtered like records."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from records import make_record

from vqbench.errors import UsageError
from vqbench.leaderboard import (
    FORMATS,
    Format,
    Publication,
    RecordFilter,
    make_leaderboard,
    read_publication,
    render,
    select_published,
    select_records,
)

NUMBERS = """
schema = 1
[sources.paper]
name = "Doe <b>et al.</b>|2024"
kind = "paper"
paper = "arXiv 0000.00000"
[sources.blog]
name = "a blog"
kind = "second hand"
[protocols.small]
dataset = "textures"
images = "test split"
count = 10
resolution = 32
crop = "centre"
[protocols.large]
dataset = "photos"
images = "all"
crop = "none"
[metrics.psnr]
name = "psnr"
unit = "dB"
better = "higher"
definition = "unclamped floats"
[metrics.fid]
name = "rfid"
better = "lower"
definition = "pytorch-fid on floats"
[[tables]]
title = "Table one"
protocol = "small"
source = "paper"
rows = [
  { method="fsq", backbone="unet", tokens=16, codebook_size=1024, values={ psnr=99.25, fid=1.5 }, deviations.psnr=3.5 },
  { method = "other-vq", variant = "beta 2", backbone = "vit", bits_per_pixel = 0.25, values.psnr = 12.125, note = "rerun" },
]
[[tables]]
title = "Table two"
protocol = "large"
source = "blog"
rows = [ { method = "fsq", values = { fid = 7.75 } } ]
"""


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    path = tmp_path / "numbers.toml"
    path.write_text(NUMBERS)
    return read_publication(path, id="mine/numbers", summary="textures")


def ours():
    return [make_record(quantizer="fsq", metrics={"psnr": 27.0}), make_record(quantizer="gq", metrics={"psnr": 28.0})]


def with_and_without(publication: Publication, form: Format) -> tuple[str, str]:
    records = ours()
    return (
        render(make_leaderboard(records, published=[publication]), form, width=200),
        render(make_leaderboard(records), form, width=200),
    )


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_a_section_of_its_own_follows_the_unchanged_boards(publication, form: Format) -> None:
    both, alone = with_and_without(publication, form)
    end = "\n</body>\n</html>\n" if form == "html" else "\n"
    assert both.startswith(alone.removesuffix(end))
    section = both[len(alone.removesuffix(end)) :]
    for word in ("ublished", "99.25", "12.125", "7.75", "verified", "secondary", "small", "paper", "unclamped floats"):
        assert word in section or word.upper() in section, word
    assert "test split, 10 images, 32×32, centre" in " ".join(section.split())
    assert "Nothing is ranked here" in section or "Nothing is ranked here" in " ".join(section.split())


@pytest.mark.parametrize("form", FORMATS)
def test_without_published_numbers_nothing_is_said_of_them(form: Format) -> None:
    text = render(make_leaderboard(ours()), form, width=200)
    assert "verified" not in text
    assert "ublished" not in text.replace('"published": []', "")


def test_json_has_them_in_a_list_of_their_own(publication) -> None:
    both, alone = (json.loads(text) for text in with_and_without(publication, "json"))
    assert both["rows"] == alone["rows"]
    assert both["groups"] == alone["groups"]
    assert alone["published"] == []
    first, second, third = both["published"]
    assert "rank" not in first
    assert (first["method"], first["backbone"], first["dataset"], first["image_size"]) == (
        "fsq",
        "unet",
        "textures",
        32,
    )
    assert (first["bits_per_image"], first["bits_per_pixel"]) == (160.0, 0.15625)
    assert first["metrics"]["psnr"] == {
        "value": 99.25,
        "deviation": 3.5,
        "unit": "dB",
        "better": "higher",
        "definition": "unclamped floats",
    }
    assert (first["status"], first["source"]["kind"], first["source"]["paper"]) == (
        "verified",
        "paper",
        "arXiv 0000.00000",
    )
    assert (second["variant"], second["note"]) == ("beta 2", "rerun")
    assert (third["status"], third["protocol"]["images"], third["image_size"]) == ("secondary", "all", None)


def test_csv_keeps_them_out_of_the_columns_of_our_metrics(publication) -> None:
    lines = list(csv.DictReader(io.StringIO(with_and_without(publication, "csv")[0])))
    theirs = [line for line in lines if line["board"] == "published"]
    assert [(line["quantizer"], line["psnr"], line["published_psnr"]) for line in theirs] == [
        ("fsq", "", "99.25"),
        ("other-vq", "", "12.125"),
        ("fsq", "", ""),
    ]
    assert {(line["rank"], line["psnr_low"]) for line in theirs} == {("", "")}
    assert theirs[0]["published_psnr_definition"] == "unclamped floats"
    assert theirs[0]["source"].startswith("Doe <b>et al.</b>|2024")
    assert [line["status"] for line in theirs] == ["verified", "verified", "secondary"]
    assert {line["published_psnr"] for line in lines if line not in theirs} == {""}


def test_they_change_no_rank(publication) -> None:
    made = make_leaderboard(ours(), published=[publication], boards=["quality"])
    ((group,),) = [board.groups for board in made.boards]
    assert [(row.rank, row.row.quantizer.label) for row in group.rows] == [(1, "gq"), (2, "fsq")]


def test_markup_in_a_file_stays_text(publication) -> None:
    assert "<b>" not in with_and_without(publication, "html")[0]
    assert "<b>" not in with_and_without(publication, "markdown")[0]


@pytest.mark.parametrize(
    ("only", "kept"),
    [
        (RecordFilter(), ["fsq", "other-vq (beta 2)", "fsq"]),
        (RecordFilter(quantizers=("fsq",)), ["fsq", "fsq"]),
        (RecordFilter(quantizers=("*vq*",)), ["other-vq (beta 2)"]),
        (RecordFilter(quantizers=("*beta*",)), ["other-vq (beta 2)"]),
        (RecordFilter(quantizers=("fsq", "other-vq"), backbones=("vit",)), ["other-vq (beta 2)"]),
        (RecordFilter(datasets=("photos",)), ["fsq"]),
        (RecordFilter(seeds=("3",), suites=("x",)), ["fsq", "other-vq (beta 2)", "fsq"]),
        (RecordFilter(quantizers=("gq",)), []),
    ],
)
def test_filters_select_them_by_method_backbone_and_dataset(publication, only: RecordFilter, kept: list[str]) -> None:
    found = select_published([publication], only)
    assert [row.label for p in found for table in p.tables for row in table.rows] == kept
    assert all(table.rows for p in found for table in p.tables)


def test_a_pattern_may_match_published_numbers_instead_of_records(publication) -> None:
    only = RecordFilter(quantizers=("other-*",))
    assert select_records(ours(), only, published=[publication]) == []
    with pytest.raises(UsageError, match="matches no record"):
        select_records(ours(), only)
    with pytest.raises(UsageError, match="Did you mean 'other-vq"):
        select_records(ours(), RecordFilter(quantizers=("other-vg",)), published=[publication])
