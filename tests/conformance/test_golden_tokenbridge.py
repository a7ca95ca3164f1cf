"""Per-channel post-training quantization against vectors recorded from both published codes."""

from __future__ import annotations

from typing import Any

import golden
import numpy as np
import pytest
import torch
from torch import Tensor

from vqbench_plugins.quantizers.tokenbridge import TokenBridge

HALF_WAY = 4e-6
"""What an exponential that is rounded to the other side moves a value of 6 bits by."""
CASES = golden.names("tokenbridge", "gaussian_ptq")
# as printed with the description of the published code, for 6 bits
WORKED = {-6.0: (0, -4.061827), -2.0: (7, -1.982465), -0.3: (27, -0.295302), 0.0: (31, -0.032644)} | {
    0.3: (36, 0.295302),
    1.0: (46, 1.004178),
    4.0: (63, 4.061835),
}


def build(**arguments: Any) -> TokenBridge:
    return TokenBridge(channels=1, input="mean", **arguments).eval()


def of_case(case: golden.Case) -> TokenBridge:
    p = case.parameters
    if case.variant == "gaussian_ptq":
        return build(bits=p["n"].bit_length() - 1, definition="gq")
    assert (p["min_range"], p["std_range"]) == (-p["max_range"], 3.0)
    return build(bits=p["bits"], span=p["max_range"])


def means(values: Tensor) -> Tensor:
    """One image of one channel whose posterior means are the values."""
    return torch.stack([values, torch.zeros_like(values)])[None, :, None]  # (1, 2, 1, N)


@pytest.mark.parametrize("name", CASES)
def test_table_codes_and_values_are_the_recorded_ones(name: str) -> None:
    case = golden.case(name)
    quantizer = of_case(case)
    out = quantizer(means(case.tensor("x")))
    case.assert_close("table", quantizer.values)
    case.assert_codes("indices", out.codes.flatten())
    case.assert_close("quantized", out.value.flatten())


@pytest.mark.parametrize("name", golden.names("tokenbridge"))
def test_the_table_has_the_rounding_of_the_released_arithmetic(name: str) -> None:
    """Closely but where an exponential lies half way between two float32 numbers: its library decided there."""
    case = golden.case(name)
    off = (of_case(case).values - case.tensor("table")).abs()
    edges = torch.special.ndtri(torch.linspace(0, 1, len(off) + 1, dtype=torch.float64)).clamp(-3, 3).float()
    exponential = (-0.5 * edges.square()).double().exp().numpy()
    rounded = exponential.astype(np.float32)
    half_way = torch.from_numpy(np.abs(exponential - rounded) > 0.45 * np.spacing(rounded))
    decided = ~(half_way[:-1] | half_way[1:])
    assert decided.sum() > len(off) / 2
    assert (off[decided] < 5e-7).all()  # a table in float64 is off by up to 1e-5 at 6 bits
    assert (off < HALF_WAY).all()


def test_worked_numbers_of_the_official_definition() -> None:
    out = build(bits=6)(means(torch.tensor(list(WORKED))))
    assert out.codes.flatten().tolist() == [code for code, _ in WORKED.values()]
    assert out.value.flatten().tolist() == pytest.approx([value for _, value in WORKED.values()], abs=HALF_WAY)
    coarse = build(bits=2)
    assert coarse.values.tolist() == pytest.approx([-2.100306, -0.541104, 0.541105, 2.100306], abs=1e-6)
    assert coarse(means(torch.tensor([0.0, 0.03, -2.0]))).codes.flatten().tolist() == [1, 2, 0]


def test_worked_levels_of_the_gq_definition() -> None:
    assert build(bits=2, definition="gq").values.tolist() == pytest.approx([-3, -0.337245, 0.337245, 3], abs=1e-6)
    half = [3, 1.3422, 1.0187, 0.7808, 0.5816, 0.4037, 0.2380, 0.0787]
    expected = [-v for v in half] + half[::-1]
    assert build(bits=4, definition="gq").values.tolist() == pytest.approx(expected, abs=6e-5)


def test_with_the_scale_of_the_released_model_a_latent_is_scaled_and_scaled_back() -> None:
    case = golden.case("tokenbridge_b6_r5.0")
    out = build(bits=6, scale=0.2325)(means(case.tensor("x") / 0.2325))
    case.assert_codes("indices", out.codes.flatten())
    case.assert_close("quantized", out.value.flatten() * 0.2325)
