"""The checks as pytest tests of a plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from vqbench.testing.check import Check, CheckFailure, NotApplicable
from vqbench.testing.checks import checks_of
from vqbench.testing.outcome import ExpectedFailures, check_names, perform
from vqbench.testing.subject import Subject, subject

__all__ = ["BoundCheck", "Contract", "parametrize_with_checks"]


@dataclass(frozen=True)
class BoundCheck:
    """A check of one component; call it to run it.

    Raises:
        CheckFailure: the component fails; the note says what the check protects and what to look at first.
    """

    check: Check
    subject: Subject

    def __call__(self) -> None:
        __tracebackhide__ = True
        try:
            perform(self.check, self.subject)
        except NotApplicable as why:
            pytest.skip(str(why))
        except CheckFailure as failure:
            failure.add_note(f"What it protects: {self.check.protects}\nTo mend it: {self.check.fix}")
            raise

    def __str__(self) -> str:
        return f"{self.subject}: {self.check.name}"


def parametrize_with_checks(
    components: Iterable[str | Subject], *, expected_failures: ExpectedFailures | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a test one argument, ``check``, for every check of every component::

        @parametrize_with_checks(["my-plugin/rounding", subject("my-plugin/rounding", levels=5)])
        def test_conformance(check):
            check()

    Args:
        components: names, or components with parameters (:func:`subject`).
        expected_failures: names of checks that these components are known to fail, with the reason. One that passes all the
            same is a failure.

    Raises:
        UsageError: an expected failure names no check.
        UnknownComponentError, PluginError, ParameterError: as :func:`subject`.
    """
    return pytest.mark.parametrize("check", _cases(components, expected_failures or {}))


class Contract:
    """A component's contract as a class of tests::

        class TestRounding(Contract):
            component = "my-plugin/rounding"
            parameters = {"levels": 5}

    Attributes:
        component: its name.
        parameters: those that should differ from their defaults.
        expected_failures: names of checks that it is known to fail, with the reason.
    """

    component: ClassVar[str]
    parameters: ClassVar[Mapping[str, Any]] = {}
    expected_failures: ClassVar[ExpectedFailures] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest, once for each test of a subclass."""
        if "check" in metafunc.fixturenames:
            its = subject(self.component, **self.parameters)
            metafunc.parametrize("check", _cases([its], self.expected_failures))

    def test_conformance(self, check: BoundCheck) -> None:
        """Every check of the component."""
        check()


def _cases(components: Iterable[str | Subject], expected: ExpectedFailures) -> list[Any]:
    subjects = [subject(given) if isinstance(given, str) else given for given in components]
    bound = [BoundCheck(each, of) for of in subjects for each in checks_of(of.entry.kind)]
    check_names([each.check for each in bound], expected)
    return [pytest.param(each, id=str(each), marks=_marks(expected.get(each.check.name))) for each in bound]


def _marks(reason: str | None) -> tuple[pytest.MarkDecorator, ...]:
    return () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)
