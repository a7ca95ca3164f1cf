"""TokenBridge: its tables, its nearest-level rule, its layout."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.gaussian import evaluation_noise, posterior, sample
from vqbench_plugins.quantizers.tokenbridge import TokenBridge, midpoint_levels, truncated_normal_levels


def latents(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bits", [1, 3, 6, 9])
def test_official_levels_are_means_of_truncated_normals(bits: int) -> None:
    n = 1 << bits
    edges = stats.norm.ppf([k / n for k in range(n + 1)]).clip(-3, 3)
    expected = [stats.truncnorm.mean(a, b) for a, b in pairwise(edges)]
    torch.testing.assert_close(
        truncated_normal_levels(bits), torch.tensor(expected, dtype=torch.float32), rtol=0, atol=2e-4
    )
    assert (truncated_normal_levels(bits).diff() > 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 9])
def test_levels_of_the_gq_definition_lie_in_the_middle_of_equally_probable_cells(bits: int) -> None:
    n, levels = 1 << bits, midpoint_levels(bits)
    edges = stats.norm.ppf([k / n for k in range(n + 1)])
    assert levels.tolist()[1:-1] == pytest.approx([(a + b) / 2 for a, b in pairwise(edges[1:-1])])
    assert (levels[0], levels[-1]) == (-3, 3)


@pytest.mark.parametrize("definition", ["official", "gq"])
def test_every_channel_is_a_token_and_takes_its_nearest_value(definition: str) -> None:
    quantizer = TokenBridge(channels=5, bits=4, definition=definition, input="mean")  # type: ignore[arg-type]
    x = latents(2, 10, 3, 4)
    for training in (False, True):
        out = quantizer.train(training)(x)
        assert out.codes.shape == out.value.shape == (2, 5, 3, 4)
        assert torch.equal(quantizer.decode(out.codes), out.value)
        assert not out.losses
        nearest = (x[:, :5, ..., None] - quantizer.values).abs().amin(dim=-1)
        torch.testing.assert_close((out.value - x[:, :5]).abs(), nearest)
    assert quantizer.codebook_sizes == (16,) * 5
    assert not quantizer.state_dict()


def test_a_code_is_the_nearest_level_and_not_the_cell() -> None:
    quantizer = TokenBridge(channels=1, bits=2, definition="gq", input="mean")
    x = torch.tensor([-1.5, -1.7, 0.0]).reshape(1, 1, 1, 3)  # quartile -0.674, centre between -3 and -0.337 at -1.669
    assert quantizer(torch.cat([x, x], dim=1)).codes.flatten().tolist() == [1, 0, 1]


def test_the_official_definition_quantizes_a_sample_and_the_other_the_mean() -> None:
    x = latents(3, 8, 4, 4)
    means, log_variances = posterior(x)
    drawn = torch.cat([sample(means, log_variances, evaluation_noise(means)), log_variances], dim=1)
    for definition, source in (("official", drawn), ("gq", x)):
        arguments: dict[str, Any] = {"channels": 4, "bits": 6, "definition": definition}
        by_default, of_mean = TokenBridge(**arguments), TokenBridge(**arguments, input="mean")
        assert torch.equal(by_default(x).codes, of_mean(source).codes)
        assert torch.equal(by_default(x[:1]).codes, by_default(x).codes[:1])
    assert not torch.equal(TokenBridge(4)(x).codes, TokenBridge(4, input="mean")(x).codes)


def test_values_beyond_the_range_take_the_outermost_levels() -> None:
    quantizer = TokenBridge(channels=1, bits=3, span=2.0, input="mean")
    x = torch.tensor([-1e9, -2.0, 2.0, 1e9]).reshape(1, 1, 1, 4)
    codes = quantizer(torch.cat([x, torch.zeros_like(x)], dim=1)).codes
    assert codes.flatten().tolist() == [0, 0, 7, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"bits": 0}, "1 to 9"), ({"bits": 10}, "1 to 9"), ({"scale": 0.0}, "scale"), ({"span": float("inf")}, "span")],
)
def test_impossible_parameters_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TokenBridge(channels=4, **arguments)
