"""FSQ: index arithmetic, worked examples and the limits of its bounds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.fsq import FSQ

BOUNDS = ("official", "atanh", "symmetric", "symmetric-clamp")
levels_of_channels = st.lists(st.integers(3, 1000), min_size=1, max_size=6)


def latent(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


@settings(max_examples=60)
@given(levels=levels_of_channels, data=st.data(), most=st.booleans())
def test_codes_are_mixed_radix_numbers(levels: list[int], data: st.DataObject, most: bool) -> None:
    order = "first-most" if most else "first-least"
    digits = [data.draw(st.integers(0, count - 1)) for count in levels]
    code = 0
    for digit, count in zip(*((digits, levels) if most else (digits[::-1], levels[::-1])), strict=True):
        code = code * count + digit
    value = FSQ(levels, index_order=order).decode(torch.tensor(code).reshape(1, 1, 1, 1)).flatten()
    expected = [(digit - count // 2) / (count // 2) for digit, count in zip(digits, levels, strict=True)]
    torch.testing.assert_close(value, torch.tensor(expected))


@settings(max_examples=60)
@given(levels=levels_of_channels, seed=st.integers(0, 2**32), most=st.booleans(), bound=st.sampled_from(BOUNDS))
def test_values_decode_from_their_codes_bit_for_bit(levels: list[int], seed: int, most: bool, bound: str) -> None:
    fsq = FSQ(levels, bound=bound, index_order="first-most" if most else "first-least").eval()
    latents = torch.randn(2, len(levels), 3, 4, generator=torch.Generator().manual_seed(seed)) * 2
    out = fsq(latents)
    assert out.codes.dtype == torch.int64
    assert out.codes.shape == (2, 1, 3, 4)
    assert int(out.codes.min()) >= 0
    assert int(out.codes.max()) < fsq.codebook_sizes[0] == math.prod(levels)
    assert torch.equal(fsq.decode(out.codes), out.value)


@pytest.mark.parametrize("order", ["first-least", "first-most"])
def test_every_code_survives_decoding_and_quantizing_again(order: str) -> None:
    fsq = FSQ([2, 3, 8, 5], bound="symmetric-clamp", index_order=order).eval()
    codes = torch.arange(240).reshape(1, 1, 12, 20)
    assert torch.equal(fsq(fsq.decode(codes)).codes, codes)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("count", [3, 4, 999, 1000])
def test_both_outer_levels_are_reached_and_none_beyond(bound: str, count: int) -> None:
    codes = FSQ([count], bound=bound).eval()(torch.tensor([-100.0, 100.0]).reshape(2, 1, 1, 1)).codes
    assert codes.flatten().tolist() == [0, count - 1]


def test_codes_of_a_large_product_are_exact_integers() -> None:
    fsq = FSQ([1000] * 6).eval()  # 10^18 codes: beyond float64's integers
    out = fsq(torch.full((1, 6, 1, 1), 100.0))
    assert out.codes.item() == 10**18 - 1


@pytest.mark.parametrize(
    ("count", "z", "bound", "b", "q", "slope"),
    [
        (8, 0.3, "official", 0.957832, 0.25, 0.722168),
        (8, 0.3, "atanh", 0.959918, 0.25, 0.723787),
        (5, 0.4, "official", 0.759138, 0.5, 0.854783),
        (5, 0.4, "atanh", 0.760658, 0.5, 0.856494),
        (4, -7.0, "official", -1.998495, -1.0, 4.98e-6),
        (4, -7.0, "atanh", -2.001495, -1.0, 4.99e-6),
    ],
)
def test_worked_bounds_and_slopes(count: int, z: float, bound: str, b: float, q: float, slope: float) -> None:
    fsq = FSQ([count], bound=bound)
    x = latent(z).requires_grad_()
    value = fsq(x).value
    value.sum().backward()
    assert fsq.bounded(x).item() == pytest.approx(b, abs=2e-6)
    assert value.item() == pytest.approx(q, abs=1e-6)
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(slope, rel=1e-2 if slope < 1e-3 else 1e-5)


@pytest.mark.parametrize(
    ("z", "q", "least", "most"),
    [
        ((-3, -3), (-1, -1), 0, 0),
        ((0, 0), (0, 0), 20, 22),
        ((0.3, 0.4), (0.25, 0.5), 29, 28),
        ((3, 3), (0.75, 1), 39, 39),
        ((-0.2, -0.6), (-0.25, -0.5), 11, 16),
    ],
)
def test_worked_codes_in_both_digit_orders(z: tuple[float, ...], q: tuple[float, ...], least: int, most: int) -> None:
    for order, code in (("first-least", least), ("first-most", most)):
        out = FSQ([8, 5], bound="atanh", index_order=order).eval()(latent(*map(float, z)))
        assert out.codes.item() == code
        assert out.value.flatten().tolist() == list(q)


@pytest.mark.parametrize("bound", ["official", "atanh"])
def test_the_published_example(bound: str) -> None:
    out = FSQ([3, 5, 4], bound=bound).eval()(latent(0.25, 0.6, -7.0))
    assert out.value.flatten().tolist() == [0.0, 0.5, -1.0]
    assert out.codes.item() == 10


def test_a_value_midway_between_levels_goes_to_the_even_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fsq = FSQ([9]).eval()
    monkeypatch.setattr(fsq, "bounded", lambda latents: latents)
    codes = fsq(torch.tensor([-1.5, -0.5, 0.5, 1.5, 2.5]).reshape(1, 1, 1, 5)).codes
    assert codes.flatten().tolist() == [4 - 2, 4, 4, 4 + 2, 4 + 2]


@pytest.mark.parametrize(
    ("levels", "bound", "message"),
    [
        ([8, 1], "official", "got 1"),
        ([1001], "official", "2 to 1000"),
        ([], "official", "empty"),
        ([2, 5], "atanh", "'symmetric'"),
        ([16] * 16, "official", "2\\^62"),
    ],
)
def test_impossible_levels_are_refused(levels: list[int], bound: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        FSQ(levels, bound=bound)


def test_two_levels_work_with_the_other_bounds() -> None:
    for bound in ("official", "symmetric", "symmetric-clamp"):
        out = FSQ([2, 2], bound=bound).eval()(latent(-9.0, 9.0))
        assert out.codes.item() == 2
    assert FSQ([2], bound="symmetric").eval()(latent(0.1)).value.item() == 1.0


def test_a_product_beyond_32_bits_is_exact_with_the_first_digit_most_significant() -> None:
    """The GQ authors' int32 index overflows beyond 31 bits."""
    fsq = FSQ([16] * 8, bound="atanh", index_order="first-most").eval()
    z = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0)) * 2
    out = fsq(z)
    digits = (out.value * 8 + 8).permute(0, 2, 3, 1).reshape(-1, 8).int().tolist()
    assert out.codes.flatten().tolist() == [int("".join(f"{digit:x}" for digit in row), 16) for row in digits]
    assert out.codes.max() > 2**31


def test_two_tokens_are_two_blocks_of_channels() -> None:
    z = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0)) * 2
    one, two = FSQ([8, 5, 3]).eval(), FSQ([8, 5, 3], tokens=2).eval()
    out = two(z)
    assert two.codebook_sizes == (120, 120)
    assert torch.equal(out.codes, torch.cat([one(z[:, :3]).codes, one(z[:, 3:]).codes], dim=1))
    assert torch.equal(two.decode(out.codes), out.value)


def test_it_has_no_state_and_no_loss() -> None:
    fsq = FSQ([8, 5])
    assert not fsq.state_dict()
    assert not fsq.parameter_groups()
    assert not fsq(latent(0.1, 0.2)).losses
