"""Random-code ablation: which slots the decoder listens to."""

from __future__ import annotations

import pytest
import torch
from toy_unit import toy_catalog, toy_cell

from vqbench.worker import ablation
from vqbench.worker.ablation import ablate
from vqbench.worker.build import build_tokenizer
from vqbench.worker.evaluate import Batches, evenly_spread

CPU = torch.device("cpu")


class Images:
    def __init__(self, count, size=4):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.rand(count, 3, size, size, generator=generator)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


class Greys:
    """A tokenizer whose slot t holds the mean of channel t in 256 steps; its decoder hears some slots only."""

    def __init__(self, heard, slots=3, sizes=None):
        self.heard = torch.tensor(heard, dtype=torch.float32)
        self.decoded = 0
        quantizer = type("Q", (), {"codebook_sizes": sizes or (256,) * slots})()
        self.quantizers = (quantizer,)
        self.slots = slots

    def encode(self, images):
        means = (images.mean(dim=(2, 3), keepdim=True) * 255).round().long()
        return [means[:, torch.arange(self.slots) % 3]]

    def decode(self, codes):
        self.decoded += len(codes[0])
        colour = codes[0][:, : len(self.heard)] / 255 * self.heard.view(1, -1, 1, 1)
        return colour[:, :3].expand(-1, 3, 4, 4)


def test_a_slot_that_the_decoder_ignores_is_dead():
    found = ablate(Greys([1.0, 0.0, 1.0]), Batches(Images(40), 7, CPU))
    assert [found[0, slot].dead for slot in range(3)] == [False, True, False]
    assert found[0, 1].increase == 0.0
    # a uniform grey level in place of the mean: its variance (65535/12) over the three channels, plus a little
    assert found[0, 0].increase == pytest.approx(65535 / 12 / 3, rel=0.3)


def test_a_whisper_is_dead_too():
    """An increase of less than a thousandth of the error."""
    found = ablate(Greys([1.0, 0.004, 1.0]), Batches(Images(40), 40, CPU))
    assert found[0, 1].dead
    assert not found[0, 0].dead


def test_the_result_does_not_depend_on_the_batch_size():
    assert ablate(Greys([1.0, 0.0, 1.0]), Batches(Images(40), 7, CPU)) == ablate(
        Greys([1.0, 0.0, 1.0]), Batches(Images(40), 64, CPU)
    )


def test_many_slots_share_the_cost():
    tokenizer = Greys([1.0, 1.0, 1.0], slots=200)
    found = ablate(tokenizer, Batches(Images(300), 64, CPU))
    assert set(found) == {(0, slot) for slot in range(200)}
    assert not any(found[0, slot].dead for slot in range(3))
    assert found[0, 0] == found[0, 3]  # of the same 200/64 neighbours
    assert all(found[0, slot].dead for slot in range(4, 200))
    assert tokenizer.decoded <= 51 * ablation.FEWEST_IMAGES * 1.25


def test_one_image_is_judged_by_its_size_alone():
    found = ablate(Greys([1.0, 0.0, 1.0]), Batches(Images(1), 4, CPU))
    assert [found[0, slot].dead for slot in range(3)] == [False, True, False]


def test_levels_are_ablated_with_the_other_levels_as_they_are_and_continuous_latents_not_at_all():
    catalog = toy_catalog()
    images = Batches(Images(9, size=8), 4, CPU)
    tokenizer = build_tokenizer(toy_cell(catalog).unit, catalog).eval()
    found = ablate(tokenizer, images)
    assert set(found) == {(0, 0)}
    assert found[0, 0].increase > 0
    assert ablate(build_tokenizer(toy_cell(catalog, "gauss").unit, catalog).eval(), images) == {}


def test_indices_are_evenly_spread():
    assert evenly_spread(11, 4) == [0, 3, 7, 10]
    assert evenly_spread(3, 4) == [0, 1, 2]
    assert evenly_spread(5, 1) == [0]
    assert evenly_spread(0, 4) == []
