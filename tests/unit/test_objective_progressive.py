"""Progressive coding: prefixes through the tokenizer and the ELBO; and the ELBO over several processes."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy_components import Convs

from vqbench.errors import TensorError, VQBenchError
from vqbench.interfaces import Loss, Quantized, Quantizer
from vqbench.plan import Recipe
from vqbench.specs import LevelShape
from vqbench.worker.objective import Objective
from vqbench.worker.tokenizer import Tokenizer, TokenizerOutput

SIZE, B = 8, 3
D = 3 * SIZE * SIZE
LEVELS = [LevelShape(stride=stride, latent_channels=2, code_channels=2) for stride in (4, 2)]


def images(seed: int) -> Tensor:
    return torch.rand(B, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


class Halves(Quantizer):
    """Two layers that add up to the latent; leaves the first as a prefix."""

    latent_channels = code_channels = 2
    codebook_sizes = (2,)

    def __init__(self, weight: float | None) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, latents: Tensor) -> Quantized:
        codes = torch.zeros(len(latents), 1, *latents.shape[-2:], dtype=torch.int64)
        if self.weight is None or not self.training:
            return Quantized(value=latents, codes=codes)
        return Quantized(value=latents, codes=codes, prefixes=(latents / 2, latents), prefix_weight=self.weight)

    def decode(self, codes: Tensor) -> Tensor:
        raise NotImplementedError


def tokenizer(*weights: float | None) -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(Convs(SIZE, LEVELS, 4), [Halves(weight) for weight in weights]).train()


def error(x: Tensor, y: Tensor) -> Tensor:
    """The squared error of images scaled to [-1, 1], summed over an image, mean over the batch."""
    return (2 * x - 2 * y).square().sum() / len(x)


X = images(0)


class TestPrefixes:
    def test_every_prefix_is_decoded_with_zeros_for_what_follows(self) -> None:
        module = tokenizer(1.0, 1.0)
        output = module(X)
        coarse, fine = (q.value for q in output.quantized)
        nothing = torch.zeros_like(fine)
        expected = [[coarse / 2, nothing], [coarse, nothing], [coarse, fine / 2]]
        assert len(output.prefixes) == 3
        for got, values in zip(output.prefixes, expected, strict=True):
            torch.testing.assert_close(got, module.backbone.decode(values))

    def test_a_level_without_prefixes_counts_as_the_whole(self) -> None:
        assert len(tokenizer(1.0, None)(X).prefixes) == 2
        assert len(tokenizer(None, 1.0)(X).prefixes) == 1

    def test_there_are_none_in_evaluation_or_without_progressive_coding(self) -> None:
        assert tokenizer(1.0, 1.0).eval()(X).prefixes == ()
        assert tokenizer(None, None)(X).prefixes == ()

    def test_a_prefix_of_a_wrong_shape_is_refused(self) -> None:
        class Wrong(Halves):
            def forward(self, latents: Tensor) -> Quantized:
                out = super().forward(latents)
                return Quantized(value=out.value, codes=out.codes, prefixes=(out.value[:, :1], out.value))

        with pytest.raises(TensorError, match="Wrong: the value of level 1 is of a wrong form"):
            Tokenizer(Convs(SIZE, LEVELS, 4), [Halves(None), Wrong(1.0)]).train()(X)


class TestLikelihoods:
    @pytest.mark.parametrize(("weight", "name"), [(1.0, "sum"), (0.25, "mean")])
    def test_each_prefix_has_its_own_variance(self, weight: float, name: str) -> None:
        output = tokenizer(weight, weight)(X)
        decoded = [*output.prefixes, output.reconstructions]
        expected = sum(D / 2 * math.log(error(X, y).item()) for y in decoded)
        expected = expected / len(decoded) if name == "mean" else expected
        value = Objective(Recipe(), "elbo")(X, output)
        assert value.total.item() == pytest.approx(expected, rel=1e-5)
        assert set(value.terms) == {"reconstruction"}

    def test_reconstructions_far_outside_the_range_are_not_clamped(self) -> None:
        outside = (X + 50.0).requires_grad_()
        quantized = Quantized(value=X, codes=torch.zeros(B, 1, 1, 1, dtype=torch.int64), prefixes=(X, X))
        output = TokenizerOutput(reconstructions=images(1), quantized=(quantized,), prefixes=(outside,))
        Objective(Recipe(), "elbo")(X, output).total.backward()
        assert outside.grad is not None
        assert (outside.grad > 0).all()

    def test_beside_a_perceptual_term_the_direction_is_kept(self) -> None:
        def gradients(recipe: Recipe, perceptual: object) -> list[Tensor]:
            leaves = [images(seed).requires_grad_() for seed in (1, 2)]
            nats = torch.tensor(40.0, requires_grad=True)
            quantized = Quantized(
                value=X,
                codes=torch.zeros(B, 1, 1, 1, dtype=torch.int64),
                losses={"kl": Loss(value=nats, unit="image_sum")},
                prefixes=(X, X),
            )
            output = TokenizerOutput(reconstructions=leaves[1], quantized=(quantized,), prefixes=(leaves[0],))
            Objective(recipe, "elbo", perceptual)(X, output).total.backward()  # type: ignore[arg-type]
            return [leaf.grad for leaf in (*leaves, nats)]  # type: ignore[misc]

        plain = gradients(Recipe(), None)
        rescaled = gradients(Recipe(lpips_weight=0.5), lambda x, y: y.new_zeros(len(y)))
        variance = error(X, images(2)) / D
        for of_plain, of_rescaled in zip(plain, rescaled, strict=True):
            torch.testing.assert_close(of_rescaled, of_plain * 2 * variance / D)

    def test_a_perfect_reconstruction_beside_a_perceptual_term_is_no_nan(self) -> None:
        quantized = Quantized(value=X, codes=torch.zeros(B, 1, 1, 1, dtype=torch.int64))
        objective = Objective(Recipe(lpips_weight=0.5), "elbo", lambda x, y: y.new_zeros(len(y)))  # type: ignore[arg-type]
        output = TokenizerOutput(reconstructions=X.clone().requires_grad_(), quantized=(quantized,))
        assert objective(X, output).total.item() == 0.0

    def test_other_objectives_have_no_use_for_prefixes(self) -> None:
        with pytest.raises(VQBenchError, match="Progressive coding belongs to an ELBO"):
            Objective(Recipe(), "reconstruction")(X, tokenizer(1.0, 1.0)(X))


PROCESS = """
import sys
import torch
import torch.distributed as dist
from vqbench.interfaces import Quantized
from vqbench.plan import Recipe
from vqbench.worker.objective import Objective
from vqbench.worker.tokenizer import TokenizerOutput

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
images, reconstructions = (t[2 * rank : 2 * rank + 2] for t in torch.load(f"{folder}/batch.pt", weights_only=True))
gain = torch.ones((), requires_grad=True)
quantized = Quantized(value=images, codes=torch.zeros(2, 1, 1, 1, dtype=torch.int64))
value = Objective(Recipe(), "elbo")(
    images, TokenizerOutput(reconstructions=gain * reconstructions, quantized=(quantized,))
).total
value.backward()
dist.all_reduce(gain.grad)  # as DistributedDataParallel: the mean over processes
torch.save([value.detach(), gain.grad / 2], f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


def test_two_processes_have_the_loss_and_the_gradient_of_one(tmp_path: Path) -> None:
    """The log of the global mean error, not the mean of the processes' logs."""
    x, y = torch.cat([images(0), images(1)])[:4], torch.cat([images(0) * 0.9, images(5)])[:4]
    torch.save([x, y], tmp_path / "batch.pt")
    workers = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    gain = torch.ones((), requires_grad=True)
    expected = D / 2 * torch.log((2 * x - 2 * gain * y).square().sum() / 4)
    expected.backward()
    for rank in range(2):
        value, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(value, expected.detach())
        torch.testing.assert_close(gradient, gain.grad)
