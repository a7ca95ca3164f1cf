"""Formats: the same numbers in each, and nothing a stranger's record says can break them."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from records import component, make_record, metric

from vqbench.leaderboard import FORMATS, Format, Leaderboard, make_leaderboard, render
from vqbench.leaderboard.layout import heading, text_columns
from vqbench.leaderboard.render.table import fit
from vqbench.results import BrokenRecord

HOSTILE = "<script>alert(1)</script>|`x`\x1b[2J\n=cmd()&\"'*_b_*"


def board_of_three() -> Leaderboard:
    return make_leaderboard(
        [
            make_record(quantizer="fsq", metrics={"psnr": metric(27.125, 0.4), "l1": 0.03}),
            make_record(quantizer="vq", metrics={"psnr": metric(26.25, 0.3), "l1": 0.04}),
            make_record(quantizer="gq", metrics={"psnr": metric(None, reason="weights are missing"), "l1": 0.05}),
            make_record(quantizer="lfq", failure=("timeout", "longer than 5 s")),
        ],
        [BrokenRecord(path=Path("r/0123456789abcdef.json"), reason="not JSON")],
        boards=["quality"],
    )


def hostile_board() -> Leaderboard:
    bad = component("x").model_copy(update={"label": HOSTILE})
    numbers: dict[str, Any] = {
        "psnr": metric(None, reason=HOSTILE, unit=HOSTILE[:60], protocol=HOSTILE),
        "=1+1": metric(1.0, unit="=1+1"),
    }
    return make_leaderboard(
        [
            make_record(quantizer=bad, backbone=bad, dataset=bad, metrics=numbers, notes=[HOSTILE]),
            make_record(quantizer=bad, seed=1, failure=("failed", HOSTILE)),
        ],
        [BrokenRecord(path=Path("r\udcff\x1b") / HOSTILE.replace("/", ""), reason=HOSTILE)],
    )


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("td", "th") and self.cells:
            self.cells[-1] += data


def test_all_formats_hold_the_same_numbers() -> None:
    made = board_of_three()
    ((group,),) = [board.groups for board in made.boards]
    by_name = {column.title: column.cells for column in text_columns(group)}
    assert by_name["psnr [dB] ↑"] == ("27.12 ±0.40", "26.25 ±0.30", "–")
    assert by_name["#"] == ("1", "2", "–")
    for form in ("table", "markdown", "html"):
        text = render(made, form)
        for cell in ("27.12 ±0.40", "26.25 ±0.30", "0.0300"):
            assert cell in text, (form, cell)
    rows = json.loads(render(made, "json"))["rows"]
    lines = list(csv.DictReader(io.StringIO(render(made, "csv"))))
    for row, line in zip(rows, lines, strict=False):
        for name in ("psnr", "l1"):
            for part in ("value", "low", "high"):
                exact = row["metrics"][name][part]
                found = line[name if part == "value" else f"{name}_{part}"]
                assert found == ("" if exact is None else repr(exact))
    assert [row["metrics"]["psnr"]["value"] for row in rows] == [27.125, 26.25, None]


@pytest.mark.parametrize("form", FORMATS)
def test_what_has_no_numbers_is_listed_with_its_reason(form: Format) -> None:
    text = render(board_of_three(), form)
    for reason in ("weights are missing", "longer than 5 s", "0123456789abcdef.json", "not JSON"):
        assert reason in text


def test_a_json_row_keeps_the_contract() -> None:
    document = json.loads(render(board_of_three(), "json"))
    contract = {
        *(
            "cell_ids",
            "quantizer",
            "backbone",
            "dataset",
            "bits_per_image",
            "bits_per_pixel",
            "seeds",
            "status",
            "metrics",
        )
    }
    row = document["rows"][0]
    assert contract <= row.keys()
    assert row["cell_ids"] == [make_record(quantizer="fsq", metrics={}).cell_id]
    assert (row["quantizer"], row["backbone"], row["dataset"]) == ("fsq", "unet", "photos")
    assert (row["bits_per_image"], row["bits_per_pixel"], row["seeds"], row["status"]) == (512.0, 0.125, [0], "ok")
    psnr = row["metrics"]["psnr"]
    assert {name: psnr[name] for name in ("value", "low", "high", "n", "unit", "better")} == {
        "value": 27.125,
        "low": 26.725,
        "high": 27.525,
        "n": 24,
        "unit": "dB",
        "better": "higher",
    }
    comparison = document["rows"][1]["comparison"]
    assert comparison["with"] == row["cell_ids"]
    assert comparison["difference"] == -0.875
    assert comparison["low"] < -0.875 < comparison["high"] < 0
    assert 0 < comparison["p"] == comparison["p_corrected"] < 0.05
    assert (comparison["method"], comparison["verdict"]) == ("Welch's t of intervals", "lower")
    assert row["comparison"] is None
    assert document["rows"][2]["metrics"]["psnr"]["reason"] == "weights are missing"
    assert row["group"] in {group["group"] for group in document["groups"]}
    (unfinished,) = document["unfinished"]
    assert contract <= unfinished.keys()
    assert (unfinished["status"], unfinished["metrics"]) == ("timeout", {})


def test_json_is_strict_even_where_a_record_is_not() -> None:
    odd = component("fsq", beta=float("nan"), other=float("inf"))
    text = render(make_leaderboard([make_record().model_copy(update={"quantizer": odd})]), "json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    parameters = json.loads(text, parse_constant=refuse)["rows"][0]["components"]["quantizer"]["parameters"]
    assert parameters == {"beta": "nan", "other": "inf"}


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_passes_control_characters_on(form: Format) -> None:
    text = render(hostile_board(), form)
    assert all(c == "\n" or c.isprintable() for c in text)
    text.encode()  # no lone surrogates


def test_html_shows_markup_as_text() -> None:
    page = Page()
    text = render(hostile_board(), "html")
    page.feed(text)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert any("<script>alert(1)</script>|`x`" in cell for cell in page.cells)
    assert "http-equiv" in text
    assert not re.search(r'(src|href)="', text)


def test_markdown_tables_keep_their_columns() -> None:
    for line in render(hostile_board(), "markdown").splitlines():
        assert "<script>" not in line
        if line.startswith("| – |"):
            cells = re.split(r"(?<!\\)\|", line)
            assert len(cells) == 2 + 6  # the outer bars; rank, quantizer, backbone, two metrics and n
            assert "\\`x\\`" in cells[2]


def test_csv_has_no_formulas() -> None:
    lines = list(csv.reader(io.StringIO(render(hostile_board(), "csv"))))
    assert len({len(line) for line in lines}) == 1
    for line in lines:
        for cell in line:
            assert not cell.lstrip().startswith(("=", "+", "@"))
            assert not cell.startswith("-") or float(cell)
    assert "'=1+1" in lines[0]


def test_negative_numbers_stay_numbers_in_csv() -> None:
    record = make_record(metrics={"m": metric(-1.5, 0.25)})
    (line,) = csv.DictReader(io.StringIO(render(make_leaderboard([record], boards=["quality"]), "csv")))
    assert (line["m"], line["m_low"]) == ("-1.5", "-1.75")


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
def test_tables_fit_the_terminal_and_say_what_they_leave_out(width: int) -> None:
    numbers = {
        name: metric(1.0 + i, 0.1) for i, name in enumerate(("psnr", "ssim", "l1", "ms_ssim", "delta_e", "lpips"))
    }
    made = make_leaderboard([make_record(quantizer=q, metrics=numbers) for q in ("fsq", "vq")], boards=["quality"])
    text = render(made, "table", width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "psnr [dB]" in text
    assert ("Not shown" in text) == (width < 200)
    columns = text_columns(made.boards[0].groups[0])
    kept, left_out = fit(columns, width)
    assert {column.title for column in columns} <= {column.title for column in kept} | set(left_out)
    assert [column.title for column in kept[:4]] == ["#", "quantizer", "backbone", "psnr [dB] ↑"]


def test_a_wide_terminal_shows_every_column() -> None:
    record = make_record(levels=((4, (256,)), (8, (64, 32))), metrics={"code_efficiency": 0.9, "perplexity": 100.0})
    text = render(make_leaderboard([record], boards=["usage"]), "table", width=200)
    assert "l0 128/256 · l1 32/64 · l1 16/32" in text
    assert "Not shown" not in text


def test_many_slots_are_summarised() -> None:
    record = make_record(levels=((8, (2,) * 18),), metrics={"code_efficiency": 0.9})
    assert "l0 1/2 in 18 slots" in render(make_leaderboard([record], boards=["usage"]), "markdown")


def test_headings_say_what_a_group_is() -> None:
    made = make_leaderboard([make_record(metrics={"psnr": 25.0, "encode_images_per_second": 9.0})])
    quality, _, throughput = made.boards
    text = heading(quality.groups[0])
    for part in ("photos 64×64", "512 bits/image", "0.125 bits/pixel", "16000 images seen", "protocol "):
        assert part in text
    assert "cpu, 2 threads, float32, torch 2.9.0" in heading(throughput.groups[0])
    continuous = make_leaderboard([make_record(levels=((8, ()),))], boards=["quality"])
    assert "continuous latent" in heading(continuous.boards[0].groups[0])


def test_seeds_without_numbers_are_counted_in_the_table() -> None:
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, failure=("failed", "boom"))]
    ((group,),) = [board.groups for board in make_leaderboard(records, boards=["quality"]).boards]
    by_name = {column.title: column.cells for column in text_columns(group)}
    assert by_name["seeds"] == ("2/3",)
    assert by_name["n"] == ("2 seeds",)
    assert "Student's" in render(make_leaderboard(records), "table")
