"""Equal bits are equal bits, and nothing else is."""

from __future__ import annotations

import time

from vqbench.leaderboard.rate import rate_of
from vqbench.results import LevelRecord


def level(side: int, *sizes: int) -> LevelRecord:
    return LevelRecord(stride=1, height=side, width=side, codebook_sizes=list(sizes))


def test_the_same_number_of_code_images_is_the_same_rate() -> None:
    assert rate_of([level(8, 8, 8, 8, 5, 5, 5)]) == rate_of([level(8, 64_000)])
    assert rate_of([level(4, 256), level(8, 256)]) == rate_of([level(8, 256), level(4, 16, 16)])
    assert rate_of([level(2, 256)]) == rate_of([level(4, 4)])


def test_rates_that_only_round_to_the_same_number_differ() -> None:
    near, whole = rate_of([level(1, 2**60 + 1)]), rate_of([level(1, 2**60)])
    assert near.bits == whole.bits == 60.0
    assert near != whole
    assert near.text == "≈60 bits/image"
    assert whole.text == "60 bits/image"


def test_a_level_without_codebook_makes_the_latent_continuous() -> None:
    assert rate_of([level(8)]).bits is None
    assert rate_of([level(4, 256), level(8)]) == rate_of([level(8)])
    assert rate_of([level(8)]) != rate_of([level(8, 1)])


def test_a_hostile_record_costs_no_time() -> None:
    began = time.process_time()
    huge = [level(65_536, *[3] * 1000)]
    assert rate_of(huge) == rate_of(huge)
    assert rate_of(huge) != rate_of([level(65_536, *[3] * 999)])
    assert time.process_time() - began < 5  # multiplied out, this would take days and terabytes
