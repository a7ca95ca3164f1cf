"""vqbench: a benchmark suite for discrete image tokenizers.

Everything an author of a plugin needs is importable from ``vqbench`` itself. Importing it imports neither torch nor any plugin:
the classes that need torch are loaded when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vqbench.errors import ParameterError, TensorError, UnavailableError, VQBenchError
from vqbench.hookspecs import API_VERSION, hookimpl
from vqbench.specs import (
    BackboneSpec,
    DatasetSpec,
    LevelPlan,
    LevelShape,
    MetricSpec,
    Parameter,
    PublishedSpec,
    QuantizerSpec,
    Requirement,
    SuiteSpec,
    TrainsAs,
)

if TYPE_CHECKING:
    from vqbench.interfaces import (
        Backbone,
        ByteImages,
        Dataset,
        EvaluationBatch,
        EvaluationContext,
        Images,
        Loss,
        Measurement,
        Metric,
        ParameterGroup,
        PerImageMetric,
        PosteriorSums,
        Quantized,
        Quantizer,
        StepClock,
        no_codes,
        straight_through,
    )
    from vqbench.worker.checkpoint import load_tokenizer
    from vqbench.worker.tokenizer import Tokenizer

__version__ = "0.1.0"
"""Of vqbench itself, by semantic versioning; of its hooks and classes, see :data:`API_VERSION`."""

__all__ = [
    "API_VERSION",
    "Backbone",
    "BackboneSpec",
    "ByteImages",
    "Dataset",
    "DatasetSpec",
    "EvaluationBatch",
    "EvaluationContext",
    "Images",
    "LevelPlan",
    "LevelShape",
    "Loss",
    "Measurement",
    "Metric",
    "MetricSpec",
    "Parameter",
    "ParameterError",
    "ParameterGroup",
    "PerImageMetric",
    "PosteriorSums",
    "PublishedSpec",
    "Quantized",
    "Quantizer",
    "QuantizerSpec",
    "Requirement",
    "StepClock",
    "SuiteSpec",
    "TensorError",
    "Tokenizer",
    "TrainsAs",
    "UnavailableError",
    "VQBenchError",
    "__version__",
    "hookimpl",
    "load_tokenizer",
    "no_codes",
    "straight_through",
]

_ELSEWHERE = {"Tokenizer": "vqbench.worker.tokenizer", "load_tokenizer": "vqbench.worker.checkpoint"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "vqbench.interfaces")), name)
