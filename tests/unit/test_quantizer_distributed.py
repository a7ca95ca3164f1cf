"""Reductions over processes: none for one process; the whole batch's numbers for two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vqbench_plugins.quantizers.distributed import (
    max_over_processes,
    mean_over_processes,
    min_over_processes,
    processes,
    sum_over_processes,
)

WORKER = """
import json, sys
import torch
import torch.distributed as dist
from vqbench_plugins.quantizers.distributed import *
from vqbench_plugins.quantizers.tdc import TDC

rank, store = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
own = torch.tensor([1.0, 5.0]) if rank == 0 else torch.tensor([3.0, 2.0])
found = {"processes": processes()}
for name in ("sum", "mean", "max", "min"):
    found[name] = globals()[f"{name}_over_processes"](own).tolist()
leaf = own.clone().requires_grad_()
mean_over_processes(leaf.square()).sum().backward()
found["gradient"] = leaf.grad.tolist()
found["unchanged"] = own.tolist()
tdc = TDC(4.0)
batches = [[[2.0, 4.0]], [[4.0, 4.0]], [[4.2, 4.2]]] if rank == 0 else [[[4.0, 4.0, 9.0]], [[4.0, 4.0, 4.0]], [[3.9] * 3]]
for bits in batches:
    tdc(torch.tensor(bits))
found["multipliers"] = [tdc.lam.item(), tdc.lam_min.item(), tdc.lam_max.item()]
print(json.dumps(found))
dist.barrier()
dist.destroy_process_group()
"""


def test_one_process_reduces_nothing() -> None:
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    assert processes() == 1
    assert sum_over_processes(value) is value
    assert mean_over_processes(value) is value
    for reduce in (max_over_processes, min_over_processes):
        assert torch.equal(reduce(value), value)
        assert not reduce(value).requires_grad


def test_two_processes_agree_on_the_numbers_of_the_whole_batch(tmp_path: Path) -> None:
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        outputs = [worker.communicate(timeout=120) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert all(worker.returncode == 0 for worker in workers), [error for _, error in outputs]
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    for found, own in ((first, [1.0, 5.0]), (second, [3.0, 2.0])):
        assert found["processes"] == 2
        assert found["sum"] == [4.0, 7.0]
        assert found["mean"] == [2.0, 3.5]
        assert found["max"] == [3.0, 5.0]
        assert found["min"] == [1.0, 2.0]
        # each process's loss has the derivative own of the mean; summed over both, as averaging over processes expects
        assert found["gradient"] == pytest.approx([2 * x for x in own])
        assert found["unchanged"] == own
    assert first["multipliers"] == second["multipliers"]
    from vqbench_plugins.quantizers.tdc import TDC

    alone = TDC(4.0)
    for bits in ([2.0, 4.0, 4.0, 4.0, 9.0], [4.0] * 5, [4.2, 4.2, 3.9, 3.9, 3.9]):
        alone(torch.tensor([bits]))
    assert first["multipliers"] == [alone.lam.item(), alone.lam_min.item(), alone.lam_max.item()]
