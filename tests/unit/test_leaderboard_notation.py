"""Numbers and texts as people read them."""

from __future__ import annotations

import pytest
from records import make_record, metric

from vqbench.leaderboard import RowMetric, make_rows
from vqbench.leaderboard.notation import clean, clip, count, with_interval


def number(value: float | None, low: float | None = None, high: float | None = None, unit: str = "") -> RowMetric:
    record = make_record(metrics={"m": metric(value, unit=unit, low=low, high=high)})
    return make_rows([record], "quality")[0].metrics["m"]


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("psnr", number(27.123, 26.723, 27.523, "dB"), "27.12 ±0.40"),
        ("psnr", number(27.123, 26.0, 27.523, "dB"), "27.12 [26.00, 27.52]"),
        ("psnr", number(15.17, 14.69, 15.67, "dB"), "15.17 ±0.49"),
        ("psnr", number(27.123, None, 27.5, "dB"), "27.12"),
        ("psnr", number(-0.001, unit="dB"), "0.00"),
        ("ssim", number(0.87654321, 0.86654321, 0.88654321), "0.8765 ±0.0100"),
        ("l1", number(0.0312), "0.0312"),
        ("mse", number(0.000123456), "0.000123"),
        ("encode_images_per_second", number(1234.5, 1204.5, 1264.5, "images/s"), "1230 ±30"),
        ("encode_images_per_second", number(0.98765, unit="images/s"), "0.988"),
        ("perplexity", number(212.345), "212.3"),
        ("entropy_bits_per_image", number(65536.04), "65536"),
        ("code_usage", number(99.951, unit="%"), "100.0"),
        ("fid", number(0.0), "0.0000"),
        ("loss", number(1.5e300), "1.5e+300"),
        ("loss", number(1.5e-300), "1.5e-300"),
        ("psnr", number(None), "–"),
    ],
)
def test_numbers_have_the_digits_they_deserve(name: str, given: RowMetric, shown: str) -> None:
    assert with_interval(name, given) == shown


def test_a_missing_number_is_a_dash() -> None:
    assert with_interval("psnr", None) == "–"


def test_counts_are_whole_unless_averaged() -> None:
    assert (count(212.0), count(212.5)) == ("212", "212.5")


def test_text_that_could_drive_a_terminal_is_made_harmless() -> None:
    assert clean("plain × text") == "plain × text"
    assert clean("a\nb\tc\u2028d\u00a0e") == "a b c d e"
    assert clean("\x1b[31mred\x9b\u202e\udcff\x00") == "\ufffd[31mred" + "\ufffd" * 4


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcde…"
