"""A check: one small thing that a component must do, with why it matters and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vqbench.errors import VQBenchError
from vqbench.testing.subject import Subject

__all__ = ["Check", "CheckFailure", "NotApplicable", "check", "expect"]


class CheckFailure(VQBenchError, AssertionError):
    """A component does not do what a check asks; ``got`` and ``expected`` are the values that were seen."""


class NotApplicable(Exception):
    """A check has nothing to look at in this component; the message says why, e.g. a continuous latent has no codes."""


@dataclass(frozen=True)
class Check:
    """One small thing that a component must do.

    Attributes:
        name: the function's, in ``snake_case``; what ``--check`` and expected failures are told.
        protects: a sentence: which mistake it finds, or what would go wrong without it.
        fix: a sentence: what to look at first when it fails.
        function: raises :class:`CheckFailure` where the component fails, :class:`NotApplicable` where there is nothing to see.
    """

    name: str
    protects: str
    fix: str
    function: Callable[[Subject], None]

    def __call__(self, subject: Subject) -> None:
        self.function(subject)


def check(*, protects: str, fix: str) -> Callable[[Callable[[Subject], None]], Check]:
    """Make a check of a function that is given a :class:`Subject`."""

    def made(function: Callable[[Subject], None]) -> Check:
        return Check(name=function.__name__, protects=protects, fix=fix, function=function)

    return made


def expect(condition: object, what: str, *, got: Any = None, expected: Any = None) -> None:
    """Fail the check unless the condition holds; ``what`` is a sentence without its full stop.

    Raises:
        CheckFailure: it does not hold.
    """
    if not condition:
        raise CheckFailure(what, got=got, expected=expected)
