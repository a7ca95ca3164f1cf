"""The metrics of one evaluation: one that fails costs its own number and no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from pydantic import ValidationError
from torch import Tensor, float64

from vqbench.errors import PluginError, UnavailableError, VQBenchError
from vqbench.interfaces import EvaluationBatch, EvaluationContext, Measurement, Metric
from vqbench.plugin_code import calling
from vqbench.results import MetricRecord
from vqbench.run.failures import is_out_of_memory
from vqbench.worker.returned import form

__all__ = ["Measuring", "NotBuilt"]

LONGEST_REASON = 2000  # that of a record


class NotBuilt(Metric):
    """Stands for a metric that could not be built: its number is null with this reason."""

    def __init__(self, error: VQBenchError) -> None:
        self._error = error

    def prepare(self, context: EvaluationContext) -> None:
        raise self._error

    def update(self, batch: EvaluationBatch) -> None:
        raise self._error

    def compute(self) -> Measurement:
        raise self._error


class Measuring:
    """Takes metrics, by the name their number gets, through an evaluation.

    The number of one that lacks something, raises or returns nonsense is null with the reason, and it is not called again. Only
    if memory runs out all is lost, since that is the evaluation's own matter: the error goes on.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics
        self._nulls: dict[str, Measurement] = {}

    def prepare(self, context: EvaluationContext) -> None:
        """Before the first batch."""
        for name in self._metrics:
            self._ask(name, "prepare", context)

    def update(self, batch: EvaluationBatch) -> None:
        """Give every metric a batch."""
        for name in self._metrics:
            self._ask(name, "update", batch)

    def compute(self, images: int) -> tuple[dict[str, Measurement], dict[str, Tensor]]:
        """The numbers; and of those that are means over the images (so many were evaluated) the values of each."""
        numbers, values = dict[str, Measurement](), dict[str, Tensor]()
        for name in self._metrics:
            measured, of_images = self._ask(name, "compute"), self._ask(name, "values")
            try:
                if name not in self._nulls:
                    numbers[name] = _checked(name, measured)
                    if of_images is not None:
                        values[name] = _checked_values(name, of_images, images)
            except PluginError as error:
                self._give_up(name, error)
        return {name: self._nulls.get(name) or numbers[name] for name in self._metrics}, values

    def _ask(self, name: str, method: str, *arguments: object) -> object:
        if name in self._nulls:
            return None
        try:
            with calling(f"metric {name!r}", method):
                answer: object = getattr(self._metrics[name], method)(*arguments)
                return answer
        except VQBenchError as error:
            if is_out_of_memory(error):
                raise
            self._give_up(name, error)
            return None

    def _give_up(self, name: str, error: VQBenchError) -> None:
        self._nulls[name] = Measurement(
            value=None, reason=str(error)[:LONGEST_REASON], unavailable=isinstance(error, UnavailableError)
        )


def _checked(name: str, measured: object) -> Measurement:
    """What ``compute`` returned, if a record can hold it."""
    if not isinstance(measured, Measurement):
        raise PluginError(
            f"metric {name!r}: compute returned something else", got=form(measured), expected="vqbench.Measurement"
        )
    try:
        MetricRecord.model_validate(asdict(measured) | {"unit": "", "better": None, "board": "quality"})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise PluginError(
            f"metric {name!r}: {f'{field} of its' if field else 'its'} Measurement is malformed",
            got=repr(first["input"])[:200] if field else None,
            expected=first["msg"],
        ) from None
    return measured


def _checked_values(name: str, values: object, images: int) -> Tensor:
    if not isinstance(values, Tensor) or values.dtype != float64 or values.shape != (images,):
        raise PluginError(
            f"metric {name!r}: values returned something else",
            got=form(values),
            expected=f"float64 ({images},), or None",
        )
    return values
