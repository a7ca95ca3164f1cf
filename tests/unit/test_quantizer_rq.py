"""RQ: residuals, sums and prefixes, and codebooks that move inside each depth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.rq import RQ


def with_codebooks(*tables: list[list[float]], depth: int, **arguments: object) -> RQ:
    """One table for all depths, or one for each."""
    rows, dim = len(tables[0]), len(tables[0][0])
    shared = len(tables) == 1
    rq = RQ(codebook_size=rows, dim=dim, depth=depth, shared_codebook=shared, **arguments)  # type: ignore[arg-type]
    for book, table in zip(rq.codebooks, tables, strict=True):
        book.words.copy_(torch.tensor(table))
        book.sums.copy_(torch.tensor(table))
    return rq


def latents(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_each_token_codes_what_the_ones_before_it_left_over() -> None:
    rq = with_codebooks([[0.0], [4.0], [8.0]], [[-1.0], [0.0], [1.0]], depth=2).eval()
    out = rq(torch.tensor([3.2, 8.9, 0.1]).reshape(1, 1, 1, 3))
    assert out.codes[0, 0].flatten().tolist() == [1, 2, 0]
    assert out.codes[0, 1].flatten().tolist() == [0, 2, 1]
    assert out.value.flatten().tolist() == [3.0, 9.0, 0.0]


def test_prefixes_are_the_sums_of_the_first_tokens() -> None:
    rq = with_codebooks([[1.0, 0.0], [0.0, 10.0]], depth=3)
    codes = torch.tensor([0, 1, 0]).reshape(1, 3, 1, 1)
    prefixes = [prefix.flatten().tolist() for prefix in rq.decode_prefixes(codes)]
    assert prefixes == [[1.0, 0.0], [1.0, 10.0], [2.0, 10.0]]
    assert torch.equal(rq.decode(codes), rq.decode_prefixes(codes)[2])
    assert torch.equal(rq.decode_prefixes(codes[:, :2])[-1], rq.decode_prefixes(codes)[1])


@pytest.mark.parametrize("shared", [True, False])
def test_evaluation_equals_decoding_bit_for_bit(shared: bool) -> None:
    torch.manual_seed(0)
    rq = RQ(codebook_size=20, dim=4, depth=3, shared_codebook=shared)
    rq(latents(2, 4, 3, 5))
    before = {name: value.clone() for name, value in rq.state_dict().items()}
    out = rq.eval()(latents(2, 4, 3, 5, seed=1))
    assert out.codes.shape == (2, 3, 3, 5)
    assert torch.equal(rq.decode(out.codes), out.value)
    assert not out.losses
    assert all(torch.equal(value, before[name]) for name, value in rq.state_dict().items())
    assert len(rq.codebooks) == (1 if shared else 3)


@pytest.mark.parametrize(("gradient", "factor"), [("total", 1.0), ("per-stage", 4.0)])
def test_how_often_the_gradient_of_the_decoder_reaches_the_encoder(gradient: str, factor: float) -> None:
    torch.manual_seed(0)
    rq = RQ(codebook_size=16, dim=4, depth=4, gradient=gradient)  # type: ignore[arg-type]
    z, weights = latents(2, 4, 3, 3).requires_grad_(), latents(2, 4, 3, 3, seed=5)
    (rq(z).value * weights).sum().backward()
    torch.testing.assert_close(z.grad, factor * weights)


def test_the_commitment_is_the_mean_over_depths_of_the_error_of_the_prefix() -> None:
    """z = 3.2: prefixes 4 and 3, errors 0.64 and 0.04; gradient mean of 2(z - 4) and 2(z - 3)."""
    rq = with_codebooks([[0.0], [4.0], [8.0]], [[-1.0], [0.0], [1.0]], depth=2)
    z = torch.tensor([3.2]).reshape(1, 1, 1, 1).requires_grad_()
    out = rq(z)
    loss = out.losses["commitment"]
    assert list(out.losses) == ["commitment"]
    assert (loss.unit, loss.weight) == ("element_mean", 0.25)
    assert loss.value.item() == pytest.approx(0.34)
    loss.value.backward()
    assert z.grad is not None
    assert z.grad.item() == pytest.approx((-1.6 + 0.4) / 2)


def test_a_shared_codebook_has_moved_when_the_next_depth_searches_it() -> None:
    """z = 0 goes to -1, which moves to -0.5; the residual 1 is then nearer to it than to 2.8, as it was not before."""
    z = torch.zeros(1, 1, 1, 1)
    table = [[-1.0], [2.8]]
    shared = with_codebooks(table, depth=2, decay=0.5, restart_below=0.0)
    separate = with_codebooks(table, table, depth=2, decay=0.5, restart_below=0.0)
    assert separate(z).codes.flatten().tolist() == [0, 1]
    assert shared(z).codes.flatten().tolist() == [0, 0]
    torch.testing.assert_close(shared.codebooks[0].counts, torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(shared.codebooks[0].sums.flatten(), torch.tensor([0.25, 0.7]))


def test_the_codebooks_have_no_trained_parameter_and_leave_the_value_of_before_their_step() -> None:
    rq = with_codebooks([[0.0], [4.0]], [[-1.0], [1.0]], depth=2, decay=0.5)
    out = rq(torch.tensor([4.5]).reshape(1, 1, 1, 1))
    assert not list(rq.parameters())
    assert out.value.item() == 5.0  # 4 + 1, although both codewords have moved
    assert rq.codebooks[0].words[1].item() != 4.0


def test_the_residuals_of_a_step_are_watched_by_depth() -> None:
    rq = with_codebooks([[0.0], [4.0], [8.0]], [[-1.0], [0.0], [1.0]], depth=2)
    statistics = rq(torch.tensor([3.2]).reshape(1, 1, 1, 1)).statistics
    assert statistics["squared_residual_1"].item() == pytest.approx(0.64)
    assert statistics["squared_residual_2"].item() == pytest.approx(0.04)


def test_a_resumed_run_equals_an_uninterrupted_one() -> None:
    torch.manual_seed(0)
    run = RQ(codebook_size=16, dim=4, depth=2)
    run(latents(1, 4, 4, 4, seed=1))
    resumed = RQ(codebook_size=16, dim=4, depth=2)
    resumed.load_state_dict(run.state_dict())
    for rq in (run, resumed):
        torch.manual_seed(7)
        rq(latents(1, 4, 4, 4, seed=2))
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in run.state_dict().items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"codebook_size": 1}, "codebook_size"), ({"decay": 0.0}, "decay"), ({"eps": 0.0}, "eps must be positive")],
)
def test_impossible_averages_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RQ(**{"codebook_size": 4, "dim": 2, "depth": 2, **arguments})  # type: ignore[arg-type]
