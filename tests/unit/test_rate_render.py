"""The rate board in every format, as a picture, and beside the records of a run."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from rate_records import curve
from records import make_record

from vqbench.errors import ResultsError
from vqbench.leaderboard import (
    FORMATS,
    Format,
    Leaderboard,
    make_rate_board,
    render,
    select_groups,
    write_leaderboard_files,
)
from vqbench.leaderboard.plot import plot_rate_board
from vqbench.leaderboard.rate_board import RateBoard
from vqbench.leaderboard.rate_layout import rate_columns, rate_remarks
from vqbench.results import CellRecord, ResultsFolder

HOSTILE = "_<b>$\\frac{$|`x`\x1b[2J\n=cmd()&\"'*漢"


def two_curves(**more: object) -> list[CellRecord]:
    return [
        *curve("a", [20, 22, 24], lpips=[0.5, 0.4, 0.3], **more),  # type: ignore[arg-type]
        *curve("b", [20.7, 22.7, 24.7], lpips=[0.45, 0.35, 0.25], **more),  # type: ignore[arg-type]
        *curve("once", [23], bits=(8,), **more),  # type: ignore[arg-type]
    ]


def board_of(records: list[CellRecord]) -> RateBoard:
    board = make_rate_board(records)
    assert board is not None
    return board


def shown(records: list[CellRecord], form: Format, *, width: int = 120) -> str:
    return render(Leaderboard(boards=(), unfinished=(), broken=(), rate=board_of(records)), form, width=width)


def test_the_table_says_who_the_anchor_is_and_by_how_much_others_differ() -> None:
    (group,) = board_of(two_curves()).groups
    cells = {column.title: column.cells for column in rate_columns(group)}
    assert cells == {
        "quantizer": ("b", "a (anchor)"),
        "BD-rate by psnr [%] ↓": ("†-21.5", "0.0"),
        "BD-psnr [dB] ↑": ("+0.70", "0.00"),
        "BD-rate by lpips_alex [%] ↓": ("†-29.3", "0.0"),
        "BD-lpips_alex ↓": ("-0.0500", "0.0000"),
        "rates": ("3", "3"),
        "bits/pixel": ("0.125–0.5", "0.125–0.5"),
    }
    assert rate_remarks(group) == [
        "† BD-rate by psnr rests on less than 75 % of the range that the two curves cover (b: 70 %)",
        "† BD-rate by lpips_alex rests on less than 75 % of the range that the two curves cover (b: 60 %)",
        "Bjøntegaard deltas are usually taken over 4 rates or more; here are fewer",
        "run at one rate only: once",
    ]


def test_lopsided_intervals_show_both_ends() -> None:
    records = [
        r
        for seed, gain in enumerate((0.1, 1.0, 2.0))
        for r in curve("a", [20, 22, 24], seed=seed) + curve("b", [20 + gain, 22 + gain, 24 + gain], seed=seed)
    ]
    (group,) = board_of(records).groups
    rate, quality = (column.cells[0] for column in rate_columns(group)[1:3])
    assert quality == "+1.03 ±2.36"
    assert rate == "†-30.1 [-69.2, +58.4]"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_deltas(form: Format) -> None:
    text = shown(two_curves(), form)
    for part in ("0.70", "-21.5") if form in ("table", "markdown", "html") else ("-21.54", "0.699999999", "bd_"):
        assert part in text


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_labels_break_no_format(form: Format) -> None:
    text = shown(curve(HOSTILE, [20, 22, 24]) + curve("b", [21, None, 25]), form)
    assert all(c == "\n" or c.isprintable() for c in text)
    assert "<b>" not in text or form in ("table", "csv", "json")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal(width: int) -> None:
    assert max(map(len, shown(two_curves(), "table", width=width).splitlines())) <= width


def test_json_has_every_ordered_pair_and_all_points() -> None:
    records = two_curves() + curve("c", [30, 31, 32])
    (group,) = json.loads(shown(records, "json"))["rate"]["groups"]
    assert [(len(c["points"]), c["id"]) for c in group["curves"]] == [(3, f"vqbench/{m}") for m in "cba"]
    assert group["curves"][2]["points"][0]["metrics"]["psnr"]["value"] == 20
    pairs = {(d["quantizer"], d["anchor"], d["metric"]): d for d in group["deltas"]}
    assert len(pairs) == len(group["deltas"]) == 3 * 2 * 2
    there, back = (pairs[pair]["bd_quality"]["value"] for pair in (("b", "a", "psnr"), ("a", "b", "psnr")))
    assert there == pytest.approx(-back)
    there, back = (pairs[pair]["bd_rate"]["value"] for pair in (("b", "a", "psnr"), ("a", "b", "psnr")))
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)
    assert "share no range" in pairs["c", "a", "psnr"]["bd_rate"]["reason"]
    assert json.loads(render(Leaderboard(boards=(), unfinished=(), broken=()), "json"))["rate"] is None


def test_csv_has_a_line_for_each_curve() -> None:
    lines = list(csv.DictReader(io.StringIO(shown(two_curves() + curve("c", [30, 31, 32]), "csv"))))
    assert [(line["board"], line["quantizer"], line["anchor"]) for line in lines] == [
        ("rate", name, "a") for name in "cba"
    ]
    assert float(lines[1]["bd_psnr"]) == pytest.approx(0.7)
    assert lines[0]["bd_rate_psnr"] == ""
    assert "no bd_rate_psnr: the curves share no range of quality" in lines[0]["reason"]


def test_groups_are_chosen_by_dataset_or_id() -> None:
    made = Leaderboard(boards=(), unfinished=(), broken=(), rate=board_of(two_curves() + two_curves(dataset="faces")))
    kept = select_groups(made, ["faces"]).rate
    assert kept is not None
    assert [group.dataset for group in kept.groups] == ["faces"]
    again = select_groups(made, [kept.groups[0].id]).rate
    assert again == kept


def test_the_plot_is_a_picture_with_a_panel_for_each_backbone_and_metric(tmp_path: Path) -> None:
    one, four = tmp_path / "one.png", tmp_path / "four.png"
    plot_rate_board(board_of(curve("a", [20, 22, 24])), one)
    records = two_curves() + two_curves(backbone="vit")
    plot_rate_board(board_of(records), four)
    with Image.open(one) as small, Image.open(four) as large:
        assert small.format == large.format == "PNG"
        assert large.size == (2 * small.width, 2 * small.height)
        colours = small.convert("RGB").getcolors(1 << 20) or []
        assert (31, 119, 180) in {colour for _, colour in colours}  # the first curve's blue


def test_the_plot_of_hostile_labels_is_sound_xml_and_the_same_again(tmp_path: Path) -> None:
    records = curve(HOSTILE, [20, 22, 24], backbone="vi$t$", dataset="$\\x") + curve("b", [21, None, 25])
    first, second = tmp_path / "a.svg", tmp_path / "b.SVG"
    plot_rate_board(board_of(records), first)
    plot_rate_board(board_of(records[::-1]), second)
    assert first.read_bytes() == second.read_bytes()
    assert ElementTree.parse(first).getroot().tag.endswith("svg")
    assert len(list(ElementTree.parse(first).iter("{http://www.w3.org/2000/svg}path"))) > 20


def test_many_groups_and_methods_are_drawn_in_bounds(tmp_path: Path) -> None:
    values = [20, 22, 24]
    records = [r for name in range(90) for r in curve(f"m{name}", values)]
    records += [r for name in range(14) for r in curve("a", values, backbone=f"net{name}")]
    plot_rate_board(board_of(records), tmp_path / "many.png")
    with Image.open(tmp_path / "many.png") as image:
        assert max(image.size) < 4000


def test_a_plot_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be written"):
        plot_rate_board(board_of(two_curves()), tmp_path / "none" / "x.png")


def test_a_run_leaves_tables_and_plot_where_there_are_curves(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path, "quickstart")
    folder.prepare()
    write_leaderboard_files(folder, [make_record()])
    assert not (folder.path / "rate.png").exists()
    assert "Rate–distortion" not in (folder.path / "LEADERBOARD.md").read_text()
    text = write_leaderboard_files(folder, two_curves())
    page = (folder.path / "LEADERBOARD.md").read_text()
    assert "RATE–DISTORTION · photos 64×64 · unet" in text
    assert "| b | †-21.5 | +0.70 |" in page
    assert "](rate.png)" in page
    plot = (folder.path / "rate.png").read_bytes()
    assert plot.startswith(b"\x89PNG")
    write_leaderboard_files(folder, two_curves()[::-1])
    assert (folder.path / "rate.png").read_bytes() == plot
    assert (folder.path / "LEADERBOARD.md").read_text() == page
