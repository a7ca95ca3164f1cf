"""Steps of a codebook of running averages in a group of processes, each with its share of the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor

from vqbench_plugins.quantizers.ema import EMACodebook, RestartRule

__all__ = ["after_steps", "steps_in_processes"]


def after_steps(
    words: Tensor, rows: Tensor, *, restart_below: float = 0.0, restart_rule: RestartRule = "replace"
) -> dict[str, Tensor]:
    """The state of a codebook after a step on each of rows ``(steps, N, d)``."""
    book = EMACodebook(words.clone(), decay=0.5, restart_below=restart_below, restart_rule=restart_rule)
    for of_step in rows:
        book.update(of_step, book.search(of_step))
    return dict(book.state_dict())


def steps_in_processes(
    folder: Path, words: Tensor, rows: Tensor, settings: Sequence[Mapping[str, Any]]
) -> list[list[dict[str, Tensor]]]:
    """Each process's states, one per setting, after steps on its share of the rows ``(processes, steps, N, d)``."""
    multiprocessing.spawn(_process, (len(rows), folder, words, rows, settings), nprocs=len(rows))
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(len(rows))]


def _process(
    rank: int, count: int, folder: Path, words: Tensor, rows: Tensor, settings: Sequence[Mapping[str, Any]]
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(rank)  # unlike draws, so that equal restarts are no accident
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count)
    try:
        states = [after_steps(words, rows[rank], **setting) for setting in settings]
    finally:
        dist.destroy_process_group()
    torch.save(states, folder / f"{rank}.pt")
