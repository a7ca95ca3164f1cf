"""The codes as a bit stream: it decodes to them, and its size is near the entropy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqbench.errors import VQBenchError
from vqbench.worker import entropy_coding
from vqbench.worker.entropy_coding import CodeLog, decode_slots, encode_slots, verified_bits


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def zipf(size: int, tokens: int) -> np.ndarray:
    p = 1 / np.arange(1, size + 1)
    return random().permutation(size)[random().choice(size, tokens, p=p / p.sum())]


def bits(size: int, codes: np.ndarray) -> int:
    words = encode_slots([(size, codes)])
    (decoded,) = decode_slots(words, [(size, len(codes))])
    np.testing.assert_array_equal(decoded, codes)
    return 32 * len(words)


def entropy_bits(codes: np.ndarray) -> float:
    counts = np.unique(codes, return_counts=True)[1]
    return float(-(counts * np.log2(counts / len(codes))).sum())


@pytest.mark.parametrize("codes", [zipf(256, 640_000), random().integers(0, 256, 640_000)], ids=["zipf", "uniform"])
def test_the_size_is_within_two_percent_of_the_entropy(codes: np.ndarray) -> None:
    size = bits(256, codes)
    assert entropy_bits(codes) < size < 1.001 * entropy_bits(codes)


def test_uniform_codes_of_a_small_test_set_cost_what_they_are_worth() -> None:
    """256 images of 64 tokens: the histogram's entropy is too low, by what there is to learn."""
    codes = random().integers(0, 1024, 16_384)
    assert bits(1024, codes) == pytest.approx(16_384 * 10, rel=1e-3)


def test_few_codes_of_a_large_codebook_are_learnt_once() -> None:
    """Each new code costs at most log2 K bits once; after that only the codes that occur matter."""
    codes = random().integers(0, 2**18, 100)[random().integers(0, 100, 20_000)]
    assert bits(2**18, codes) < 1.01 * entropy_bits(codes) + 100 * 18


def test_a_constant_code_is_almost_free() -> None:
    assert bits(1024, np.full(10_000, 7)) < 200
    assert bits(1, np.zeros(1000, dtype=np.int64)) == 0


@pytest.mark.parametrize("size", [2**18, 2**24 - 1, 2**24, 2**24 + 1, 2**36, 2**63 - 1])
def test_any_codebook_size_can_be_coded(size: int) -> None:
    codes = random().integers(0, size, 3000)
    assert bits(size, codes) < 3000 * np.log2(size) * 1.002


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.integers(1, 40).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1), max_size=80))),
        max_size=5,
    )
)
def test_slots_of_any_size_and_length_decode_to_themselves(slots: list[tuple[int, list[int]]]) -> None:
    arrays = [(size, np.array(codes, dtype=np.int64)) for size, codes in slots]
    decoded = decode_slots(encode_slots(arrays), [(size, len(codes)) for size, codes in arrays])
    for (_, codes), again in zip(arrays, decoded, strict=True):
        np.testing.assert_array_equal(codes, again)


def test_the_log_keeps_slots_in_order_and_small() -> None:
    log = CodeLog([(4,), (300, 2**20)])
    batches = [torch.arange(2 * 4).view(2, 1, 2, 2) % 4, torch.tensor([[[[299]], [[2**20 - 1]]], [[[1]], [[2]]]])]
    for _ in range(2):
        for level, codes in enumerate(batches):
            log.update(level, codes)
    slots = list(log.slots())
    assert [(size, codes.dtype) for size, codes in slots] == [(4, np.uint8), (300, np.uint16), (2**20, np.uint32)]
    assert slots[0][1].tolist() == [0, 1, 2, 3] * 4
    assert [codes.tolist() for _, codes in slots[1:]] == [[299, 1] * 2, [2**20 - 1, 2] * 2]
    assert verified_bits(log) % 32 == 0
    assert verified_bits(CodeLog([(4,)])) == verified_bits(CodeLog([()])) == 0


def test_codes_that_do_not_survive_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    log = CodeLog([(4, 4)])
    log.update(0, torch.zeros(3, 2, 2, 2, dtype=torch.int64))
    real = decode_slots

    def wrong(words, slots):
        for index, codes in enumerate(real(words, slots)):
            yield codes + (index == 1)

    monkeypatch.setattr(entropy_coding, "decode_slots", wrong)
    with pytest.raises(VQBenchError, match="12 tokens of slot 1"):
        verified_bits(log)
