"""A backbone, a dataset and a metric as they should be, and what is easily got wrong, one bug in each.

A mutant's docstring says which.
"""

from __future__ import annotations

import random
from dataclasses import replace

import torch
from torch import nn
from toy_components import Convs, Squares

from vqbench import Measurement, PerImageMetric

__all__ = ["CORRECT", "KINDS", "MUTANTS"]

CORRECT: dict[str, type] = {}
MUTANTS: dict[str, tuple[type, str]] = {}
"""By class name: the class, and the check that must catch it."""


def caught_by(check):
    def registered(cls):
        MUTANTS[cls.__name__] = cls, check
        return cls

    return registered


class Layers(Convs):
    def __init__(self, image_size, levels):
        super().__init__(image_size, levels, width=4)


class Shades:
    """Grey images, one shade each, that can be handed over as bytes."""

    def __init__(self, images):
        self.pixels = (torch.stack(images) * 255).round().to(torch.uint8)

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.pixels[index].float() / 255

    def batch(self, indices):
        return self.pixels[list(indices)]


class Tiles(Squares):
    images = Shades

    def __init__(self, image_size):
        super().__init__(image_size, count=8)

    def split(self, name):
        return self.images(super().split(name))


class Difference(PerImageMetric):
    def per_image(self, batch):
        return (batch.originals - batch.reconstructions.clamp(0, 1)).abs().mean((1, 2, 3))


KINDS = {"backbone": Layers, "dataset": Tiles, "metric": Difference}
CORRECT |= {cls.__name__: cls for cls in KINDS.values()}


@caught_by("decoder_sees_values_only")
class Skip(Layers):
    """A skip from the encoder to the decoder."""

    def encode(self, images):
        self.kept = images.mean()
        return super().encode(images)

    def decode(self, values):
        return super().decode(values) + getattr(self, "kept", 0)


@caught_by("decoder_sees_values_only")
class SkipInTraining(Skip):
    """A skip in training mode only."""

    def decode(self, values):
        return Convs.decode(self, values) + (self.kept if self.training else 0)


@caught_by("every_level_matters")
class DeafToCoarse(Layers):
    """The decoder ignores the coarse level."""

    def decode(self, values):
        return super().decode([*(torch.zeros_like(value) for value in values[:-1]), values[-1]])


@caught_by("positions_are_not_swapped")
class Transposed(Layers):
    """The encoder swaps rows and columns."""

    def encode(self, images):
        return [features.transpose(2, 3) for features in super().encode(images)]


@caught_by("positions_are_not_swapped")
class Mirrored(Layers):
    """The decoder mirrors the image."""

    def decode(self, values):
        return super().decode(values).flip(-1)


@caught_by("images_do_not_mix")
class Centred(Layers):
    """Images are centred by the mean of the batch."""

    def encode(self, images):
        return super().encode(images - images.mean())


@caught_by("eval_is_deterministic")
class Jittered(Layers):
    """Noise in evaluation."""

    def encode(self, images):
        return super().encode(images + 0.01 * torch.randn_like(images))


@caught_by("eval_uses_no_global_randomness")
class Drawing(Layers):
    """A draw in evaluation that changes nothing."""

    def encode(self, images):
        random.random()
        return super().encode(images)


@caught_by("eval_changes_neither_state_nor_arguments")
class InPlace(Layers):
    """Images are scaled in place."""

    def encode(self, images):
        return super().encode(images.mul_(2).sub_(0.5))


@caught_by("autocast_to_bfloat16_stays_close")
class Overflowing(Layers):
    """A large constant, divided out again where precision allows it."""

    def decode(self, values):
        decoded = super().decode(values)
        return decoded + 300 - torch.full((), 300.4, dtype=decoded.dtype) + 0.4


@caught_by("every_parameter_is_trained")
class Idle(Layers):
    """A layer that is never used."""

    def __init__(self, image_size, levels):
        super().__init__(image_size, levels)
        self.unused = nn.Linear(3, 3)


@caught_by("last_layer_is_next_to_the_image")
class EarlierLayer(Layers):
    """The last layer but one."""

    @property
    def last_layer(self):
        return self.body.weight


@caught_by("images_leave_unclamped")
class Clamped(Layers):
    """Images are clamped where they should only be scaled."""

    def decode(self, values):
        return super().decode(values).clamp(0, 1)


@caught_by("state_survives_saving")
class Unsaved(Layers):
    """A random tensor that is no buffer."""

    def __init__(self, image_size, levels):
        super().__init__(image_size, levels)
        self.tint = torch.randn(3, 1, 1)

    def decode(self, values):
        return super().decode(values) + self.tint


@caught_by("the_seed_decides_the_weights")
class OtherGenerator(Layers):
    """A weight from Python's generator."""

    def __init__(self, image_size, levels):
        super().__init__(image_size, levels)
        nn.init.constant_(self.head.bias, random.random())


@caught_by("unusual_sizes_are_built_right_or_refused")
class Asserting(Layers):
    """Sizes are refused without a word."""

    def __init__(self, image_size, levels):
        assert image_size == 32
        super().__init__(image_size, levels)


@caught_by("an_index_always_gives_the_same_image")
class Shuffled(Tiles):
    """An order from the global generator."""

    def split(self, name):
        images = Squares.split(self, name)
        random.shuffle(images)
        return Shades(images)


@caught_by("another_process_sees_the_same_images")
class Hashed(Tiles):
    """An order from hash(), which each process salts anew."""

    def split(self, name):
        images = enumerate(Squares.split(self, name))
        return Shades([image for _, image in sorted(images, key=lambda pair: hash(str(pair[0])))])


@caught_by("splits_have_no_image_in_common")
class Leaking(Tiles):
    """Tested on what was trained on."""

    def split(self, name):
        return super().split("train")


@caught_by("images_have_the_asked_form")
class Bytes(Tiles):
    """Images in [0, 255]."""

    class images(Shades):
        def __getitem__(self, index):
            return self.pixels[index].float()


@caught_by("indices_beyond_the_end_are_refused")
class Endless(Tiles):
    """Indices wrap around."""

    class images(Shades):
        def __getitem__(self, index):
            return super().__getitem__(index % len(self))


@caught_by("batches_hold_the_same_images")
class View(Tiles):
    """A batch is a view of what the dataset keeps."""

    class images(Shades):
        def batch(self, indices):
            first = indices[0]
            return self.pixels[first : first + 1] if len(indices) == 1 else super().batch(indices)


@caught_by("pickles_for_a_spawned_process")
class Unpicklable(Tiles):
    """A lambda in the images."""

    def split(self, name):
        images = super().split(name)
        images.transform = lambda image: image
        return images


@caught_by("equal_images_score_best")
class Negated(Difference):
    """The wrong sign."""

    def per_image(self, batch):
        return -super().per_image(batch)


@caught_by("symmetric_where_claimed")
class Wrapping(Difference):
    """Bytes are subtracted as bytes, and wrap around."""

    def per_image(self, batch):
        return (batch.originals_uint8 - batch.reconstructions_uint8).float().mean((1, 2, 3))


@caught_by("batches_do_not_matter")
class MeanOfMeans(Difference):
    """The mean of the batches' means."""

    def update(self, batch):
        self._values.append(self.per_image(batch).double().mean().reshape(1))


@caught_by("order_does_not_matter")
class Forgetting(Difference):
    """A moving average."""

    def compute(self):
        average = 0.0
        for value in torch.cat(self._values):
            average = 0.7 * average + 0.3 * float(value)
        return replace(super().compute(), value=average)


@caught_by("instances_share_nothing")
class Shared(Difference):
    """The list of values is the class's."""

    _values: list[torch.Tensor] = []  # noqa: RUF012 (the bug)

    def __init__(self):
        pass


@caught_by("batches_are_left_as_they_are")
class Clamping(Difference):
    """Reconstructions are clamped in place."""

    def per_image(self, batch):
        batch.reconstructions.sub_(0.1).clamp_(0, 1)
        return super().per_image(batch)


@caught_by("n_counts_the_images")
class Batches(Difference):
    """Batches are counted in place of images."""

    def compute(self):
        return replace(super().compute(), n=len(self._values))


@caught_by("a_number_is_finite_or_null_with_a_reason")
class NotANumber(Difference):
    """No images have the mean NaN."""

    def compute(self):
        return super().compute() if self._values else Measurement(value=float("nan"))


@caught_by("the_interval_contains_the_number")
class Elsewhere(Difference):
    """The interval of something else."""

    def compute(self):
        return replace(super().compute(), low=0.9, high=1.0)


@caught_by("values_average_to_the_number")
class Squared(Difference):
    """values() are squared, the number is not."""

    def values(self):
        return torch.cat(self._values) ** 2


@caught_by("compute_changes_nothing")
class Once(Difference):
    """compute() clears what was taken in."""

    def compute(self):
        measured = super().compute()
        self._values = []
        return measured
