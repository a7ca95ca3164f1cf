"""LFQ: bits, tokens, losses and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.binary_checks import entropy_group_size, token_sizes
from vqbench_plugins.quantizers.binary_codes import BinaryTokens, BitOrder
from vqbench_plugins.quantizers.lfq import LFQ


def latent(*numbers: float) -> Tensor:
    return torch.tensor(numbers).reshape(1, -1, 1, 1)


EXAMPLE = latent(*[0.5, -0.2, -0.2, 0.7], *[-0.2] * 11, 0.1)


@pytest.mark.parametrize(("order", "code"), [("msb-first", 36865), ("lsb-first", 32777)])
def test_the_worked_code_in_both_bit_orders(order: BitOrder, code: int) -> None:
    out = LFQ(bits=16, bit_order=order).eval()(EXAMPLE)
    assert out.codes.item() == code
    assert out.value.unique().tolist() == [-1.0, 1.0]


def test_zero_is_minus() -> None:
    out = LFQ(bits=3).eval()(latent(0.0, -0.0, 1e-30))
    assert out.codes.item() == 1
    assert out.value.flatten().tolist() == [-1.0, -1.0, 1.0]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 62), min_size=1, max_size=4),
    order=st.sampled_from(["msb-first", "lsb-first"]),
    seed=st.integers(0, 2**32),
)
def test_bits_survive_packing_and_tokens_are_binary_numbers(sizes: list[int], order: BitOrder, seed: int) -> None:
    bits = (torch.rand(2, sum(sizes), 1, 3, generator=torch.Generator().manual_seed(seed)) < 0.5).float()
    tokens = BinaryTokens(sizes, order)
    codes = tokens.pack(bits)
    assert codes.dtype == torch.int64
    assert codes.shape == (2, len(sizes), 1, 3)
    assert torch.equal(tokens.unpack(codes), bits)
    start = 0
    for token, size in enumerate(sizes):
        digits = bits[1, start : start + size, 0, 2].tolist()
        digits = digits if order == "msb-first" else digits[::-1]
        assert codes[1, token, 0, 2].item() == int("".join("01"[int(digit)] for digit in digits), 2)
        start += size


@pytest.mark.parametrize(
    ("bits", "token_bits", "sizes"),
    [
        (18, None, (18,)),
        (62, None, (62,)),
        (63, None, (32, 31)),
        (64, None, (32, 32)),
        (130, None, (44, 43, 43)),
        (18, [9], (9, 9)),
        (18, [6, 12], (6, 12)),
        (18, [18], (18,)),
    ],
)
def test_tokens_of_a_code(bits: int, token_bits: list[int] | None, sizes: tuple[int, ...]) -> None:
    assert token_sizes(bits, token_bits) == sizes
    group = entropy_group_size(bits, None) if bits <= 18 else 1
    assert LFQ(bits=bits, token_bits=token_bits, entropy_group=group).codebook_sizes == tuple(2**s for s in sizes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits is out of range"),
        ({"bits": 18, "token_bits": [5]}, "token_bits do not add up"),
        ({"bits": 18, "token_bits": []}, "token_bits do not add up"),
        ({"bits": 126, "token_bits": [63], "entropy_group": 9}, "1 to 62"),
        ({"bits": 24}, "Set entropy_group = 12"),
        ({"bits": 18, "entropy_group": 4}, "1, 2, 3, 6, 9, 18"),
        ({"bits": 36, "entropy_group": 36}, "1, 2, 3, 4, 6, 9, 12, 18"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LFQ(**arguments)  # type: ignore[arg-type]


def test_the_worked_losses() -> None:
    z = torch.tensor([[0.003, 0.001], [-0.004, 0.002]]).reshape(1, 2, 1, 2)
    out = LFQ(bits=2).train()(z)
    assert out.losses["entropy"].value.item() == pytest.approx(-0.159339, abs=1e-6)
    assert out.losses["entropy"].weight == 0.1
    expected = sum((1 - abs(number)) ** 2 for number in (0.003, 0.001, 0.004, 0.002)) / 4
    assert out.losses["commitment"].value.item() == pytest.approx(expected, rel=1e-5)
    assert out.losses["commitment"].weight == 0.25


def test_the_value_passes_its_gradient_straight_through_whatever_the_latent() -> None:
    z = latent(5.0, -0.01, 300.0).requires_grad_()
    out = LFQ(bits=3, scale=0.5).train()(z)
    (grad,) = torch.autograd.grad((out.value * latent(1.0, 2.0, 3.0)).sum(), z)
    assert grad.flatten().tolist() == [1.0, 2.0, 3.0]
    assert out.value.flatten().tolist() == [0.5, -0.5, 0.5]


def test_the_entropy_loss_separates_equal_latents_and_decides_undecided_ones() -> None:
    z = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 1e-3 + 2e-3).requires_grad_()
    lfq = LFQ(bits=4).train()
    before = lfq(z).statistics
    for _ in range(200):
        (grad,) = torch.autograd.grad(lfq(z).losses["entropy"].value, z)
        z = (z - 2e-3 * grad).detach().requires_grad_()
    after = lfq(z).statistics
    assert after["sample_entropy"] < before["sample_entropy"] - 0.5
    assert after["codebook_entropy"] > before["codebook_entropy"] + 0.1


def test_it_has_no_state() -> None:
    lfq = LFQ(bits=8)
    assert not lfq.state_dict()
    assert not lfq.parameter_groups()
