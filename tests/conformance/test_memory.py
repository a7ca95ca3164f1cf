"""No quantizer ever holds a number for every position and codeword, in training or evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from allocations import Allocations
from torch import Tensor

from vqbench.catalog import Catalog, CatalogOptions, resolve_parameters
from vqbench.interfaces import Quantizer
from vqbench.specs import QuantizerSpec
from vqbench_plugins.quantizers.categorical import SCORES_AT_ONCE

CATALOG = Catalog.load(CatalogOptions())
MIB = 1 << 20
BUDGET = 32 * MIB
"""What a quantizer may take whatever its sizes: blocks of scores and tables."""

LARGE: dict[str, dict[str, Any]] = {  # codebooks whose scores of 512 positions take 32 to 512 MiB
    "fsq": {"levels": [8, 8, 8, 5, 5, 5]},
    "lfq": {"bits": 18},
    "bsq": {"bits": 18, "entropy_group": 18},
    "vqgan": {"codebook_size": 65536, "dim": 8},
    "vq_vae_2": {"coarse_codebook_size": 65536, "fine_codebook_size": 65536, "dim": 8},
    "rq_vae": {"codebook_size": 65536, "dim": 8, "depth": 2},
    "gaussian_vae": {"channels": 16, "dim": 16},
    "gq": {"channels": 16, "dim": 16, "codebook_size": 65536},
    "tokenbridge": {"channels": 64, "bits": 9},
    "sq_vae": {"codebook_size": 16384, "dim": 8},
    "rsq_vae": {"codebook_size": 16384, "dim": 8, "layers": 2},
    "sq_vae_2": {"coarse_codebook_size": 16384, "fine_codebook_size": 16384, "dim": 8},
    "hq_vae": {"codebook_sizes": [16384, 16384], "layers": [1, 1], "dim": 8},
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "vqgan-ema": ("vqgan", {"update": "ema", "restart_below": 1.0}),
    "vqgan-rotation-l2": ("vqgan", {"gradient": "rotation", "normalize": "l2"}),
    "gq-straight-through": ("gq", {"training": "straight-through"}),
    "sq_vae-per-channel": ("sq_vae", {"variance": "IV"}),
    "lfq-guarded-groups": ("lfq", {"entropy_group": 9, "log_guard": "clamp-1e-5"}),
}
METHODS = {
    entry.id.removeprefix("vqbench/"): (entry.id.removeprefix("vqbench/"), {})
    for entry in CATALOG.entries("quantizer")
    if entry.id.startswith("vqbench/")
} | VARIANTS


def quantizers(method: str) -> list[Quantizer]:
    """The method's quantizers, of different levels where they differ."""
    name, parameters = METHODS[method]
    entry = CATALOG.get("quantizer", f"vqbench/{name}")
    spec: QuantizerSpec = entry.spec
    levels = spec.levels(resolve_parameters(spec, LARGE[name] | parameters))
    distinct = {repr((level.target, level.arguments)): level for level in levels}.values()
    return [CATALOG.load_target(entry if n.target is None else n.target)(**n.arguments) for n in distinct]


def step(quantizer: Quantizer, latents: Tensor) -> None:
    out = quantizer(latents)
    total = out.value.square().mean() + sum(loss.value for loss in out.losses.values())
    if total.requires_grad:  # a conversion has no gradient
        total.backward()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sizes are small: a second thread would mostly wait for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_all_positions_and_codewords_are_never_held(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCORES_AT_ONCE, "cpu", 1 << 18)  # smaller blocks than usual, for a quick test
    for quantizer in quantizers(method):
        latents = torch.randn(2, quantizer.latent_channels, 16, 16, generator=torch.Generator().manual_seed(0))
        tokens = latents[:, 0].numel() * max(len(quantizer.codebook_sizes), 1)
        scores = 4 * tokens * max(quantizer.codebook_sizes, default=0)
        state = [*quantizer.parameters(), *quantizer.buffers(), latents]
        allowed = BUDGET + 12 * sum(tensor.numel() * tensor.element_size() for tensor in state)
        with Allocations() as training:
            step(quantizer.train(), latents.requires_grad_())
        with Allocations() as evaluation, torch.no_grad():
            quantizer.eval()(latents)
        for seen in (training, evaluation):
            print(
                f"{method}: {seen.peak / MIB:.1f} MiB at once, {seen.largest / MIB:.1f} the largest, of {scores / MIB:.0f}"
            )
            assert seen.peak <= allowed
            if scores:
                assert seen.peak < scores / 2
                assert seen.largest < scores / 4


def test_a_matrix_of_scores_would_be_seen() -> None:
    vectors, words = torch.randn(512, 8, requires_grad=True), torch.randn(16384, 8)
    with Allocations() as seen:
        ((vectors @ words.T).softmax(dim=1) @ words).sum().backward()
    assert seen.largest == 4 * 512 * 16384
    assert seen.peak >= 2 * seen.largest
    assert seen.live <= 4 * vectors.numel()  # the gradient
