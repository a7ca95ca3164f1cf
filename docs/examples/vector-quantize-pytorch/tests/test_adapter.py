"""The adapter beside the library called directly, on the same maps with the same weights."""

import inspect

import pytest
import torch
import vector_quantize_pytorch as vqp

import vqbench_vqp
from vqbench import ParameterError
from vqbench.testing import subject
from vqbench_vqp import adapter, wrapping

SPECS = {spec.name: spec for spec in vqbench_vqp.vqbench_quantizers()}
IMAGES = {  # how each class takes maps rather than sequences; ResidualVQ fails on them in 1.32
    "VectorQuantize": {"accept_image_fmap": True},
    "ResidualFSQ": {"is_channel_first": True},
    "SimVQ": {"channel_first": True},
}
CASES = [
    ("vector_quantize", {"dim": 8, "codebook_size": 16}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "rotation_trick": False, "decay": 0.99}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "heads": 2, "codebook_dim": 3}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "heads": 2, "separate_codebook_per_head": True}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "codebook_dim": 4, "use_cosine_sim": True}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "kmeans_init": True, "threshold_ema_dead_code": 2}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "learnable_codebook": True, "ema_update": False}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "orthogonal_reg_weight": 1.0}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "codebook_diversity_loss_weight": 0.1}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "stochastic_sample_codes": True}),
    ("vector_quantize", {"dim": 8, "codebook_size": 16, "directional_reparam": True, "threshold_ema_dead_code": 2}),
    ("residual_vq", {"dim": 8, "codebook_size": 16, "num_quantizers": 3}),
    ("residual_vq", {"dim": 8, "codebook_size": 16, "num_quantizers": 3, "shared_codebook": True}),
    ("residual_vq", {"dim": 8, "codebook_size": 16, "num_quantizers": 2, "codebook_dim": 4, "beam_size": 3}),
    ("sim_vq", {"dim": 8, "codebook_size": 16}),
    ("sim_vq", {"dim": 8, "codebook_size": 16, "frozen_codebook_dim": 4, "rotation_trick": False}),
    ("fsq", {"levels": [8, 5, 5, 5]}),
    ("fsq", {"levels": [4, 4], "dim": 6, "num_codebooks": 2}),
    ("fsq", {"levels": [2, 3], "preserve_symmetry": True, "noise_dropout": 0.5}),
    ("fsq", {"levels": [4, 4, 4], "orthogonal_rotation": True}),
    ("residual_fsq", {"levels": [8, 5, 3], "num_quantizers": 3}),
    ("residual_fsq", {"levels": [5, 5], "num_quantizers": 2, "dim": 6, "bound_hard_clamp": False}),
    ("lfq", {"codebook_size": 16}),
    ("lfq", {"codebook_size": 16, "dim": 6, "num_codebooks": 2, "commitment_loss_weight": 0.25}),
    ("lfq", {"codebook_size": 16, "spherical": True, "orthogonal_rotation": True}),
    ("lfq", {"codebook_size": 16, "soft_clamp_input_value": 2.0, "frac_per_sample_entropy": 0.5}),
]
each_case = pytest.mark.parametrize(("name", "given"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(v))


def class_name(name):
    return SPECS[name].target.partition(":")[2]


def planned(name, given):
    """The level as announced, and the quantizer that its arguments build."""
    torch.manual_seed(0)
    [level] = SPECS[name].levels(subject(f"vqp/{name}", **given).parameters)
    return level, getattr(adapter, class_name(name))(**level.arguments)


class Direct:
    """The library's class, made of what its user writes, with the weights of an adapter."""

    def __init__(self, name, given, quantizer):
        cls = class_name(name)
        self.maps = cls != "ResidualVQ" and "noise_dropout" not in given  # noise falls in the order of memory
        self.module = getattr(vqp, cls)(**given, **IMAGES.get(cls, {})).train(quantizer.training)
        self.module.load_state_dict(quantizer.module.state_dict())
        self.indices_first = cls == "ResidualFSQ"

    def __call__(self, latents):
        """Value, codes ``(B, T, h, w)`` and loss, 0 where there is none."""
        batch, _, height, width = latents.shape
        value, indices, *loss = self.module(latents if self.maps else latents.flatten(2).transpose(1, 2))
        if not self.maps:
            value = value.transpose(1, 2).reshape(latents.shape)
        if not self.indices_first:
            indices = indices.reshape(batch, height, width, -1).permute(0, 3, 1, 2)
        return value, indices, sum(loss, torch.zeros(())).sum()


def latents_for(level):
    return torch.randn(3, level.latent_channels, 4, 5, generator=torch.Generator().manual_seed(1))


@each_case
def test_training_gives_the_librarys_codes_values_loss_gradients_and_state(name, given):
    level, quantizer = planned(name, given)
    direct = Direct(name, given, quantizer)
    for step in range(3):
        ours, theirs = (latents_for(level).add(step).requires_grad_() for _ in range(2))
        torch.manual_seed(step)
        quantized = quantizer(ours)
        torch.manual_seed(step)
        value, codes, loss = direct(theirs)
        assert torch.equal(quantized.codes, codes.long())
        torch.testing.assert_close(quantized.value, value)
        total = sum((loss.weight * loss.value for loss in quantized.losses.values()), torch.zeros(()))
        torch.testing.assert_close(total, loss)
        (quantized.value.square().mean() + total).backward()
        (value.square().mean() + loss).backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        assert ours.grad.abs().sum() > 0
    for key, state in direct.module.state_dict().items():
        torch.testing.assert_close(quantizer.module.state_dict()[key], state)


@each_case
def test_evaluation_gives_the_librarys_codes_and_the_value_that_they_decode_to(name, given):
    level, quantizer = planned(name, given)
    quantizer(latents_for(level).requires_grad_())  # k-means starts codebooks in the first batch of all
    quantizer.eval()
    with torch.no_grad():
        quantized = quantizer(latents_for(level))
        value, codes, _ = Direct(name, given, quantizer)(latents_for(level))
        assert torch.equal(quantized.codes, codes.long())
        torch.testing.assert_close(quantized.value, value)
        assert torch.equal(quantized.value, quantizer.decode(quantized.codes))
    assert not quantized.losses


@each_case
def test_channels_and_codebook_sizes_are_as_announced(name, given):
    level, quantizer = planned(name, given)
    assert quantizer.codebook_sizes == level.codebook_sizes
    assert quantizer.latent_channels == quantizer.code_channels == level.latent_channels
    corners = 20 * latents_for(level)  # out to the outermost codes of a grid
    codes = quantizer.eval()(corners).codes
    assert codes.shape == (3, len(level.codebook_sizes), 4, 5)
    for slot, size in enumerate(level.codebook_sizes):
        assert codes[:, slot].min() >= 0
        assert codes[:, slot].max() < size


@pytest.mark.parametrize("name", SPECS)
def test_parameters_are_the_librarys_with_its_defaults(name):
    cls = getattr(vqp, class_name(name))
    inner = {"ResidualVQ": vqp.VectorQuantize, "ResidualFSQ": vqp.FSQ}.get(cls.__name__)
    known = dict(inspect.signature(inner).parameters if inner else {}) | dict(inspect.signature(cls).parameters)
    chosen = {"dim", "codebook_size", "levels", "num_quantizers"}  # the library wants these from its user
    for parameter in SPECS[name].parameters:
        default = known[parameter.name].default
        if not (parameter.name in chosen and default in (None, inspect.Parameter.empty)):
            assert parameter.default == default, parameter.name


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("fsq", {"levels": [2, 3]}, "a level of 2 values needs preserve_symmetry"),
        ("fsq", {"levels": [3, 3], "noise_dropout": 0.5}, "noise_dropout needs preserve_symmetry"),
        ("fsq", {"levels": [1000, 1000, 5]}, "no codebook that the library can index"),
        ("residual_fsq", {"levels": []}, "no codebook that the library can index"),
        ("lfq", {"codebook_size": 1000}, "no power of two: got 1000, expected e.g. 512"),
    ],
)
def test_what_has_no_codes_in_the_library_is_refused_when_planning(name, given, says):
    with pytest.raises(ParameterError, match=says):
        SPECS[name].levels(subject(f"vqp/{name}", **given).parameters)


@pytest.mark.parametrize(("version", "number"), [("1.32.0", 13200), ("1.32.1rc1", 13201), ("2.0", 20000)])
def test_another_release_of_the_library_is_another_version(monkeypatch, version, number):
    monkeypatch.setattr(wrapping.metadata, "version", lambda name: version)
    assert wrapping.release() == number


def test_without_the_library_there_is_still_a_descriptor(monkeypatch):
    def missing(name):
        raise wrapping.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(wrapping.metadata, "version", missing)
    assert wrapping.release() == 1
