"""What learned codebooks do that an imitation would not: after small real trainings on photos, and in one step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from photo_training import train_on_photos
from torch import Tensor

from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.usage import SlotUsage, slot_usage
from vqbench_plugins.quantizers.rq import RQ
from vqbench_plugins.quantizers.vq import VQ

RESTARTS = {"update": "ema", "decay": 0.95, "restart_below": 0.1}
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "wide": ("vqgan", {"codebook_size": 256, "dim": 64}),
    "sphere": (
        "vqgan",
        {"codebook_size": 256, "dim": 4, "normalize": "l2", "beta_placement": "standard", "init": "sphere"},
    ),
    "ema": ("vqgan", {"codebook_size": 256, "dim": 8, "update": "ema", "decay": 0.95}),
    "replace": ("vqgan", {"codebook_size": 256, "dim": 8, **RESTARTS}),
    "tile": ("vqgan", {"codebook_size": 256, "dim": 8, **RESTARTS, "restart_below": 1.0, "restart_rule": "tile"}),
    "rq": ("rq_vae", {"codebook_size": 64, "dim": 16, "depth": 4, "decay": 0.95}),
    "rq-separate": (
        "rq_vae",
        {"codebook_size": 64, "dim": 16, "depth": 4, "decay": 0.95, "shared_codebook": False},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained tokenizer, test photos ``(64, 3, 32, 32)``, their latents and codes."""

    tokenizer: Tokenizer
    images: Tensor
    latents: Tensor
    codes: Tensor

    def usage(self) -> list[SlotUsage]:
        """Of 4096 tokens in each slot."""
        sizes = self.tokenizer.quantizers[0].codebook_sizes
        slots = enumerate(zip(sizes, self.codes.unbind(dim=1), strict=True))
        return [slot_usage(torch.bincount(c.flatten(), minlength=k), k, slot=slot) for slot, (k, c) in slots]

    def error(self, value: Tensor) -> float:
        """Mean squared error of what the decoder makes of a value."""
        with torch.no_grad():
            return (self.tokenizer.backbone.decode([value]) - self.images).square().mean().item()


@cache
def trained(name: str) -> Run:
    """A UNet trained for 250 steps on crops of photos, 8×8 positions each."""
    quantizer, parameters = RUNS[name]
    run = train_on_photos(quantizer, parameters, stride=4, train_images=512, test_images=64, steps=250)
    [images] = run.images("test")
    with torch.no_grad():
        [latents], [codes] = run.tokenizer.latents(images), run.tokenizer.encode(images)
    return Run(tokenizer=run.tokenizer, images=images, latents=latents, codes=codes)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rule", ["replace", "tile"])
def test_restarts_keep_a_codebook_of_running_averages_in_use(rule: str) -> None:
    [with_restarts], [without] = trained(rule).usage(), trained("ema").usage()
    assert with_restarts.usage is not None
    assert without.usage is not None
    assert with_restarts.usage > max(0.6, 2 * without.usage)


def test_few_channels_on_the_sphere_use_more_of_a_codebook_than_many_channels() -> None:
    """ViT-VQGAN's reason for factorised, normalised codes: plain VQGAN's codebook of 256 channels was hardly used."""
    [sphere], [wide] = trained("sphere").usage(), trained("wide").usage()
    assert sphere.perplexity is not None
    assert wide.perplexity is not None
    assert sphere.perplexity > 1.5 * wide.perplexity


def test_the_published_start_of_a_codebook_offers_few_of_its_codewords() -> None:
    """Uniform on ±1/K beside latents of unit variance: of 8192 codewords about a tenth is anyone's nearest."""
    torch.manual_seed(0)
    used = len(VQ(codebook_size=8192, dim=8).eval()(normal(1, 8, 64, 64)).codes.unique())
    assert 700 < used < 1050


@pytest.mark.parametrize("name", ["rq", "rq-separate"])
def test_the_residual_falls_with_every_depth_of_a_trained_rq(name: str) -> None:
    run = trained(name)
    quantizer = run.tokenizer.quantizers[0]
    assert isinstance(quantizer, RQ)
    lengths = [(run.latents - prefix).square().mean().sqrt() for prefix in quantizer.decode_prefixes(run.codes)]
    ratios = [float(length / run.latents.square().mean().sqrt()) for length in lengths]
    assert ratios[0] < 0.6
    assert all(later < 0.95 * earlier for earlier, later in pairwise(ratios))


@pytest.mark.parametrize("name", ["rq", "rq-separate"])
def test_every_depth_of_a_trained_rq_is_used_and_matters(name: str) -> None:
    run = trained(name)
    quantizer = run.tokenizer.quantizers[0]
    whole = run.error(quantizer.decode(run.codes))
    for slot in run.usage():
        assert slot.usage is not None
        assert slot.usage > 0.4
        codes = run.codes.clone()
        codes[:, slot.slot] = torch.randint(64, codes[:, 0].shape, generator=torch.Generator().manual_seed(0))
        assert run.error(quantizer.decode(codes)) > whole * 1.001
    assert isinstance(quantizer, RQ)
    assert run.error(quantizer.decode_prefixes(run.codes)[0]) > whole


@pytest.mark.parametrize("vectors", [32, 4096])
@pytest.mark.parametrize("method", ["vq", "rq"])
def test_the_first_step_of_the_averages_leaves_codewords_at_the_scale_of_the_data(method: str, vectors: int) -> None:
    def longest(counts_init: str) -> float:
        torch.manual_seed(0)
        kept: dict[str, Any] = {"codebook_size": 16, "dim": 8, "restart_below": 0.0, "counts_init": counts_init}
        quantizer = VQ(**kept, update="ema") if method == "vq" else RQ(**kept, depth=1)
        quantizer.train()(normal(1, 8, vectors // 8, 8))
        return float(quantizer.codebooks[0].words.norm(dim=1).max())

    scale = normal(1000, 8).norm(dim=1).mean()
    assert longest("ones") < 2 * scale
    if vectors == 32:  # some codewords get no vector: the published start throws them away
        assert longest("zeros") > 1e4 * scale


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_a_dead_codeword_of_running_averages_stays_finite(normalize: str) -> None:
    torch.manual_seed(0)
    quantizer = VQ(codebook_size=64, dim=4, update="ema", decay=0.8, normalize=normalize)  # type: ignore[arg-type]
    latents = normal(1, 4, 2, 2)
    for _ in range(600):  # 0.8^600 is beyond what float32 holds to full precision
        out = quantizer(latents)
    book = quantizer.codebooks[0]
    assert (book.counts < 1e-40).sum() >= 60
    assert torch.isfinite(book.words).all()
    assert torch.isfinite(out.losses["commitment"].value)
    lengths = book.words.norm(dim=1)
    assert lengths.max() < 10
    if normalize == "l2":
        torch.testing.assert_close(lengths, torch.ones(64))


def test_equal_codewords_are_one_value_under_several_codes() -> None:
    """Restarts at repeated vectors make near-equal codewords; values say what was coded, codes need not."""
    torch.manual_seed(0)
    quantizer = RQ(codebook_size=8, dim=4, depth=3)
    book = quantizer.codebooks[0]
    book.words[4:] = book.words[:4]
    out = quantizer.eval()(normal(2, 4, 5, 5))
    assert out.codes.max() < 4  # the lowest of equal codewords
    assert torch.equal(quantizer.decode(out.codes + 4), out.value)


def test_the_decoder_reaches_the_encoder_once_however_deep_the_residuals() -> None:
    torch.manual_seed(0)
    for depth in (1, 2, 8):
        z = normal(1, 4, 3, 3).requires_grad_()
        RQ(codebook_size=16, dim=4, depth=depth)(z).value.sum().backward()
        assert z.grad is not None
        assert (z.grad == 1).all()
