"""The classes a method is made of; importing them imports torch."""

from vqbench.interfaces.backbone import Backbone
from vqbench.interfaces.dataset import ByteImages, Dataset, Images
from vqbench.interfaces.metric import EvaluationBatch, EvaluationContext, Measurement, Metric, PerImageMetric
from vqbench.interfaces.quantizer import (
    Loss,
    ParameterGroup,
    PosteriorSums,
    Quantized,
    Quantizer,
    StepClock,
    no_codes,
    straight_through,
)

__all__ = [
    "Backbone",
    "ByteImages",
    "Dataset",
    "EvaluationBatch",
    "EvaluationContext",
    "Images",
    "Loss",
    "Measurement",
    "Metric",
    "ParameterGroup",
    "PerImageMetric",
    "PosteriorSums",
    "Quantized",
    "Quantizer",
    "StepClock",
    "no_codes",
    "straight_through",
]
