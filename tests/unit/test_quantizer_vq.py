"""VQ: losses and gradients of its variants, and running averages that stay sane."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.vq import VQ


def with_codebook(rows: list[list[float]], **arguments: object) -> VQ:
    codebook = torch.tensor(rows)
    vq = VQ(codebook_size=len(rows), dim=codebook.shape[1], **arguments)  # type: ignore[arg-type]
    with torch.no_grad():
        vq.codebook.copy_(codebook)
        if vq.update == "ema":
            vq.sums.copy_(codebook)
    return vq


def latents(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("placement", "reduction", "loss", "encoder", "codeword"),
    [
        ("standard", "mean", 0.125, (-0.10, -0.05), (0.40, 0.20)),
        ("legacy", "mean", 0.125, (-0.40, -0.20), (0.10, 0.05)),
        ("standard", "sum_channels", 0.250, (-0.20, -0.10), (0.80, 0.40)),
        ("legacy", "sum_channels", 0.250, (-0.80, -0.40), (0.20, 0.10)),
    ],
)
def test_worked_losses_and_gradients(
    placement: str, reduction: str, loss: float, encoder: tuple[float, ...], codeword: tuple[float, ...]
) -> None:
    vq = with_codebook([[1, 0], [0, 1], [-1, -1.0]], beta=0.25, beta_placement=placement, reduction=reduction)
    z = torch.tensor([0.6, -0.2]).reshape(1, 2, 1, 1).requires_grad_()
    out = vq(z)
    total = sum(term.weight * term.value for term in out.losses.values())
    assert isinstance(total, Tensor)
    total.backward()
    assert out.codes.item() == 0
    assert {term.unit for term in out.losses.values()} == {"element_mean"}
    assert total.item() == pytest.approx(loss)
    assert z.grad is not None
    assert z.grad.flatten().tolist() == pytest.approx(encoder)
    assert vq.codebook.grad is not None
    assert vq.codebook.grad[0].tolist() == pytest.approx(codeword)
    assert not vq.codebook.grad[1:].any()


def test_the_sphere_changes_the_search_and_the_value() -> None:
    vq = with_codebook([[2, 0], [0, 3], [-1, -1.0]], normalize="l2").eval()
    out = vq(torch.tensor([0.6, -0.2]).reshape(1, 2, 1, 1))
    assert out.codes.item() == 0
    assert out.value.flatten().tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("counts_init", "first", "second"), [("zeros", 25.756436, -99049.5), ("ones", 1.0000002, -0.9999998)]
)
def test_worked_running_average(counts_init: str, first: float, second: float) -> None:
    vq = with_codebook([[1.0], [-1.0]], update="ema", decay=0.99, counts_init=counts_init)
    vq(torch.tensor([0.8, 1.0, 1.2, 1.0]).reshape(1, 1, 1, 4))
    assert vq.codebook.flatten().tolist() == pytest.approx([first, second], rel=1e-5)


def test_a_codeword_that_is_never_used_stays_finite_and_shrinks() -> None:
    vq = with_codebook([[-10.0, -10.0], [50.0, 50.0]], update="ema", decay=0.9)
    lengths = []
    for step in range(1200):  # 0.9^1200 is beyond float32: counts and sums reach zero
        out = vq(latents(1, 2, 4, 4, seed=step) / 10 - 10)
        assert not out.codes.any()
        lengths.append(vq.codebook[1].norm().item())
    assert bool(torch.isfinite(vq.codebook).all())
    assert vq.codebook[0].tolist() == pytest.approx([-10, -10], abs=0.1)
    assert all(later <= earlier * 1.000001 for earlier, later in pairwise(lengths))


def test_one_step_from_the_default_start_moves_no_codeword_far() -> None:
    torch.manual_seed(0)
    vq = VQ(codebook_size=64, dim=8, update="ema")
    before = vq.codebook.norm(dim=1)
    vq(latents(1, 8, 4, 4))
    assert float((vq.codebook.norm(dim=1) / before).max()) < 2


@pytest.mark.parametrize("normalize", ["none", "l2"])
@pytest.mark.parametrize("update", ["gradient", "ema"])
@pytest.mark.parametrize("tokens", [1, 3])
def test_evaluation_equals_decoding_bit_for_bit(normalize: str, update: str, tokens: int) -> None:
    torch.manual_seed(0)
    vq = VQ(codebook_size=20, dim=4, tokens=tokens, normalize=normalize, update=update)  # type: ignore[arg-type]
    vq(latents(2, 4 * tokens, 3, 5))
    before = {name: value.clone() for name, value in vq.state_dict().items()}
    out = vq.eval()(latents(2, 4 * tokens, 3, 5, seed=1))
    assert out.codes.shape == (2, tokens, 3, 5)
    assert out.value.shape == (2, 4 * tokens, 3, 5)
    assert torch.equal(vq.decode(out.codes), out.value)
    assert not out.losses
    assert all(torch.equal(value, before[name]) for name, value in vq.state_dict().items())


def test_a_token_is_a_strided_group_of_channels() -> None:
    vq = with_codebook([[0, 1], [2, 3.0]], tokens=2).eval()
    value = vq.decode(torch.tensor([0, 1]).reshape(1, 2, 1, 1))
    assert value.flatten().tolist() == [0.0, 2.0, 1.0, 3.0]


def test_the_gradient_passes_straight_through() -> None:
    vq = VQ(codebook_size=16, dim=4)
    z = latents(2, 4, 3, 3).requires_grad_()
    weights = latents(2, 4, 3, 3, seed=5)
    (vq(z).value * weights).sum().backward()
    torch.testing.assert_close(z.grad, weights)


def test_a_codebook_of_running_averages_has_no_trained_parameter() -> None:
    vq = VQ(codebook_size=16, dim=4, update="ema", beta=0.25, beta_placement="legacy")
    assert not vq.parameter_groups()
    out = vq(latents(1, 4, 2, 2))
    assert list(out.losses) == ["commitment"]
    assert out.losses["commitment"].weight == 0.25
    assert set(vq.state_dict()) == {"codebook", "counts", "sums"}


def test_a_resumed_run_equals_an_uninterrupted_one() -> None:
    torch.manual_seed(0)
    run = VQ(codebook_size=16, dim=4, update="ema")
    run(latents(1, 4, 4, 4, seed=1))
    resumed = VQ(codebook_size=16, dim=4, update="ema")
    resumed.load_state_dict(run.state_dict())
    for vq in (run, resumed):
        vq(latents(1, 4, 4, 4, seed=2))
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in run.state_dict().items())


def test_initial_codebooks() -> None:
    torch.manual_seed(0)
    assert float(VQ(codebook_size=50, dim=40).codebook.detach().abs().max()) <= 1 / 50
    assert float(VQ(codebook_size=50, dim=40, update="ema").codebook.std()) == pytest.approx(1, abs=0.1)


def test_usage_of_the_batch_is_watched() -> None:
    vq = with_codebook([[0.0], [10.0], [20.0], [30.0]])
    out = vq(torch.tensor([0.1, 9.0, 11.0, 0.2]).reshape(1, 1, 2, 2))
    assert out.statistics["batch_usage"].item() == 0.5


def test_a_codebook_of_one_is_refused() -> None:
    with pytest.raises(ParameterError, match="codebook_size"):
        VQ(codebook_size=1, dim=4)


def test_a_codeword_that_is_not_used_starts_again_at_a_latent_of_the_batch() -> None:
    torch.manual_seed(0)
    quantizer = VQ(codebook_size=16, dim=2, update="ema", decay=0.5, restart_below=0.4).train()
    latents = 50 + torch.randn(1, 2, 4, 4)  # far from all codewords: one codeword takes them all
    rows = latents.flatten(2).transpose(1, 2).reshape(-1, 2)
    quantizer(latents)
    assert quantizer.counts.min() == 0.5  # all but one have decayed once: still above the threshold
    quantizer(latents)
    restarted = quantizer.counts == torch.tensor(0.4)
    assert restarted.sum() == 15
    for word, count, total in zip(
        quantizer.codebook[restarted], quantizer.counts[restarted], quantizer.sums[restarted], strict=True
    ):
        assert (rows == word).all(dim=1).any()
        torch.testing.assert_close(total, word * count)
    assert len(torch.unique(quantizer.codebook[restarted], dim=0)) == 15  # each at another latent
    used = quantizer(latents).codes.unique()
    assert len(used) > 10


def test_no_more_codewords_restart_than_there_are_latents() -> None:
    torch.manual_seed(0)
    quantizer = VQ(codebook_size=64, dim=2, update="ema", decay=0.1, restart_below=0.5).train()
    before = quantizer.codebook.clone()
    latents = 50 + torch.randn(1, 2, 1, 3)
    quantizer(latents)
    rows = latents.flatten(2).transpose(1, 2).reshape(-1, 2)
    at_a_latent = (quantizer.codebook[:, None] == rows[None]).all(dim=2).any(dim=1)
    assert at_a_latent.sum() == 3
    assert before.shape == quantizer.codebook.shape


def test_without_a_threshold_nothing_restarts_and_the_generator_is_left_alone() -> None:
    quantizer = VQ(codebook_size=16, dim=2, update="ema", decay=0.01).train()
    state = torch.get_rng_state()
    for _ in range(3):
        quantizer(50 + torch.zeros(1, 2, 2, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert (quantizer.counts < 1e-3).sum() == 15
