"""VQ: losses and gradients of its variants, and running averages that stay sane."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench_plugins.quantizers.codebook import CodebookInit
from vqbench_plugins.quantizers.ema import EMACodebook
from vqbench_plugins.quantizers.rotation import rotate_onto
from vqbench_plugins.quantizers.vq import VQ


def with_codebook(rows: list[list[float]], **arguments: object) -> VQ:
    codebook = torch.tensor(rows)
    vq = VQ(codebook_size=len(rows), dim=codebook.shape[1], **arguments)  # type: ignore[arg-type]
    with torch.no_grad():
        book = vq.codebooks[0]
        book.words.copy_(codebook)
        if isinstance(book, EMACodebook):
            book.sums.copy_(codebook)
    return vq


def words(vq: VQ) -> Tensor:
    [book] = vq.codebooks
    table: Tensor = book.words
    return table


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
    gradient = words(vq).grad
    assert gradient is not None
    assert gradient[0].tolist() == pytest.approx(codeword)
    assert not gradient[1:].any()


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
    assert words(vq).flatten().tolist() == pytest.approx([first, second], rel=1e-5)


def test_a_codeword_that_is_never_used_stays_finite_and_shrinks() -> None:
    vq = with_codebook([[-10.0, -10.0], [50.0, 50.0]], update="ema", decay=0.9)
    lengths = []
    for step in range(1200):  # 0.9^1200 is beyond float32: counts and sums reach zero
        out = vq(latents(1, 2, 4, 4, seed=step) / 10 - 10)
        assert not out.codes.any()
        lengths.append(words(vq)[1].norm().item())
    assert bool(torch.isfinite(words(vq)).all())
    assert words(vq)[0].tolist() == pytest.approx([-10, -10], abs=0.1)
    assert all(later <= earlier * 1.000001 for earlier, later in pairwise(lengths))


def test_one_step_from_the_default_start_moves_no_codeword_far() -> None:
    torch.manual_seed(0)
    vq = VQ(codebook_size=64, dim=8, update="ema")
    before = words(vq).norm(dim=1)
    vq(latents(1, 8, 4, 4))
    assert float((words(vq).norm(dim=1) / before).max()) < 2


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
    assert set(vq.state_dict()) == {"codebooks.0.words", "codebooks.0.counts", "codebooks.0.sums"}


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
    assert float(words(VQ(codebook_size=50, dim=40)).detach().abs().max()) <= 1 / 50
    assert float(words(VQ(codebook_size=50, dim=40, update="ema")).std()) == pytest.approx(1, abs=0.1)


def test_usage_of_the_batch_is_watched() -> None:
    vq = with_codebook([[0.0], [10.0], [20.0], [30.0]])
    out = vq(torch.tensor([0.1, 9.0, 11.0, 0.2]).reshape(1, 1, 2, 2))
    assert out.statistics["batch_usage"].item() == 0.5


def test_a_codebook_of_one_is_refused() -> None:
    with pytest.raises(ParameterError, match="codebook_size"):
        VQ(codebook_size=1, dim=4)


@pytest.mark.parametrize("reduction", ["mean", "sum_channels"])
def test_a_joint_loss_has_the_gradients_of_both_split_losses_at_half_their_value(reduction: str) -> None:
    results = []
    for arguments in ({"loss": "joint"}, {"loss": "split", "beta": 1.0}):
        vq = with_codebook([[1, 0], [0, 1], [-1, -1.0]], reduction=reduction, **arguments)
        z = torch.tensor([0.6, -0.2]).reshape(1, 2, 1, 1).requires_grad_()
        total = torch.stack([term.weight * term.value for term in vq(z).losses.values()]).sum()
        results.append((total, *torch.autograd.grad(total, (z, words(vq)))))
    (joint, *gradients), (split, *expected) = results
    assert split.item() == pytest.approx(2 * joint.item())
    torch.testing.assert_close(gradients, expected)


def test_worked_rotation() -> None:
    """z = (0.6, -0.2) onto (1, 0): lengths 0.632 and 1, an angle of 18.4 degrees."""
    vq = with_codebook([[1, 0], [0, 1], [-1, -1.0]], gradient="rotation")
    z = torch.tensor([0.6, -0.2]).reshape(1, 2, 1, 1).requires_grad_()
    out = vq(z)
    torch.testing.assert_close(out.value.flatten(), torch.tensor([1.0, 0.0]))
    jacobian = [torch.autograd.grad(row, z, retain_graph=True)[0].flatten().tolist() for row in out.value.flatten()]
    assert jacobian[0] == pytest.approx([1.5, -0.5], abs=1e-6)
    assert jacobian[1] == pytest.approx([0.5, 1.5], abs=1e-6)


def test_a_rotation_scales_lengths_by_the_codewords_over_the_latents() -> None:
    vq = VQ(codebook_size=16, dim=5, gradient="rotation", init="normal")
    z = latents(2, 5, 3, 3).requires_grad_()
    out = vq(z)
    weights = latents(2, 5, 3, 3, seed=5)
    (out.value * weights).sum().backward()
    assert z.grad is not None
    ratio = out.value.norm(dim=1) / z.detach().norm(dim=1)
    torch.testing.assert_close(z.grad.norm(dim=1), ratio * weights.norm(dim=1))


def test_what_has_no_direction_passes_straight_through_a_rotation() -> None:
    """The published code gives 0 for a latent of 0, and at 1e-7 a gradient of a million."""
    vq = with_codebook([[1, 0], [0, 1.0]], gradient="rotation")
    z = torch.tensor([[0.0, 0.0], [1e-8, 0.0]]).T.reshape(1, 2, 1, 2).requires_grad_()
    out = vq(z)
    torch.testing.assert_close(out.value, vq.decode(out.codes), atol=1e-6, rtol=0)
    out.value.sum().backward()
    assert z.grad is not None
    assert (z.grad == 1).all()


@pytest.mark.parametrize("opposite", [-1.0, -0.001])
def test_a_rotation_by_half_a_turn_is_finite(opposite: float) -> None:
    value = rotate_onto(torch.tensor([[0.0, opposite, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]]))
    torch.testing.assert_close(value, torch.tensor([[0.0, 2.0, 0.0]]))


def test_every_token_may_have_its_own_codebook_and_contiguous_channels() -> None:
    vq = VQ(codebook_size=2, dim=2, tokens=2, grouping="contiguous", shared_codebook=False).eval()
    with torch.no_grad():
        vq.codebooks[0].words.copy_(torch.tensor([[0, 1], [2, 3.0]]))
        vq.codebooks[1].words.copy_(torch.tensor([[4, 5], [6, 7.0]]))
    value = vq.decode(torch.tensor([1, 0]).reshape(1, 2, 1, 1))
    assert value.flatten().tolist() == [2.0, 3.0, 4.0, 5.0]
    assert vq(value).codes.flatten().tolist() == [1, 0]


def test_separate_codebooks_move_with_their_own_token() -> None:
    torch.manual_seed(0)
    vq = VQ(codebook_size=4, dim=1, tokens=2, shared_codebook=False, update="ema", decay=0.5).train()
    z = torch.cat([torch.full((1, 1, 4, 4), 10.0), torch.full((1, 1, 4, 4), -10.0)], dim=1)
    for _ in range(40):
        vq(z)
    first, second = (book.words.flatten() for book in vq.codebooks)
    assert first.max().item() == pytest.approx(10, abs=0.01)
    assert second.min().item() == pytest.approx(-10, abs=0.01)
    assert first.min() > -5
    assert second.max() < 5


def test_factorised_codes_keep_the_width_of_the_latent_and_train_both_maps() -> None:
    vq = VQ(codebook_size=16, dim=3, tokens=2, latent_dim=10)
    assert (vq.latent_channels, vq.code_channels, vq.codebook_sizes) == (10, 10, (16, 16))
    out = vq(latents(2, 10, 3, 3))
    (out.value.square().mean() + sum(term.weight * term.value for term in out.losses.values())).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vq.parameters())
    evaluated = vq.eval()(latents(2, 10, 3, 3))
    assert torch.equal(vq.decode(evaluated.codes), evaluated.value)


def test_a_frozen_codebook_does_not_move() -> None:
    torch.manual_seed(0)
    vq = VQ(codebook_size=16, dim=4, update="frozen", beta=0.5)
    before = words(vq).clone()
    z = latents(1, 4, 3, 3).requires_grad_()
    out = vq(z)
    out.losses["commitment"].value.backward()
    assert list(out.losses) == ["commitment"]
    assert out.losses["commitment"].weight == 0.5
    assert torch.equal(words(vq), before)
    assert not vq.parameter_groups()


@pytest.mark.parametrize(
    ("init", "longest", "shortest"), [("uniform", 8**0.5 / 64, 0.0), ("normal", 7.0, 0.3), ("sphere", 1.0, 1.0)]
)
def test_where_codewords_start(init: CodebookInit, longest: float, shortest: float) -> None:
    torch.manual_seed(0)
    lengths = words(VQ(codebook_size=64, dim=8, init=init)).detach().norm(dim=1)
    assert shortest - 1e-6 <= float(lengths.min()) <= float(lengths.max()) <= longest + 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "joint", "update": "ema"}, "Use loss 'split'"),
        ({"restart_below": 0.5}, "Set update = 'ema'"),
        ({"update": "ema", "decay": 1.0}, "decay"),
        ({"update": "ema", "eps": 0.0}, "eps must be positive"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        VQ(codebook_size=4, dim=2, **arguments)  # type: ignore[arg-type]
