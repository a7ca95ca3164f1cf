import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqbench.rate import Bits, LevelRate

sizes = st.lists(st.integers(2, 1 << 62), min_size=1, max_size=4).map(tuple)


def one_level(height, width, *codebook_sizes):
    return [LevelRate(height=height, width=width, codebook_sizes=codebook_sizes)]


@pytest.mark.parametrize(
    ("levels", "bits"),
    [
        (one_level(8, 8, 1024), 640),
        (one_level(4, 4, 256) + one_level(8, 8, 256), 640),
        (one_level(8, 8, 32, 32), 640),
        (one_level(32, 32, 1 << 16), 16384),
        (one_level(32, 32, 512) + one_level(64, 64, 512), 46080),
    ],
)
def test_bits_of_published_layouts_are_whole_and_exact(levels, bits):
    assert Bits.of(levels) == Bits.whole(bits)
    assert str(Bits.of(levels)) == str(bits)


def test_bits_of_codebooks_that_are_no_power_of_two_are_fractional():
    assert float(Bits.of(one_level(16, 16, 1000))) == pytest.approx(256 * math.log2(1000), rel=1e-14)


def test_equality_is_decided_on_integers_and_not_on_rounded_logarithms():
    huge = 1 << 61
    nearly = Bits.of(one_level(1, 1, huge + 1))
    assert float(nearly) == float(Bits.of(one_level(1, 1, huge)))
    assert nearly != Bits.of(one_level(1, 1, huge))


@given(sizes, st.integers(1, 8), st.integers(1, 8))
def test_bits_agree_with_the_sum_of_logarithms(codebook_sizes, height, width):
    bits = Bits.of(one_level(height, width, *codebook_sizes))
    assert float(bits) == pytest.approx(height * width * sum(math.log2(k) for k in codebook_sizes), rel=1e-12)


@given(sizes)
def test_the_order_of_slots_and_their_split_into_levels_change_nothing(codebook_sizes):
    together = Bits.of(one_level(2, 2, *codebook_sizes))
    apart = Bits.of([level for k in reversed(codebook_sizes) for level in one_level(2, 2, k)])
    assert together == apart


def test_a_very_large_number_of_code_images_still_has_a_float():
    assert float(Bits.of(one_level(64, 64, 1000))) == pytest.approx(4096 * math.log2(1000), rel=1e-12)
