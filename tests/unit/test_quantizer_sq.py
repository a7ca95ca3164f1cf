"""SQ in one layer: worked by hand, variances, noise, precision, memory, statistics."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vqbench.errors import ParameterError
from vqbench.interfaces import StepClock
from vqbench_plugins.quantizers import categorical
from vqbench_plugins.quantizers.categorical import posterior_logits, relaxed_sample
from vqbench_plugins.quantizers.gumbel import gumbel_noise, temperature_at
from vqbench_plugins.quantizers.information import entropy, layer_information
from vqbench_plugins.quantizers.sq import SQ

NO_NOISE = math.exp(-1)  # U = 1/e gives G = 0


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def small(seed: int = 0, **arguments: Any) -> SQ:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SQ(**({"codebook_size": 7, "dim": 3, "variance_init": 2.0} | arguments))


def test_one_position_worked_by_hand() -> None:
    """d = 1, B = {0, 1}, s² = ½, g = ¼, no noise, tau = 1."""
    quantizer = SQ(codebook_size=2, dim=1, variance_form="product", variance_init=0.5)
    with torch.no_grad():
        quantizer.codebooks.copy_(torch.tensor([[[0.0], [1.0]]]))
    latents = torch.full((1, 1, 1, 1), 0.25)
    out = quantizer.relax(latents, uniforms=torch.full((1, 1, 2), NO_NOISE))
    # logits -0.0625 and -0.5625: π = 0.622459, 0.377541
    assert out.value.item() == pytest.approx(0.377541, abs=1e-6)
    assert out.losses["kld_discrete"].value.item() == pytest.approx(-0.662847, abs=1e-6)
    assert out.losses["kld_continuous"].value.item() == pytest.approx(0.016267, abs=1e-6)  # of the sample, no average
    assert {loss.unit for loss in out.losses.values()} == {"image_sum"}
    assert {loss.weight for loss in out.losses.values()} == {1.0}
    evaluated = quantizer.eval()(latents)
    assert (evaluated.codes.item(), evaluated.value.item()) == (0, 0.0)


class TestVariance:
    @pytest.mark.parametrize(
        ("kind", "shape"), [("I", (1, 1, 1, 1)), ("II", (2, 1, 1, 1)), ("III", (2, 1, 5, 4)), ("IV", (2, 3, 5, 4))]
    )
    @pytest.mark.parametrize("form", ["sum", "product"])
    def test_each_type_averages_the_log_variances_and_joins_the_scalar(
        self, kind: Any, form: Any, shape: tuple[int, ...]
    ) -> None:
        """On a grid that is neither square nor 8×8: the original fails there for type II."""
        quantizer = small(variance=kind, variance_form=form)
        assert quantizer.latent_channels == (3 if kind == "I" else 6)
        latents = random(2, quantizer.latent_channels, 5, 4)
        h = latents[:, 3:].double()
        averaged = {"I": torch.zeros(1, 1, 1, 1), "II": h.mean((1, 2, 3), keepdim=True), "III": h.mean(1, keepdim=True)}
        expected = averaged.get(kind, h).double().exp()
        expected = expected + 2.0 if form == "sum" else expected * 2.0
        [got] = quantizer.variance(latents[:, 3:] if kind != "I" else None)
        assert got.shape == shape
        torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)
        assert quantizer.train()(latents).value.shape == (2, 3, 5, 4)

    def test_the_official_scalar_has_a_floor_of_one_and_hq_vaes_has_none(self) -> None:
        for form, expected in (("sum", 21.0), ("product", 20.0)):
            [variance] = small(variance_form=form, variance_init=20.0).variance(None)
            assert variance.item() == pytest.approx(expected)

    def test_it_is_clamped_before_it_is_inverted(self) -> None:
        quantizer = small(variance_form="product", variance_init=1e-30).train()
        assert quantizer.variance(None)[0].item() == pytest.approx(1e-10)
        out = quantizer(random(2, 3, 2, 2))
        assert all(torch.isfinite(loss.value) for loss in out.losses.values())

    def test_type_iv_takes_the_nearest_codeword_in_units_of_its_own_variances(self) -> None:
        quantizer = small(variance="IV", variance_form="product", variance_init=1.0).eval()
        latents = torch.cat([random(2, 3, 4, 4), 2 * random(2, 3, 4, 4, seed=1)], dim=1)
        means, h = latents.double().chunk(2, dim=1)
        words = quantizer.codebooks[0].double()[None, :, :, None, None]  # (1, K, d, 1, 1)
        distance = ((means[:, None] - words).square() / h.exp()[:, None]).sum(dim=2)  # (B, K, h, w)
        codes = quantizer(latents).codes[:, 0]
        assert torch.equal(codes, distance.argmin(dim=1))
        euclidean = (means[:, None] - words).square().sum(dim=2).argmin(dim=1)
        assert not torch.equal(codes, euclidean)


class TestGumbel:
    def test_noise_is_finite_at_the_ends_of_the_unit_interval(self) -> None:
        ends = torch.tensor([0.0, 1 - 2.0**-24])
        torch.testing.assert_close(gumbel_noise(ends), torch.tensor([-3.1366, 16.6343]), atol=1e-3, rtol=0)
        assert torch.isfinite(gumbel_noise(ends, "clamped")).all()

    def test_noise_has_the_moments_of_a_standard_gumbel(self) -> None:
        for form in ("guarded", "clamped"):
            noise = gumbel_noise(uniforms(200_000), form)  # type: ignore[arg-type]
            assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
            assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.02)

    def test_temperature_counts_steps_from_one_and_has_a_floor(self) -> None:
        quantizer = small(tau_start=2.0, tau_rate=0.1, tau_min=0.5)
        assert quantizer.temperature.item() == 2.0
        for step, expected in ((0, 2 * math.exp(-0.1)), (9, 2 * math.exp(-1)), (99, 0.5)):
            quantizer.on_step(StepClock(step=step, total=100))
            assert quantizer.temperature.item() == pytest.approx(expected)
            assert temperature_at(step + 1, start=2.0, rate=0.1, minimum=0.5) == pytest.approx(expected)
        assert "temperature" in quantizer.state_dict()

    def test_training_stays_finite_when_the_temperature_has_reached_zero(self) -> None:
        quantizer = small(tau_rate=10.0).train()
        quantizer.on_step(StepClock(step=1000, total=1001))
        assert quantizer.temperature.item() == 0.0
        out = quantizer(random(2, 3, 4, 4).requires_grad_())
        (out.value.sum() + out.losses["kld_continuous"].value).backward()
        assert all(torch.isfinite(p.grad).all() for p in quantizer.parameters())


class TestPrecisionAndMemory:
    def test_logits_of_a_mean_far_from_a_codebook_far_from_zero_keep_their_digits(self) -> None:
        codebook, means = random(16, 8) + 300.0, random(5, 8, seed=1) + 310.0
        for precisions in (torch.full((5, 1), 2.0), random(5, 8, seed=2).exp()):
            exact = -(means[:, None].double() - codebook.double()).square().mul(precisions.double()[:, None])
            expected = (exact.sum(dim=2) / 2).log_softmax(dim=1)
            got = posterior_logits(means, precisions, codebook).double().log_softmax(dim=1)
            assert (got - expected).abs().max() < 2e-3  # of differences up to several hundred nats

    def test_half_precision_around_it_changes_nothing(self) -> None:
        def outcome() -> list[Tensor]:
            quantizer = small(layers=2).train()
            x = random(2, 3, 4, 4).requires_grad_()
            out = quantizer.relax(x, uniforms=uniforms(2, 32, 7))
            torch.stack([out.value.square().sum(), *(loss.value for loss in out.losses.values())]).sum().backward()
            return [out.value, x.grad, *(p.grad for p in quantizer.parameters())]  # type: ignore[list-item]

        expected = outcome()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = outcome()
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))

    def test_going_through_positions_in_parts_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        codebook, means, precisions = random(7, 3), random(20, 3, seed=1), random(20, 3, seed=2).exp()

        def outcome() -> list[Tensor]:
            leaves = [t.clone().requires_grad_() for t in (means, precisions, codebook)]
            draw = relaxed_sample(*leaves, torch.tensor(0.7), uniforms=uniforms(20, 7))  # type: ignore[misc]
            (draw.values.square().sum() + draw.negative_entropy).backward()
            return [*draw, *(leaf.grad for leaf in leaves)]  # type: ignore[list-item]

        expected = outcome()
        monkeypatch.setitem(categorical.SCORES_AT_ONCE, "cpu", 6 * 7)
        for got, of_whole in zip(outcome(), expected, strict=True):
            torch.testing.assert_close(got, of_whole)

    def test_parts_draw_the_same_noise_when_computed_again_for_the_gradient(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(categorical.SCORES_AT_ONCE, "cpu", 4 * 7)
        codebook, means, tau = random(7, 3).requires_grad_(), random(12, 3, seed=1), torch.tensor(0.5)

        def gradient(noise: Tensor | None) -> Tensor:
            draw = relaxed_sample(means, torch.ones(12, 1), codebook, tau, uniforms=noise)
            torch.manual_seed(99)  # what is drawn between the two passes does not matter
            return torch.autograd.grad(draw.values.square().sum(), codebook)[0]

        with torch.random.fork_rng():
            torch.manual_seed(3)
            noise = torch.cat([torch.rand(4, 7) for _ in range(3)])
            torch.manual_seed(3)
            assert torch.equal(gradient(None), gradient(noise))

    @pytest.mark.parametrize("kind", ["I", "II", "III", "IV"])
    def test_evaluation_holds_no_table_of_positions_by_codewords(
        self, kind: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> Tensor:
            raise AssertionError("evaluation went through all logits")

        monkeypatch.setattr(categorical, "posterior_logits", refuse)
        quantizer = small(variance=kind).eval()
        assert quantizer(random(2, quantizer.latent_channels, 4, 4)).codes.shape == (2, 1, 4, 4)


class TestStatistics:
    def test_information_is_the_mean_divergence_of_posteriors_from_their_mean(self) -> None:
        posteriors = random(50, 9).mul(2).softmax(dim=1).double()
        mean = posteriors.mean(dim=0)
        divergence = (posteriors * (posteriors / mean).log()).sum(dim=1).mean()
        torch.testing.assert_close(layer_information(mean, entropy(posteriors).mean()), divergence)

    def test_information_lies_between_nothing_and_all_of_the_code(self) -> None:
        alike = torch.full((8,), 1 / 8)
        assert layer_information(alike, entropy(alike)).item() == pytest.approx(0.0, abs=1e-6)
        one_hot = torch.eye(8)
        assert layer_information(one_hot.mean(0), entropy(one_hot).mean()).item() == pytest.approx(math.log(8))

    def test_a_layer_that_carries_nothing_has_a_high_soft_and_a_low_hard_perplexity(self) -> None:
        quantizer = small(codebook_size=64, variance_form="product", variance_init=1e4).train()
        # a mean of its own, all the same: every position has the posterior that the codebook's spread gives
        out = quantizer(random(1, 3, 1, 1).expand(4, 3, 4, 4))
        assert out.statistics["soft_perplexity"].item() == pytest.approx(64, rel=0.01)
        assert out.statistics["perplexity"].item() == pytest.approx(1.0)
        assert out.statistics["information"].item() == pytest.approx(0.0, abs=1e-5)
        assert out.statistics["posterior_entropy"].item() == pytest.approx(math.log(64), rel=0.01)
        assert all(not value.requires_grad for value in out.statistics.values())

    def test_they_are_those_of_all_processes_batches(self, tmp_path: Path) -> None:
        quantizer = small(layers=2).train()
        latents, noise = random(4, 3, 2, 2), uniforms(2, 16, 7)
        whole = quantizer.relax(latents, uniforms=noise).statistics
        torch.save([quantizer.state_dict(), latents, noise], tmp_path / "batch.pt")
        workers = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)]) for rank in range(2)]
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
        for rank in range(2):
            found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
            assert found.keys() == whole.keys()
            for name, value in whole.items():
                torch.testing.assert_close(found[name], value, msg=name)


PROCESS = """
import sys
import torch
import torch.distributed as dist
from vqbench_plugins.quantizers.sq import SQ

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
state, latents, noise = torch.load(f"{folder}/batch.pt", weights_only=True)
images = slice(0, 3) if rank == 0 else slice(3, 4)  # unequal shares
quantizer = SQ(codebook_size=7, dim=3, layers=2).train()
quantizer.load_state_dict(state)
noise = noise.view(2, 4, 4, 7)[:, images].reshape(2, -1, 7)
torch.save(dict(quantizer.relax(latents[images], uniforms=noise).statistics), f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


class TestSeam:
    def test_variances_train_in_a_group_of_their_own_without_weight_decay(self) -> None:
        quantizer = small(layers=3, variance_lr_scale=10.0)
        groups = quantizer.parameter_groups()
        assert [(len(g.parameters), g.lr_scale, g.weight_decay) for g in groups] == [(1, 1.0, False), (1, 10.0, False)]
        assert groups[1].parameters[0] is quantizer.variance.log_scale
        assert groups[1].parameters[0].shape == (3,)

    def test_the_codebook_starts_standard_normal(self) -> None:
        codebooks = small(codebook_size=512, dim=64).codebooks
        assert codebooks.mean().item() == pytest.approx(0.0, abs=0.02)
        assert codebooks.std().item() == pytest.approx(1.0, abs=0.02)

    @pytest.mark.parametrize(("posterior", "layers"), [("gaussian", 1), ("gaussian", 3), ("vmf", 1)])
    def test_the_evaluated_value_is_what_its_codes_decode_to_bit_for_bit(self, posterior: Any, layers: int) -> None:
        quantizer = small(posterior=posterior, layers=layers).eval()
        out = quantizer(random(2, 3, 4, 5))
        assert torch.equal(out.value, quantizer.decode(out.codes))
        assert not out.losses
        assert not out.prefixes

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"layers": 2, "variance": "III"}, "one Gaussian variance per layer"),
            ({"layers": 2, "posterior": "vmf"}, "one Gaussian variance per layer"),
            ({"layers": 0}, "at least 1"),
            ({"posterior": "vmf", "variance": "IV"}, "one concentration"),
            ({"tau_start": 0.0}, "tau_start must be positive"),
            ({"tau_min": 1.5}, "tau_min is out of range"),
            ({"tau_rate": -1.0}, "tau_rate"),
            ({"variance_init": 0.0}, "variance_init"),
            ({"codebook_size": 1}, "codebook_size"),
        ],
    )
    def test_parameters_that_do_not_go_together(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            small(**arguments)


class TestPosteriorSums:
    """What evaluation adds up for the mutual information of image and code."""

    @pytest.mark.parametrize(
        "arguments",
        [{"variance": kind} for kind in ("I", "II", "III", "IV")] + [{"layers": 3}, {"posterior": "vmf"}],
        ids=str,
    )
    @pytest.mark.parametrize("at_once", [1 << 20, 7 * 5])
    def test_they_add_up_the_posteriors_of_each_layer(
        self, arguments: Any, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(categorical.SCORES_AT_ONCE, "cpu", at_once)
        quantizer = small(**arguments).eval()
        latents = random(2, quantizer.latent_channels, 4, 3)
        codes = quantizer(latents).codes
        residual, variances = quantizer._split(latents)
        found = quantizer.posterior_sums(latents, codes)
        assert [sums.count for sums in found] == [2 * 4 * 3] * quantizer.layers
        for layer, sums in enumerate(found):
            codebook = quantizer._codebook(layer)
            distances = (residual[:, None] - codebook[None, :, :, None, None]).square() / variances[layer][:, None]
            posterior = (-distances.double().sum(dim=2) / 2).softmax(dim=1)
            torch.testing.assert_close(sums.probabilities, posterior.sum(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(sums.entropy, entropy(posterior.movedim(1, -1)).sum(), rtol=1e-4, atol=1e-5)
            assert torch.equal(posterior.argmax(dim=1), codes[:, layer])  # the posterior that the codes are taken from
            residual = residual - codebook[codes[:, layer]].movedim(-1, 1)

    def test_they_leave_codes_and_values_alone(self) -> None:
        quantizer = small(layers=2).eval()
        latents = random(2, 3, 4, 4)
        before = quantizer(latents)
        quantizer.posterior_sums(latents, before.codes)
        after = quantizer(latents)
        assert torch.equal(before.codes, after.codes)
        assert torch.equal(before.value, after.value)
