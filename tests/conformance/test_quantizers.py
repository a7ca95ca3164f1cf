"""What every registered quantizer must do: the conformance kit, and on both backbones what costs more. Third-party plugins that
are installed are held to it as well."""

from __future__ import annotations

import pytest
import torch

from vqbench.catalog import Catalog, CatalogOptions
from vqbench.plan import PlanFilter, build_plan
from vqbench.plan.suite import parse_suite
from vqbench.testing import Subject, parametrize_with_checks, subject
from vqbench.testing.quantizer.built import builds_as_announced
from vqbench.worker.build import build_dataset, build_tokenizer, convert
from vqbench.worker.checkpoint import load_trained
from vqbench.worker.evaluate import Batches
from vqbench.worker.pixels import to_uint8
from vqbench.worker.tokenizer import Tokenizer
from vqbench.worker.trainer import train_unit
from vqbench_plugins.metrics.psnr import psnr

CATALOG = Catalog.load(CatalogOptions())
CPU = torch.device("cpu")
IMAGE_SIZE, STRIDE = 32, 8
SMALL = {  # parameters that keep the tests quick; a quantizer not listed runs with its defaults
    "vqbench/fsq": {"levels": [8, 8, 8]},
    "vqbench/lfq": {"bits": 10},
    "vqbench/bsq": {"bits": 10},
    "vqbench/vqgan": {"codebook_size": 64, "dim": 8},
    "vqbench/vq_vae_2": {"coarse_codebook_size": 64, "fine_codebook_size": 64, "dim": 8},
    "vqbench/rq_vae": {"codebook_size": 16, "dim": 8, "depth": 2},
    "vqbench/gaussian_vae": {"channels": 8, "dim": 4, "target_bits": 8.0},
    "vqbench/gq": {"channels": 8, "dim": 4, "codebook_size": 256},
    "vqbench/tokenbridge": {"channels": 8, "bits": 3},
    "vqbench/sq_vae": {"codebook_size": 64, "dim": 8, "variance_init": 1.0, "variance_lr_scale": 10.0},
    "vqbench/rsq_vae": {"codebook_size": 16, "dim": 8, "layers": 2, "variance_init": 1.0, "variance_lr_scale": 10.0},
    "vqbench/sq_vae_2": {"coarse_codebook_size": 64, "fine_codebook_size": 64, "dim": 8, "variance_init": 1.0},
    "vqbench/hq_vae": {"codebook_sizes": [16, 16], "layers": [2, 1], "dim": 8, "variance_init": 1.0},
}
VARIANTS = {"vqgan-ema": ("vqbench/vqgan", {"update": "ema"}), "vqgan-l2": ("vqbench/vqgan", {"normalize": "l2"})}
VARIANTS["lfq-groups"] = ("vqbench/lfq", {"token_bits": [4, 6], "entropy_group": 5, "log_guard": "clamp-1e-5"})
VARIANTS["bsq-joint"] = ("vqbench/bsq", {"bits": 64, "entropy_group": 16, "gradient_scale": "1"})
VARIANTS["vqgan-rotation"] = ("vqbench/vqgan", {"gradient": "rotation"})
VARIANTS["vqgan-factorised"] = ("vqbench/vqgan", {"latent_dim": 16, "tokens": 2, "shared_codebook": False})
VARIANTS["rq_vae-separate"] = ("vqbench/rq_vae", {"shared_codebook": False})
VARIANTS["gaussian_vae-sample"] = ("vqbench/gaussian_vae", {"evaluation": "sample"})
VARIANTS["gq-straight-through"] = ("vqbench/gq", {"training": "straight-through"})
VARIANTS["tokenbridge-gq"] = ("vqbench/tokenbridge", {"definition": "gq"})
VARIANTS["sq_vae-IV"] = ("vqbench/sq_vae", {"variance": "IV"})
VARIANTS["hq_vae-progressive"] = ("vqbench/hq_vae", {"progressive": "sum"})
METHODS = {e.id: (e.id, {}) for e in CATALOG.entries("quantizer")} | VARIANTS
BACKBONES = ["unet", "vit"]

SUBJECTS = [subject(name, CATALOG, **(SMALL.get(name, {}) | parameters)) for name, parameters in METHODS.values()]

every_method = pytest.mark.parametrize("method", METHODS)
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)


def cell_of(method, backbone="unet", **recipe):
    name, parameters = METHODS[method]
    document = {
        "schema": 1,
        "name": "conformance",
        "stride": STRIDE,
        "data": {"name": "photos", "image_size": IMAGE_SIZE, "params": {"train_images": 4, "test_images": 4}},
        "quantizers": [{"name": name, "params": SMALL.get(name, {}) | parameters}],
        "backbones": [{"name": backbone, "preset": "tiny"}],
        "recipe": {"steps": 1, "batch_size": 4, **recipe},
    }
    [cell] = build_plan(parse_suite(document, source="test"), CATALOG, only=PlanFilter()).cells
    return cell


def tokenizer_of(method, backbone="unet") -> Tokenizer:
    """As a run would make it: built from the train unit, then converted where the method converts."""
    cell = cell_of(method, backbone)
    tokenizer = convert(build_tokenizer(cell.unit, CATALOG), cell, CATALOG)
    if cell.converts:
        tokenizer.fit([images() for _ in range(2)])
    return tokenizer


def is_continuous(tokenizer):
    return any(not quantizer.codebook_sizes for quantizer in tokenizer.quantizers)


def images(seed=0):
    return torch.rand(3, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(seed))


@parametrize_with_checks(SUBJECTS)
def test_conformance(check):
    check()


@every_method
@every_backbone
def test_a_tokenizer_decodes_its_codes_to_its_own_reconstruction(method, backbone):
    tokenizer = tokenizer_of(method, backbone).eval()
    if is_continuous(tokenizer):
        pytest.skip("a continuous latent has no codes")
    with torch.no_grad():
        assert torch.equal(tokenizer.decode(tokenizer.encode(images())), tokenizer(images()).reconstructions)


@every_method
@every_backbone
def test_with_the_codes_fixed_the_input_changes_nothing(method, backbone):
    """No path from the encoder to the decoder but the codes: values of one input decode alike beside any other input."""
    tokenizer = tokenizer_of(method, backbone).eval()
    with torch.no_grad():
        values = [quantized.value for quantized in tokenizer(images()).quantized]
        before = tokenizer.backbone.decode(values)
        tokenizer(images(seed=1))
        assert torch.equal(tokenizer.backbone.decode(values), before)
    leaves = [value.clone().requires_grad_() for value in values]
    source = images().requires_grad_()
    tokenizer(source)
    gradient = torch.autograd.grad(tokenizer.backbone.decode(leaves).sum(), [source], allow_unused=True)
    assert gradient == (None,)


@every_method
@every_backbone
def test_training_reaches_every_parameter_with_a_finite_gradient(method, backbone):
    cell = cell_of(method, backbone)
    tokenizer = build_tokenizer(cell.unit, CATALOG).train()
    for _ in range(2):  # what starts at zero gets its gradient after the first step
        output = tokenizer(images())
        losses = [loss.value for quantized in output.quantized for loss in quantized.losses.values()]
        total = (output.reconstructions - images()).square().mean() + sum(losses)
        tokenizer.zero_grad()
        total.backward()
        with torch.no_grad():
            for parameter in tokenizer.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-3 * parameter.grad.sign()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


# every method on both backbones, its variants on one
OVERFITTED = [
    (m, b) for m in METHODS for b in BACKBONES if METHODS[m][0] in SMALL and (b == "unet" or m not in VARIANTS)
]


@pytest.mark.parametrize(("method", "backbone"), OVERFITTED)
def test_it_overfits_a_single_batch(method, backbone, tmp_path):
    steps = 90
    cell = cell_of(method, backbone, steps=steps, lr=4e-3, warmup_steps=10, weight_decay=0.0)
    untrained = build_tokenizer(cell.unit, CATALOG)
    train_unit(
        cell.unit, catalog=CATALOG, folder=tmp_path, device=CPU, checkpoint_seconds=1e9, report=lambda progress: None
    )
    trained, _ = load_trained(tmp_path, cell.unit, CATALOG)
    dataset = build_dataset(cell.unit.dataset, IMAGE_SIZE, CATALOG)
    batches = Batches(dataset.split("train"), 4, CPU)
    [batch] = list(batches)

    def quality(tokenizer):
        tokenizer = convert(tokenizer, cell, CATALOG).eval()
        with torch.no_grad():
            return psnr(to_uint8(batch), to_uint8(tokenizer(batch).reconstructions)).mean().item()

    constant = psnr(to_uint8(batch), to_uint8(batch.mean(dim=(2, 3), keepdim=True).expand_as(batch))).mean().item()
    before, after = quality(untrained), quality(trained)
    print(f"{method} × {backbone}: {before:.1f} -> {after:.1f} dB; each image's mean colour {constant:.1f} dB")
    assert after > before + 6
    assert after > constant + 3


@pytest.mark.parametrize("entry", CATALOG.entries("quantizer"), ids=lambda entry: entry.id)
def test_every_registered_quantizer_builds_with_its_defaults(entry):
    builds_as_announced(Subject(entry=entry, catalog=CATALOG))
