"""Errors that vqbench raises for its users.

::

    VQBenchError                  everything below; carries what, got, expected and the next step
    ├── UsageError                wrong command line, unknown option value
    ├── UnknownComponentError     no quantizer, backbone, dataset, metric or suite of that name
    ├── PluginError               a plugin failed to load, register or answer a hook
    ├── SuiteError                a suite file is malformed or asks for something impossible
    │   ├── ParameterError        a component's parameter has a wrong name, type or value
    │   └── UnequalBitsError      a suite demands equal bits and its cells do not have them
    ├── GateError                 a gate file is malformed
    ├── UnavailableError          a component's requirement (package, data, weights) is not here
    ├── DataError                 a dataset cannot be read or does not hold what it should
    ├── CheckpointError           a checkpoint is damaged or belongs to something else
    ├── RecordError               a record is damaged or of another schema
    ├── ResultsError              a results folder cannot be read, written or locked
    └── TensorError               a tensor has a wrong shape or dtype, or holds NaN or infinity

The command line turns any of them into one message and exit code 2, never into a traceback (``--debug`` shows it).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "DataError",
    "GateError",
    "ParameterError",
    "PluginError",
    "RecordError",
    "ResultsError",
    "SuiteError",
    "TensorError",
    "UnavailableError",
    "UnequalBitsError",
    "UnknownComponentError",
    "UsageError",
    "VQBenchError",
    "closest",
]


class VQBenchError(Exception):
    """Root of all errors meant for a user.

    ``what`` is a full sentence without its full stop; ``got``, ``expected`` and ``hint`` (the next step) are optional.
    ``str(error)`` joins them: ``what: got …, expected …. hint``. All errors below are raised alike::

        raise ParameterError("gain must be positive", got=gain, expected="more than 0", hint="Leave it out for 1.0.")
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, hint: str | None = None) -> None:
        self.what, self.got, self.expected, self.hint = what, got, expected, hint
        details = [f"{word} {value}" for word, value in (("got", got), ("expected", expected)) if value is not None]
        message = what + (f": {', '.join(details)}" if details else "")
        if hint:
            message += ("" if message.endswith((".", "?", "!")) else ".") + f" {hint}"
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.got, self.expected, self.hint)


def _rebuild(kind: type[VQBenchError], what: str, got: object, expected: object, hint: str | None) -> VQBenchError:
    return kind(what, got=got, expected=expected, hint=hint)


class UsageError(VQBenchError):
    """The command line asks for something that does not exist or makes no sense."""


class UnknownComponentError(VQBenchError):
    """No component of that name is registered, or the short name is ambiguous."""


class PluginError(VQBenchError):
    """A plugin could not be loaded or broke the plugin contract."""


class SuiteError(VQBenchError):
    """A suite file is malformed; the message names the file and the key."""


class ParameterError(SuiteError):
    """A component's parameter is unknown, of the wrong type or out of range."""


class UnequalBitsError(SuiteError):
    """Cells of a suite that demands equal bits per image have unequal ones."""


class GateError(VQBenchError):
    """A gate file is malformed; the message names the file and the key."""


class UnavailableError(VQBenchError):
    """Something a component requires is missing on this machine."""


class DataError(VQBenchError):
    """A dataset is missing, unreadable or not what it claims to be."""


class CheckpointError(VQBenchError):
    """A checkpoint is damaged, or was written for another configuration."""


class RecordError(VQBenchError):
    """A record is damaged, or of a schema this version does not read."""


class ResultsError(VQBenchError):
    """A results folder cannot be used."""


class TensorError(VQBenchError, ValueError):
    """A tensor has a wrong shape or dtype, or holds values that are not finite."""


def closest(name: str, known: Iterable[str], *, most: int = 3) -> str | None:
    """A ``Did you mean …?`` sentence for a mistyped name, or None where nothing known is close."""
    lowered = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.6)
    if not matches:
        return None
    return "Did you mean " + " or ".join(repr(lowered[match]) for match in matches) + "?"
