"""The codebook of running averages: restarts, and what happens to a codeword that nothing uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ema_processes import after_steps, steps_in_processes
from torch import Tensor

from vqbench_plugins.quantizers.ema import EMACodebook, RestartRule


def step(book: EMACodebook, rows: Tensor) -> Tensor:
    codes = book.search(rows)
    book.update(rows, codes)
    return codes


def far_rows(count: int, *, seed: int = 0) -> Tensor:
    """Rows far from all codewords, so that one codeword takes them all."""
    return 50 + torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def words(count: int, dim: int = 2) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(1))


def test_a_codeword_that_is_not_used_starts_again_at_a_vector_of_the_batch() -> None:
    torch.manual_seed(0)
    book = EMACodebook(words(16), decay=0.5, restart_below=0.4)
    rows = far_rows(16)
    step(book, rows)
    assert book.counts.min() == 0.5  # all but one have decayed once: still above the threshold
    step(book, rows)
    restarted = book.counts == torch.tensor(0.4)
    assert restarted.sum() == 15
    assert (book.words[restarted][:, None] == rows).all(dim=2).any(dim=1).all()
    torch.testing.assert_close(book.sums[restarted], book.words[restarted] * 0.4)
    assert len(torch.unique(book.words[restarted], dim=0)) == 15  # each at another vector
    assert len(step(book, rows).unique()) > 10


def test_no_more_codewords_are_replaced_than_there_are_vectors() -> None:
    torch.manual_seed(0)
    book = EMACodebook(words(64), decay=0.1, restart_below=0.5)
    rows = far_rows(3)
    step(book, rows)
    at_a_vector = (book.words[:, None] == rows[None]).all(dim=2).any(dim=1)
    assert at_a_vector.sum() == 3


def test_tiled_restarts_reach_all_dead_codewords_near_the_vectors() -> None:
    torch.manual_seed(0)
    book = EMACodebook(words(64), decay=0.1, restart_below=1.0, restart_rule="tile")
    rows = far_rows(3)
    step(book, rows)
    assert (book.counts >= 1).all()
    restarted = book.counts == 1
    distance, origin = (book.sums[restarted][:, None] - rows).norm(dim=2).min(dim=1)
    assert len(distance) >= 61
    assert 0 < distance.max() <= 0.01 + 1e-5  # noise of up to 0.01/√2 in each of two channels
    assert set(origin.bincount(minlength=3).tolist()) <= {20, 21, 22}  # repeated evenly
    torch.testing.assert_close(book.words[restarted], book.sums[restarted], rtol=1e-3, atol=0)


def test_a_tiled_restart_of_few_codewords_takes_whole_vectors() -> None:
    torch.manual_seed(0)
    book = EMACodebook(words(4), decay=0.1, restart_below=1.0, restart_rule="tile")
    rows = far_rows(64)
    used = step(book, rows).unique()
    dead = [k for k in range(4) if k not in used.tolist()]
    assert dead
    assert (book.sums[dead][:, None] == rows).all(dim=2).any(dim=1).all()
    assert (book.counts[dead] == 1).all()


@pytest.mark.parametrize("rule", ["replace", "tile"])
def test_without_a_threshold_nothing_restarts_and_the_generator_is_left_alone(rule: RestartRule) -> None:
    book = EMACodebook(words(16), decay=0.01, restart_rule=rule)
    state = torch.get_rng_state()
    for seed in range(3):
        step(book, far_rows(4, seed=seed))
    assert torch.equal(torch.get_rng_state(), state)
    assert (book.counts < 1e-3).sum() == 15


def test_a_spherical_codeword_that_has_died_out_keeps_its_direction() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    book = EMACodebook(table, decay=0.5, spherical=True)
    rows = torch.tensor([[0.8, 0.6]])
    for _ in range(200):  # 0.5^200 is beyond float32
        assert step(book, rows).tolist() == [0]
    assert not book.sums[1].any()
    torch.testing.assert_close(book.words, torch.tensor([[0.8, 0.6], [0.0, 1.0]]))


def test_processes_share_their_averages_and_their_restarts(tmp_path: Path) -> None:
    table = words(8)
    rows = 50 + torch.randn(2, 3, 12, 2, generator=torch.Generator().manual_seed(0))
    settings = [{}, *({"restart_below": 0.9, "restart_rule": rule} for rule in ("replace", "tile"))]
    first, second = steps_in_processes(tmp_path, table, rows, settings)
    for state, other in zip(first, second, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in state.items())
    for name, value in after_steps(table, torch.cat([rows[0], rows[1]], dim=1)).items():
        torch.testing.assert_close(first[0][name], value)  # one process's, on the whole batch
    for restarted in first[1:]:
        assert (restarted["words"] > 40).all()  # all have left where they started
