"""The classes behind ``unruly_plugin``."""

from __future__ import annotations

import dataclasses

import torch
from misbehaviour import misbehave
from toy_components import Convs, NoisyVQ, Squares

from vqbench import Measurement, Metric, PerImageMetric


class Unruly(NoisyVQ):
    def __init__(self, order):
        super().__init__(2, 8)
        self.order = order
        misbehave(order, "__init__")

    def forward(self, latents):
        quantized = misbehave(self.order, "forward", super().forward(latents))
        if not self.order.startswith("forward's"):
            return quantized
        wrong = {
            "forward's codes=float": {"codes": quantized.codes.float()},
            "forward's codes=out of range": {"codes": quantized.codes + 8},
            "forward's value=narrow": {"value": quantized.value[:, :1]},
            "forward's value=integers": {"value": quantized.value.long()},
            "forward's losses=bare": {"losses": {"commit": quantized.value.mean()}},
        }
        return dataclasses.replace(quantized, **wrong[self.order])

    def decode(self, codes):
        value = super().decode(codes)
        if self.order == "decode=nan":
            return value * float("nan")
        return misbehave(self.order, "decode", value) if not self.training else value

    def fit(self, latents):
        misbehave(self.order, "fit")

    def on_step(self, clock):
        misbehave(self.order, "on_step")
        super().on_step(clock)

    def parameter_groups(self):
        return misbehave(self.order, "parameter_groups", super().parameter_groups())


class UnrulyConvs(Convs):
    def __init__(self, image_size, levels, order):
        super().__init__(image_size, levels, 4)
        self.order = order

    def encode(self, images):
        features = super().encode(images)
        return features[0] if self.order == "encode=bare" else misbehave(self.order, "encode", features)

    def decode(self, values):
        images = super().decode(values)
        return images[..., :4] if self.order == "decode=narrow" else misbehave(self.order, "decode", images)


class UnrulySquares(Squares):
    def __init__(self, image_size, order):
        super().__init__(image_size, 8)
        self.order = order

    def split(self, name):
        return misbehave(self.order, "split", Unruliness(super().split(name), self.order))


class Unruliness:
    def __init__(self, images, order):
        self.images, self.order = images, order

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if self.order == "image=numpy":
            return image.numpy()
        return misbehave(self.order, "image", image)


class Fine(PerImageMetric):
    def per_image(self, batch):
        return torch.ones(len(batch.originals))


class Raises(Fine):
    def update(self, batch):
        misbehave("update=fail", "update")


class ReturnsAFloat(Metric):
    def update(self, batch):
        pass

    def compute(self):
        return 3.0


class Unimportable(Metric):
    def __init__(self):
        raise RuntimeError("not today")

    def update(self, batch):
        pass

    def compute(self):
        return Measurement(value=0.0)
