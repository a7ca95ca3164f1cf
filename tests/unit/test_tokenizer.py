"""The tokenizer: level loop, checks, calibration, parameter groups; and how it is built."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from toy_components import Convs, Gauss, NoisyVQ, Rounded
from toy_unit import toy_catalog, toy_cell, toy_unit

from vqbench import LevelShape, Quantized, StepClock
from vqbench.errors import PluginError, TensorError
from vqbench.worker.build import build_dataset, build_tokenizer, convert
from vqbench.worker.parameter_count import count_parameters
from vqbench.worker.tokenizer import Tokenizer

SIZE = 8
ONE = [LevelShape(stride=2, latent_channels=2, code_channels=2)]
TWO = [LevelShape(stride=4, latent_channels=2, code_channels=2), *ONE]
IMAGES = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def catalog():
    return toy_catalog()


@pytest.fixture
def two_levels():
    torch.manual_seed(0)
    return Tokenizer(Convs(SIZE, TWO, 4), [NoisyVQ(2, 8), NoisyVQ(2, 8)]).eval()


class TestLevelLoop:
    def test_shapes_of_codes_and_reconstructions(self, two_levels):
        codes = two_levels.encode(IMAGES)
        assert [tuple(c.shape) for c in codes] == [(3, 1, 2, 2), (3, 1, 4, 4)]
        assert two_levels(IMAGES).reconstructions.shape == IMAGES.shape

    def test_decoding_the_codes_gives_the_reconstruction_bit_for_bit(self, two_levels):
        assert torch.equal(two_levels.decode(two_levels.encode(IMAGES)), two_levels(IMAGES).reconstructions)

    def test_finer_latents_depend_on_the_values_of_coarser_levels(self, two_levels):
        coarse, fine = two_levels.latents(IMAGES)
        two_levels.quantizers[0].codebook.add_(1.0)
        coarse_after, fine_after = two_levels.latents(IMAGES)
        assert torch.equal(coarse, coarse_after)
        assert not torch.equal(fine, fine_after)

    def test_finest_latent_does_not_need_its_own_quantizer(self, two_levels):
        latents = two_levels.latents(IMAGES)
        two_levels.quantizers[1].forward = None  # would raise
        assert all(torch.equal(a, b) for a, b in zip(latents, two_levels.latents(IMAGES), strict=True))

    def test_backbones_get_values_in_one_layout_whatever_quantizers_return(self):
        class ChannelsLast(NoisyVQ):
            def decode(self, codes):
                return super().decode(codes).to(memory_format=torch.channels_last)

        class Watching(Convs):
            def decode(self, values):
                layouts.append([value.is_contiguous() for value in values])
                return super().decode(values)

        layouts = []
        tokenizer = Tokenizer(Watching(SIZE, ONE, 4), [ChannelsLast(2, 8)]).eval()
        tokenizer.decode(tokenizer.encode(IMAGES))
        assert layouts == [[True]]

    def test_quantizers_get_float32_without_autocast(self):
        class Watching(NoisyVQ):
            def forward(self, latents):
                assert latents.dtype == torch.float32
                assert not torch.is_autocast_enabled("cpu")
                assert (latents @ latents.mT).dtype == torch.float32
                self.called = True
                return super().forward(latents)

        tokenizer = Tokenizer(Convs(SIZE, ONE, 4), [Watching(2, 8)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert tokenizer.backbone.encode(IMAGES)[0].dtype == torch.bfloat16
            output = tokenizer(IMAGES)
        assert tokenizer.quantizers[0].called
        assert output.reconstructions.dtype == torch.float32


class TestChecks:
    @pytest.mark.parametrize(
        "quantizers",
        [[NoisyVQ(2, 8)], [NoisyVQ(2, 8), NoisyVQ(3, 8)], [Gauss(2), NoisyVQ(2, 8)]],
        ids=["number", "both channels", "latent channels"],
    )
    def test_quantizers_that_do_not_fit_the_backbone(self, quantizers):
        with pytest.raises(TensorError, match="uantizer"):
            Tokenizer(Convs(SIZE, TWO, 4), quantizers)

    @pytest.mark.parametrize(
        "images",
        [IMAGES[:, :2], IMAGES[..., :4], IMAGES[0], (IMAGES * 255).to(torch.uint8), IMAGES[:0]],
        ids=["channels", "size", "no batch", "uint8", "empty"],
    )
    def test_images(self, two_levels, images):
        with pytest.raises(TensorError, match=r"images in \[0, 1\]"):
            two_levels(images)

    def test_codes(self, two_levels):
        codes = two_levels.encode(IMAGES)
        for wrong, problem in [
            (codes[:1], "each level"),
            (codes[::-1], "level 0 are malformed"),
            ([codes[0], codes[1].int()], "level 1 are malformed"),
            ([codes[0], codes[1] + 8], "out of range"),
            ([codes[0] - 8, codes[1]], "out of range"),
        ]:
            with pytest.raises(TensorError, match=problem):
                two_levels.decode(wrong)

    def test_continuous_latents_have_no_codes_to_decode(self):
        tokenizer = Tokenizer(
            Convs(SIZE, [LevelShape(stride=2, latent_channels=4, code_channels=2)], 4), [Gauss(2)]
        ).eval()
        codes = tokenizer.encode(IMAGES)
        assert codes[0].shape == (3, 0, 4, 4)
        with pytest.raises(TensorError, match="continuous"):
            tokenizer.decode(codes)

    def test_what_quantizers_and_backbones_return(self):
        class WrongCodes(NoisyVQ):
            def forward(self, latents):
                quantized = super().forward(latents)
                return Quantized(value=quantized.value, codes=quantized.codes.float())

        class WrongValue(NoisyVQ):
            def forward(self, latents):
                quantized = super().forward(latents)
                return Quantized(value=quantized.value[:, :1], codes=quantized.codes)

        class WrongLatents(Convs):
            def encode(self, images):
                return [features[..., :1] for features in super().encode(images)]

        class WrongImages(Convs):
            def decode(self, values):
                return super().decode(values)[..., :4]

        for backbone, quantizer, problem in [
            (Convs, WrongCodes, "malformed codes"),
            (Convs, WrongValue, "WrongValue: the value of level 0 is of a wrong form"),
            (WrongLatents, NoisyVQ, "WrongLatents: the latent of level 0 is of a wrong form"),
            (WrongImages, NoisyVQ, "WrongImages: what decode returned is of a wrong form"),
        ]:
            with pytest.raises(TensorError, match=problem):
                Tokenizer(backbone(SIZE, ONE, 4), [quantizer(2, 8)])(IMAGES)


class TestFit:
    def test_levels_are_fitted_in_order_on_what_the_fitted_coarser_ones_leave(self):
        class Centred(NoisyVQ):
            def fit(self, latents):
                assert not self.training
                self.codebook[:] = torch.stack([of_batch.mean() for of_batch in latents]).mean()

        backbone = Convs(SIZE, TWO, 4)
        tokenizer = Tokenizer(backbone, [Centred(2, 8), Centred(2, 8)]).train()
        tokenizer.fit([IMAGES[:1], IMAGES[1:2], IMAGES[2:]])
        assert tokenizer.training

        features = backbone.encode(IMAGES)
        coarse = features[0].mean().expand(3, 2, 2, 2)
        fine = backbone.fuse(1, features[1], [coarse])
        torch.testing.assert_close(tokenizer.quantizers[0].codebook[0, 0], features[0].mean())
        torch.testing.assert_close(tokenizer.quantizers[1].codebook[0, 0], fine.mean())

    def test_a_quantizer_may_go_through_the_latents_more_than_once(self):
        backbone = Convs(SIZE, [LevelShape(stride=2, latent_channels=4, code_channels=2)], 4)
        tokenizer = Tokenizer(backbone, [Rounded(2, 4)]).eval()
        tokenizer.fit([IMAGES[:2], IMAGES[2:]])
        means = backbone.encode(IMAGES)[0][:, :2]
        torch.testing.assert_close(tokenizer.quantizers[0].low.flatten(), means.amin(dim=(0, 2, 3)))
        torch.testing.assert_close(tokenizer.quantizers[0].high.flatten(), means.amax(dim=(0, 2, 3)))

    def test_an_iterator_is_refused(self, two_levels):
        with pytest.raises(TensorError, match="more than once"):
            two_levels.fit(iter([IMAGES]))


class TestParameterGroups:
    def test_every_parameter_once_and_decay_for_weight_matrices_only(self, two_levels):
        groups = two_levels.parameter_groups()
        listed = [id(p) for group in groups for p in group.parameters]
        assert sorted(listed) == sorted(id(p) for p in two_levels.parameters())
        decayed = {id(p) for group in groups if group.weight_decay for p in group.parameters}
        assert decayed == {id(m.weight) for m in two_levels.modules() if isinstance(m, nn.Conv2d)}

    def test_a_quantizers_learning_rate_is_kept(self, two_levels):
        scales = {id(q.log_scale) for q in two_levels.quantizers}
        of_quantizers = [g for g in two_levels.parameter_groups() if id(g.parameters[0]) in scales]
        assert [g.lr_scale for g in of_quantizers] == [10.0, 10.0]

    def test_frozen_parameters_are_left_out(self, two_levels):
        two_levels.backbone.stems.requires_grad_(False)
        listed = {id(p) for group in two_levels.parameter_groups() for p in group.parameters}
        assert listed == {id(p) for p in two_levels.parameters() if p.requires_grad}

    def test_a_quantizer_that_forgets_a_parameter(self, catalog):
        tokenizer = build_tokenizer(toy_unit(catalog, "faulty", parameters={"fault": "groups"}), catalog)
        with pytest.raises(PluginError, match="quantizer 'toy_plugin/faulty': parameter_groups"):
            tokenizer.parameter_groups()

    def test_the_clock_reaches_every_level(self, two_levels):
        two_levels.on_step(StepClock(step=1, total=4))
        assert [q.noise.item() for q in two_levels.quantizers] == [0.75, 0.75]


def test_parameters_are_counted_by_the_way_they_are_on(two_levels):
    backbone = two_levels.backbone
    backbone.stems[0].requires_grad_(False)  # counts all the same
    before = {name: value.clone() for name, value in two_levels.state_dict().items()}
    count = count_parameters(two_levels)
    # by hand: 4×4 and 2×2 stems and a 1×1 fuser; GroupNorm, a 3×3 body and a 1×1 head
    assert count.encoder == (3 * 16 * 2 + 2) + (3 * 4 * 4 + 4) + ((4 + 2) * 2 + 2)
    assert count.decoder == 2 * 4 + (4 * 9 * 4 + 4) + (4 * 12 + 12)
    assert count.quantizer == 2
    assert not backbone.stems[0].weight.requires_grad
    assert all(torch.equal(before[name], value) for name, value in two_levels.state_dict().items())
    assert not two_levels.training


class TestBuild:
    def test_levels_come_from_the_plan(self, catalog):
        tokenizer = build_tokenizer(toy_unit(catalog, "two_noisy"), catalog)
        assert tokenizer.levels == tuple(TWO)
        assert tokenizer.training

    def test_methods_that_share_shapes_start_from_the_same_backbone(self, catalog):
        one = build_tokenizer(toy_unit(catalog, "noisy_vq"), catalog)
        other = build_tokenizer(toy_unit(catalog, "faulty"), catalog)
        elsewhere = build_tokenizer(toy_unit(catalog, "noisy_vq", seed=1), catalog)
        weights = one.backbone.state_dict()
        assert all(torch.equal(weights[k], v) for k, v in other.backbone.state_dict().items())
        assert not torch.equal(weights["head.weight"], elsewhere.backbone.head.weight)
        assert not torch.equal(one.quantizers[0].codebook, other.quantizers[0].codebook)

    def test_levels_start_differently(self, catalog):
        coarse, fine = build_tokenizer(toy_unit(catalog, "two_noisy"), catalog).quantizers
        assert not torch.equal(coarse.codebook, fine.codebook)

    def test_global_random_numbers_are_neither_used_nor_changed(self, catalog):
        torch.manual_seed(5)
        first = build_tokenizer(toy_unit(catalog), catalog)
        drawn = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(1))
        assert torch.equal(first.backbone.head.weight, build_tokenizer(toy_unit(catalog), catalog).backbone.head.weight)

    @pytest.mark.parametrize(
        ("fault", "problem"), [("sizes", "another codebook_sizes"), ("constructor", "RuntimeError: boom")]
    )
    def test_a_quantizer_that_is_not_what_was_announced(self, catalog, fault, problem):
        with pytest.raises(PluginError, match=rf"quantizer 'toy_plugin/faulty'.*{problem}"):
            build_tokenizer(toy_unit(catalog, "faulty", parameters={"fault": fault}), catalog)

    def test_dataset(self, catalog):
        dataset = build_dataset(toy_unit(catalog, count=4).dataset, 16, catalog)
        assert len(dataset.split("train")) == 4
        assert dataset.split("test")[0].shape == (3, 16, 16)


class TestConvert:
    def test_the_backbone_is_kept_and_the_quantizers_replaced(self, catalog):
        cell = toy_cell(catalog, "rounded")
        trained = build_tokenizer(cell.unit, catalog)
        converted = convert(trained, cell, catalog)
        assert converted.backbone is trained.backbone
        assert isinstance(trained.quantizers[0], Gauss)
        assert converted.quantizers[0].codebook_sizes == (4, 4)
        assert not converted.training

    def test_a_cell_that_does_not_convert_keeps_its_trained_quantizer(self, catalog):
        cell = toy_cell(catalog, "noisy_vq")
        trained = build_tokenizer(cell.unit, catalog)
        assert convert(trained, cell, catalog) is trained

    def test_other_channels_are_refused(self, catalog):
        cell = toy_cell(catalog, "rounded")
        trained = build_tokenizer(toy_unit(catalog, "noisy_vq"), catalog)
        with pytest.raises(PluginError, match="cannot convert") as caught:
            convert(trained, dataclasses.replace(cell), catalog)
        assert "latent_channels" in str(caught.value)


def test_images_with_nan_are_refused_instead_of_encoded():
    catalog = toy_catalog()
    tokenizer = build_tokenizer(toy_cell(catalog).unit, catalog).eval()
    images = torch.rand(2, 3, 8, 8)
    images[1, 0, 3, 3] = float("nan")
    with pytest.raises(TensorError, match="latent of level 0 holds NaN or infinity"):
        tokenizer.encode(images)
