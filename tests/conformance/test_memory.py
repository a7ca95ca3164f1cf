"""No quantizer ever holds a number for every position and codeword, in training or evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.testing import subject
from vqbench.testing.allocations import Allocations
from vqbench.testing.outcome import perform
from vqbench.testing.quantizer.memory import no_score_matrix

CATALOG = Catalog.load(CatalogOptions())
LARGE: dict[str, dict[str, Any]] = {  # codebooks that are large beside the latents
    "fsq": {"levels": [8, 8, 8, 5, 5, 5]},
    "lfq": {"bits": 18},
    "bsq": {"bits": 18, "entropy_group": 18},
    "vqgan": {"codebook_size": 65536, "dim": 8},
    "vq_vae_2": {"coarse_codebook_size": 65536, "fine_codebook_size": 65536, "dim": 8},
    "rq_vae": {"codebook_size": 65536, "dim": 8, "depth": 2},
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
METHODS = {name: (name, {}) for name in LARGE} | VARIANTS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sizes are small: a second thread would mostly wait for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_all_positions_and_codewords_are_never_held(method: str) -> None:
    name, parameters = METHODS[method]
    perform(no_score_matrix, subject(f"vqbench/{name}", CATALOG, **LARGE[name] | parameters))


def test_every_discrete_method_is_looked_at_with_a_large_codebook() -> None:
    own = {e.name for e in CATALOG.entries("quantizer") if e.plugin == "vqbench"}
    assert own - {"gaussian_vae"} == set(LARGE)


def test_a_matrix_of_scores_would_be_seen() -> None:
    vectors, words = torch.randn(512, 8, requires_grad=True), torch.randn(16384, 8)
    with Allocations() as seen:
        ((vectors @ words.T).softmax(dim=1) @ words).sum().backward()
    assert seen.largest == 4 * 512 * 16384
    assert seen.peak >= 2 * seen.largest
    assert seen.live <= 4 * vectors.numel()  # the gradient
