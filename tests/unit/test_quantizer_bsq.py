"""BSQ: the sphere, gradients, weights, memory, and a batch spread over processes."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vqbench.interfaces import StepClock
from vqbench.testing.allocations import Allocations
from vqbench_plugins.quantizers.bsq import BSQ
from vqbench_plugins.quantizers.entropy import CodeEntropy


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_worked_example() -> None:
    z = 2.5 * torch.tensor([0.6, -0.8]).reshape(1, 2, 1, 1)
    bsq = BSQ(bits=2).train()
    out = bsq(z)
    torch.testing.assert_close(out.value.flatten(), torch.tensor([0.707107, -0.707107]), rtol=0, atol=1e-6)
    assert out.statistics["sample_entropy"].item() == pytest.approx(0.743306, abs=1e-6)
    assert out.losses["commitment"].value.item() == pytest.approx(0.020101, abs=1e-6)
    assert (F.normalize(z, dim=1) - out.value).norm().item() == pytest.approx(0.141778, abs=1e-6)
    logits = 4 / math.sqrt(2) * torch.tensor([0.6, -0.8])
    torch.testing.assert_close(torch.sigmoid(logits), torch.tensor([0.845150, 0.094256]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("order", "code"), [("msb-first", 36865), ("lsb-first", 32777)])
def test_the_worked_code_in_both_bit_orders(order: Any, code: int) -> None:
    z = torch.tensor([0.5, -0.2, -0.2, 0.7, *[-0.2] * 11, 0.1]).reshape(1, 16, 1, 1)
    out = BSQ(bits=16, bit_order=order).eval()(z)
    assert out.codes.item() == code
    assert out.value.unique().tolist() == [-0.25, 0.25]


@pytest.mark.parametrize("bits", [1, 18, 64])
def test_codes_are_unit_vectors_and_the_length_of_a_latent_does_not_matter(bits: int) -> None:
    z = draw(2, bits, 3, 3, seed=bits)
    bsq = BSQ(bits=bits).eval()
    out = bsq(z)
    torch.testing.assert_close(out.value.norm(dim=1), torch.ones(2, 3, 3))
    assert torch.equal(bsq(1e3 * z).codes, out.codes)
    assert torch.equal(bsq(1e-3 * z).value, out.value)


def test_a_latent_of_zeros_is_all_minus() -> None:
    out = BSQ(bits=4).eval()(torch.zeros(1, 4, 1, 1))
    assert out.codes.item() == 0
    assert (out.value == -0.5).all()


@pytest.mark.parametrize(("gradient_scale", "slope"), [("1/sqrt(d)", 0.25), ("1", 1.0)])
def test_the_gradient_scale_of_both_published_forms(gradient_scale: Any, slope: float) -> None:
    u = F.normalize(draw(1, 16, 1, 1), dim=1).requires_grad_()
    w = draw(1, 16, 1, 1, seed=1)
    out = BSQ(bits=16, gradient_scale=gradient_scale).train().quantize(u)
    (grad,) = torch.autograd.grad((out.value * w).sum(), u)
    torch.testing.assert_close(grad, slope * w)
    torch.testing.assert_close(out.value.abs(), torch.full_like(u, 0.25))


def test_the_entropy_loss_is_divided_by_the_inverse_temperature() -> None:
    z = draw(2, 6, 4, 4)
    out = BSQ(bits=6, inverse_temperature=10.0, sample_entropy_weight=0.5, codebook_entropy_weight=2.0).train()(z)
    expected = (0.5 * out.statistics["sample_entropy"] - 2 * out.statistics["codebook_entropy"]) / 10
    assert out.losses["entropy"].value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_boost_falls_linearly_to_one() -> None:
    bsq = BSQ(bits=4, commitment_weight=2.0, boost=3.0, boost_steps=2000).train()
    for step, factor in ((0, 3.0), (500, 2.5), (2000, 1.0), (9000, 1.0)):
        bsq.on_step(StepClock(step=step, total=10_000))
        losses = bsq(draw(1, 4, 2, 2)).losses
        assert losses["entropy"].weight == pytest.approx(0.1 * factor)
        assert losses["commitment"].weight == pytest.approx(2.0 * factor)


def test_entropies_in_bits_are_at_most_the_bits() -> None:
    statistics = BSQ(bits=8, entropy_group=None).train()(draw(4, 8, 4, 4)).statistics
    assert 0 < statistics["sample_entropy"] < statistics["codebook_entropy"] < 8 * math.log(2)


@pytest.mark.parametrize(("bits", "group", "largest_mib"), [(36, 1, 4), (36, 9, 4), (18, 18, 8)])
def test_nothing_of_two_to_the_bits_is_ever_in_memory(bits: int, group: int, largest_mib: float) -> None:
    """At N = 4096 positions a softmax over 2^36 codes is 1 PB, one over 2^18 codes 4 GB, over 2^9 in 4 groups 32 MB."""
    z = draw(4, bits, 32, 32).requires_grad_()
    bsq = BSQ(bits=bits, entropy_group=group).train()
    with Allocations() as allocated:
        out = bsq(z)
        (out.value.sum() + out.losses["entropy"].value).backward()
        bsq.eval()(z)
    assert allocated.largest <= largest_mib * 2**20 + 1
    assert allocated.total < 200 * 2**20


def _whole_batch() -> Tensor:
    return draw(4, 6, 3, 3, seed=9)


SCRIPT = """
import sys
import torch
import torch.distributed as dist
from vqbench_plugins.quantizers.bsq import BSQ

rank, store, batch = int(sys.argv[1]), sys.argv[2], sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
weight = torch.eye(6).requires_grad_()
z = torch.load(batch, weights_only=True)[2 * rank : 2 * rank + 2]
out = BSQ(bits=6, entropy_group=3, inverse_temperature=5.0).train()(torch.einsum("oc,bchw->bohw", weight, z))
out.losses["entropy"].value.backward()
dist.all_reduce(weight.grad)  # as DistributedDataParallel: the mean over processes
torch.save([out.statistics["codebook_entropy"], weight.grad / 2], f"{batch}.{rank}")
dist.destroy_process_group()
"""


def test_two_processes_have_the_codebook_entropy_and_the_gradient_of_one(tmp_path: Path) -> None:
    batch = tmp_path / "batch.pt"
    torch.save(_whole_batch(), batch)
    workers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(rank), str(tmp_path / "store"), str(batch)])
        for rank in range(2)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    weight = torch.eye(6).requires_grad_()
    bsq = BSQ(bits=6, entropy_group=3, inverse_temperature=5.0).train()
    out = bsq(torch.einsum("oc,bchw->bohw", weight, _whole_batch()))
    (grad,) = torch.autograd.grad(out.losses["entropy"].value, weight)
    for rank in range(2):
        codebook_entropy, of_processes = torch.load(f"{batch}.{rank}", weights_only=True)
        torch.testing.assert_close(codebook_entropy, out.statistics["codebook_entropy"])
        torch.testing.assert_close(of_processes, grad, rtol=1e-4, atol=1e-6)


def test_the_distance_to_the_code_is_within_the_published_bound() -> None:
    """sqrt(2 - 2/sqrt(d)): 1.236 at d = 18; uniform directions lie at 0.613 on average (measured on the original)."""
    z = draw(20_000, 18, 1, 1)
    distance = (F.normalize(z, dim=1) - BSQ(bits=18).eval()(z).value).norm(dim=1)
    assert distance.max() <= math.sqrt(2 - 2 / math.sqrt(18))
    assert distance.mean().item() == pytest.approx(0.613, abs=2e-3)
    corner = F.one_hot(torch.tensor([0]), 18).float().reshape(1, 18, 1, 1) + 1e-6  # the bound's own case
    far = (F.normalize(corner, dim=1) - BSQ(bits=18).eval()(corner).value).norm().item()
    assert far == pytest.approx(math.sqrt(2 - 2 / math.sqrt(18)), rel=1e-4)


def test_groups_of_the_soft_code_use_the_scale_of_the_whole_code() -> None:
    u = F.normalize(draw(1, 18, 4, 4), dim=1)
    statistics = BSQ(bits=18, entropy_group=9).train().quantize(u).statistics
    logits = 4 / math.sqrt(18) * u.permute(0, 2, 3, 1).reshape(16, 18)
    expected = sum(CodeEntropy(group=9).codebook(half) for half in (logits[:, :9], logits[:, 9:]))
    torch.testing.assert_close(statistics["codebook_entropy"], torch.as_tensor(expected))
