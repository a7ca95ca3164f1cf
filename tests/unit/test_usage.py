"""Codebook usage: counts, entropies and their limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vqbench.errors import TensorError
from vqbench.worker import usage
from vqbench.worker.usage import CodeUsage, slot_usage


def _codes(*values: int) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def _measure(size: int, *batches: torch.Tensor) -> usage.SlotUsage:
    codes = CodeUsage([(size,)])
    for batch in batches:
        codes.update(0, batch)
    (measured,) = codes.compute()
    return measured


def test_a_uniform_code_has_log2_k_bits() -> None:
    measured = _measure(65536, torch.arange(65536).reshape(4, 1, 128, 128))
    assert measured.entropy_bits == pytest.approx(16, abs=1e-12)
    assert measured.perplexity == pytest.approx(65536)
    assert (measured.usage, measured.active, measured.tokens) == (1, 65536, 65536)


def test_a_single_code_has_no_bits() -> None:
    measured = _measure(8, _codes(3, 3, 3, 3))
    assert (measured.entropy_bits, measured.miller_madow_bits, measured.perplexity) == (0, 0, 1)
    assert math.copysign(1, measured.entropy_bits) == 1
    assert measured.usage == 1 / 8


def test_entropy_of_a_known_histogram() -> None:
    measured = _measure(4, _codes(0, 0, 0, 0, 1, 1, 3, 3))  # p = 1/2, 1/4, 0, 1/4
    assert measured.entropy_bits == pytest.approx(1.5)
    assert measured.perplexity == pytest.approx(2**1.5)
    assert measured.miller_madow_bits == pytest.approx(1.5 + 2 / (2 * 8 * math.log(2)))
    assert (measured.active, measured.usage) == (3, 0.75)


@pytest.mark.parametrize(
    ("size", "images", "expected"),
    [(262144, 100, 0.093), (65536, 100, 0.323), (262144, 5000, 0.9924), (65536, 5000, 1.0), (262144, 50000, 1.0)],
)
def test_uniform_expectation_of_256_tokens_an_image(size: int, images: int, expected: float) -> None:
    measured = slot_usage(torch.tensor([images * 256]), size)
    assert measured.uniform_expectation == pytest.approx(expected, abs=5e-4)


def test_uniform_expectation_keeps_its_digits_for_huge_codebooks() -> None:
    assert slot_usage(torch.tensor([1000]), 2**60).uniform_expectation == pytest.approx(1000 / 2**60, rel=1e-9, abs=0)
    assert slot_usage(torch.tensor([5]), 1).uniform_expectation == 1


def test_nothing_measured_is_null_and_not_zero() -> None:
    for measured in (_measure(16), _measure(16, torch.empty(0, 1, 4, 4, dtype=torch.int64))):
        assert (measured.tokens, measured.codebook_size) == (0, 16)
        assert measured.reason == "no tokens were evaluated"
        values = (measured.active, measured.usage, measured.uniform_expectation, measured.entropy_bits)
        assert values == (None,) * 4
        assert (measured.miller_madow_bits, measured.perplexity) == (None, None)


def test_levels_and_slots_are_counted_apart() -> None:
    codes = CodeUsage([(2,), (3, 5), ()])
    codes.update(0, torch.tensor([[[[0, 1]]]]))
    codes.update(1, torch.tensor([[[[0, 0, 1]], [[4, 4, 4]]]]))
    codes.update(2, torch.empty(1, 0, 3, 3, dtype=torch.int64))
    found = [(m.level, m.slot, m.codebook_size, m.tokens, m.active) for m in codes.compute()]
    assert found == [(0, 0, 2, 2, 2), (1, 0, 3, 3, 2), (1, 1, 5, 3, 1)]


@pytest.mark.parametrize("size", [4, usage.DENSE_LIMIT + 1])
def test_slots_with_one_codebook_size_can_be_pooled(size: int) -> None:
    codes = CodeUsage([(7,), (size, size), (2, 3)])
    codes.update(1, torch.tensor([[[[0, 0]], [[0, 3]]]]))
    codes.update(1, torch.tensor([[[[1, 1]], [[3, 3]]]]))
    (pooled,) = codes.compute_pooled()
    assert (pooled.level, pooled.slot, pooled.codebook_size) == (1, None, size)
    assert (pooled.tokens, pooled.active) == (8, 3)
    assert pooled.entropy_bits == pytest.approx(2 * 3 / 8 * math.log2(8 / 3) + 1 / 4 * 2)  # counts 3, 2, 3
    assert [m.tokens for m in codes.compute()] == [0, 4, 4, 0, 0]


@pytest.mark.parametrize("bad", [-1, 16, 2**62])
@pytest.mark.parametrize("limit", [1, 2**22])
def test_codes_outside_the_codebook_are_refused_and_nothing_is_counted(
    bad: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "DENSE_LIMIT", limit)
    codes = CodeUsage([(16, 16)])
    with pytest.raises(TensorError, match=r"slot 1.*0 to 15"):
        codes.update(0, torch.tensor([0, bad]).reshape(1, 2, 1, 1))
    assert [m.tokens for m in codes.compute()] == [0, 0]


@pytest.mark.parametrize(
    "codes",
    [
        torch.zeros(1, 1, 2, 2, dtype=torch.int32),
        torch.zeros(1, 1, 2, 2),
        torch.zeros(1, 2, 2, 2, dtype=torch.int64),
        torch.zeros(1, 2, 2, dtype=torch.int64),
    ],
)
def test_codes_of_a_wrong_dtype_or_shape_are_refused(codes: torch.Tensor) -> None:
    with pytest.raises(TensorError, match="wrong dtype or shape"):
        CodeUsage([(16,)]).update(0, codes)


def test_codes_of_a_codebook_of_2_to_62_are_counted() -> None:
    measured = _measure(2**62, _codes(0, 2**62 - 1), _codes(2**61, 2**62 - 1))
    assert (measured.tokens, measured.active) == (4, 3)
    assert measured.entropy_bits == pytest.approx(1.5)


@given(
    size=st.integers(1, 50),
    batches=st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=30), min_size=1, max_size=5),
    limit=st.sampled_from([0, 2**22]),
)
def test_any_batches_and_either_way_of_counting_give_the_entropy_of_the_histogram(
    size: int, batches: list[list[int]], limit: int
) -> None:
    batches = [[code % size for code in batch] for batch in batches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage, "DENSE_LIMIT", limit)
        measured = _measure(size, *(_codes(*batch) for batch in batches))
    everything = [code for batch in batches for code in batch]
    p = [everything.count(code) / len(everything) for code in set(everything)]
    assert measured.tokens == len(everything)
    assert measured.active == len(p)
    assert measured.entropy_bits == pytest.approx(-sum(x * math.log2(x) for x in p), abs=1e-12)
    assert 0 <= measured.entropy_bits <= math.log2(size) + 1e-12
    assert measured.entropy_bits <= measured.miller_madow_bits
    assert 1 <= measured.perplexity <= size * (1 + 1e-12)


def test_many_batches_of_a_huge_codebook_are_merged() -> None:
    codes = CodeUsage([(2**40,)])
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 2**17, (4, 1, 64, 64), generator=generator) << 20 for _ in range(20)]
    for batch in batches:
        codes.update(0, batch)
    (measured,) = codes.compute()
    counts = torch.cat(batches).unique(return_counts=True)[1]
    assert (measured.tokens, measured.active) == (20 * 4 * 64 * 64, len(counts))
    assert measured.entropy_bits == slot_usage(counts, 2**40).entropy_bits


def _estimates(probabilities: torch.Tensor, tokens: int, draws: int = 200) -> tuple[float, float]:
    """Mean of the codes seen and of the codes estimated."""
    generator = torch.Generator().manual_seed(0)
    size = len(probabilities)
    found = [
        slot_usage(torch.bincount(torch.multinomial(probabilities, tokens, True, generator=generator)), size)
        for _ in range(draws)
    ]
    estimates = [entry.usage_estimate or 0 for entry in found]
    return sum(entry.active or 0 for entry in found) / draws, sum(estimates) * size / draws


def test_the_estimate_finds_equally_likely_codes_that_a_small_sample_misses() -> None:
    used = torch.zeros(1024)
    used[:600] = 1 / 600
    seen, estimated = _estimates(used, tokens=600)
    assert seen < 390
    assert estimated == pytest.approx(600, rel=0.03)


def test_the_estimate_stays_below_the_truth_where_codes_are_rare() -> None:
    zipf = 1 / torch.arange(1.0, 1001)
    seen, estimated = _estimates(zipf / zipf.sum(), tokens=1000)
    assert seen * 1.3 < estimated < 1000


def test_the_estimate_is_worked_by_hand_and_never_exceeds_the_codebook() -> None:
    counts = torch.tensor([1, 1, 1, 2, 5])  # N = 10, f1 = 3, f2 = 1
    assert slot_usage(counts, 100).usage_estimate == pytest.approx((5 + 0.9 * 3 * 2 / 4) / 100)
    assert slot_usage(counts, 6).usage_estimate == 1.0
    assert slot_usage(torch.tensor([4, 4]), 8).usage_estimate == 2 / 8
    assert slot_usage(torch.tensor([0]), 8).usage_estimate is None
