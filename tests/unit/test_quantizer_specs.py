"""The quantizers' descriptors: light, complete, and true to the classes they name."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from vqbench.errors import ParameterError
from vqbench.rate import Bits, LevelRate
from vqbench.specs import QuantizerSpec
from vqbench_plugins.quantizers.specs import QUANTIZERS

BY_NAME = {spec.name: spec for spec in QUANTIZERS}
SMALL: dict[str, dict[str, Any]] = {
    "fsq": {"levels": [8, 5, 3], "tokens": 2},
    "lfq": {"bits": 6, "token_bits": [2, 4]},
    "bsq": {"bits": 6, "token_bits": [3], "entropy_group": 2},
    "vqgan": {"codebook_size": 32, "dim": 6, "tokens": 2},
    "vq_vae_2": {"coarse_codebook_size": 16, "fine_codebook_size": 32, "dim": 6},
    "rq_vae": {"codebook_size": 32, "dim": 6, "depth": 3},
    "gaussian_vae": {"channels": 6, "dim": 3, "target_bits": 5.0},
    "gq": {"channels": 6, "dim": 3, "codebook_size": 32},
    "tokenbridge": {"channels": 6, "bits": 3},
    "sq_vae": {"codebook_size": 32, "dim": 6, "variance": "III"},
    "rsq_vae": {"codebook_size": 32, "dim": 6, "layers": 3},
    "sq_vae_2": {"coarse_codebook_size": 16, "fine_codebook_size": 32, "dim": 6},
    "hq_vae": {"codebook_sizes": [16, 32, 8], "layers": [2, 1, 3], "dim": 6},
}


def complete(spec: QuantizerSpec, **values: Any) -> dict[str, Any]:
    defaults = {parameter.name: parameter.default for parameter in spec.parameters}
    assert set(values) <= set(defaults)
    return defaults | values


def test_descriptors_are_made_without_torch() -> None:
    code = "import sys; import vqbench_plugins.quantizers.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_methods_are_there() -> None:
    stochastic = {"sq_vae", "rsq_vae", "sq_vae_2", "hq_vae"}
    assert set(BY_NAME) == stochastic | {
        "fsq",
        "lfq",
        "bsq",
        "vqgan",
        "vq_vae_2",
        "rq_vae",
        "gaussian_vae",
        "gq",
        "tokenbridge",
    }


@pytest.mark.parametrize("name", BY_NAME)
def test_levels_describe_the_classes_they_build(name: str) -> None:
    import torch

    spec = BY_NAME[name]
    for level in spec.levels(complete(spec, **SMALL[name])):
        module, _, attribute = (level.target or spec.target).partition(":")
        quantizer = getattr(import_module(module), attribute)(**level.arguments).eval()
        assert quantizer.latent_channels == level.latent_channels
        assert quantizer.code_channels == level.code_channels
        assert quantizer.codebook_sizes == level.codebook_sizes
        out = quantizer(torch.randn(2, level.latent_channels, 3, 4, generator=torch.Generator().manual_seed(0)))
        assert out.value.shape == (2, level.code_channels, 3, 4)
        assert out.codes.shape == (2, len(level.codebook_sizes), 3, 4)
        if level.codebook_sizes:
            assert torch.equal(quantizer.decode(out.codes), out.value)


@pytest.mark.parametrize("spec", QUANTIZERS, ids=lambda spec: spec.name)
def test_defaults_and_presets_are_possible(spec: QuantizerSpec) -> None:
    limits = {parameter.name: parameter for parameter in spec.parameters}
    for preset in ({}, *spec.presets.values()):
        assert spec.levels(complete(spec, **preset))
        for name, value in preset.items():
            choices = limits[name].choices
            assert choices is None or value in choices


def test_vq_vae_2_is_two_levels_of_running_averages() -> None:
    coarse, fine = BY_NAME["vq_vae_2"].levels(complete(BY_NAME["vq_vae_2"]))
    assert (coarse.relative_stride, fine.relative_stride) == (2, 1)
    assert coarse.arguments["update"] == fine.arguments["update"] == "ema"
    assert coarse.arguments["counts_init"] == "ones"
    rates = [LevelRate(height=32, width=32, codebook_sizes=coarse.codebook_sizes)]
    rates.append(LevelRate(height=64, width=64, codebook_sizes=fine.codebook_sizes))
    assert Bits.of(rates) == Bits.whole(46080)  # as published for 256×256 images


def gq(**values: Any) -> Any:
    spec = BY_NAME["gq"]
    assert spec.trains_as is not None
    return spec.trains_as(complete(spec, **values))


def test_gq_trains_as_a_possible_and_complete_gaussian_vae() -> None:
    vae = BY_NAME["gaussian_vae"]
    converted = [p for p in BY_NAME["gq"].presets.values() if p.get("training") != "straight-through"]
    for preset in converted:
        trained = gq(**preset)
        assert trained.quantizer == "vqbench/gaussian_vae"
        assert set(trained.parameters) == {parameter.name for parameter in vae.parameters}
        assert vae.levels(trained.parameters)
        assert trained.parameters["target_bits"] == pytest.approx(16.0, abs=0.02)  # 11.08 nats for some
        assert trained.parameters["dim"] == preset["dim"]


def test_conversions_of_one_target_share_one_training() -> None:
    first = gq(codebook_size=2**16, dim=16, target_bits=16.0, train_dim=16)
    second = gq(codebook_size=2**18, dim=8, beta=0.0, seed=7, target_bits=16.0, train_dim=16)
    assert first == second == gq(codebook_size=2**16, dim=16)
    assert first != gq(codebook_size=2**14, dim=16)
    assert first != gq(codebook_size=2**16, dim=16, variant="tdc-astrained")


def test_a_plain_divergence_is_trained_once_for_all_conversions() -> None:
    first = gq(constraint="kl", codebook_size=1000, dim=4)
    assert first == gq(constraint="kl", codebook_size=2**16, dim=16, grouping="contiguous")
    assert first != gq(constraint="kl", kl_weight=0.64)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("gq", {"codebook_size": 1000}, "Take 512, or give target_bits"),
        ("gq", {"dim": 5}, "dim must divide channels"),
        ("gq", {"train_dim": 5}, "train_dim must divide channels"),
        ("gaussian_vae", {"dim": 5}, "dim must divide channels"),
        ("fsq", {"levels": [2, 2], "bound": "atanh"}, "Use bound 'symmetric'"),
        ("fsq", {"levels": [1001]}, "2 to 1000"),
        ("lfq", {"bits": 20}, "Set entropy_group = 10"),
        ("lfq", {"bits": 18, "token_bits": [6, 10]}, "token_bits do not add up to bits"),
        ("bsq", {"entropy_group": 4}, "entropy_group must divide bits"),
        ("hq_vae", {"layers": [2, 2, 2]}, "one entry per level in both"),
        ("hq_vae", {"layers": [1] * 4, "codebook_sizes": [8] * 4}, "1 to 3 levels"),
        ("rsq_vae", {"tau_min": 2.0}, "tau_min is out of range.*Lower tau_min"),
        ("sq_vae_2", {"variance_init": 0.0}, "variance_init must be positive"),
        ("sq_vae", {"posterior": "vmf", "variance": "II"}, "one concentration"),
    ],
)
def test_parameters_that_do_not_go_together_are_named(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        BY_NAME[name].levels(complete(BY_NAME[name], **values))


def test_a_codebook_of_any_size_goes_with_a_given_target() -> None:
    assert gq(codebook_size=1000, target_bits=9.5).parameters["target_bits"] == 9.5
