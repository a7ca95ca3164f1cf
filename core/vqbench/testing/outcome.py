"""Running checks on components, and what became of each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch

from vqbench.catalog.guard import kept_alive, printing_to_stderr, stopped_after
from vqbench.catalog.outcome import plugin_traceback
from vqbench.errors import UsageError, closest
from vqbench.plugin_code import describe
from vqbench.seeds import derive_seed
from vqbench.testing.check import Check, CheckFailure, NotApplicable
from vqbench.testing.subject import Subject

__all__ = ["ExpectedFailures", "Outcome", "Status", "check_names", "perform", "run_checks"]

Status: TypeAlias = Literal["passed", "failed", "not applicable", "failed as expected", "passed unexpectedly"]
ExpectedFailures: TypeAlias = Mapping[str, str]
"""Names of checks that a component is known to fail, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one check of one component.

    Attributes:
        subject: the component with its parameters, as text.
        check: what was checked.
        status: ``"passed unexpectedly"`` is a failure too: the expectation is out of date.
        message: why it failed or does not apply, or the reason of the expectation; empty where it passed.
        traceback: of a check that failed with another exception than its own.
    """

    subject: str
    check: Check
    status: Status
    message: str = ""
    traceback: str | None = None

    @property
    def good(self) -> bool:
        """Whether nothing needs mending."""
        return self.status in ("passed", "not applicable", "failed as expected")


def perform(check: Check, subject: Subject) -> None:
    """Run one check under a seed of its own; the global generators are left as they were.

    Raises:
        CheckFailure: the component fails.
        NotApplicable: there is nothing to see.
        Exception: whatever else the component raises, which is a failure as well.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()
    seed = derive_seed(0, "check", check.name, str(subject))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            check(subject)
    except (CheckFailure, NotApplicable):
        raise
    except Exception as error:
        error.add_note(f"while checking {check.name} of {subject}: {check.protects}")
        raise
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def run_checks(
    subject: Subject,
    checks: Iterable[Check],
    expected_failures: ExpectedFailures | None = None,
    *,
    timeout: float | None = None,
) -> Iterator[Outcome]:
    """Run checks one after the other; a failing one never stops the next. What components print goes to standard error.

    Args:
        subject: the component.
        checks: which.
        expected_failures: reasons by name of check.
        timeout: seconds after which a check has failed, if it can be stopped (:func:`vqbench.catalog.guard.stopped_after`).
    """
    expected = expected_failures or {}
    for each in checks:
        yield _outcome(each, subject, expected.get(each.name), timeout)


def _outcome(check: Check, subject: Subject, reason: str | None, timeout: float | None) -> Outcome:
    def made(status: Status, message: str = "", traceback: str | None = None) -> Outcome:
        return Outcome(subject=str(subject), check=check, status=status, message=message, traceback=traceback)

    try:
        with printing_to_stderr(), kept_alive(), stopped_after(timeout, "--timeout"):
            perform(check, subject)
    except NotApplicable as why:
        return made("not applicable", str(why))
    except BaseException as error:  # SystemExit, too: a component that exits must not take the command along
        if type(error) is KeyboardInterrupt:  # a subclass of it is the component's own
            raise
        if reason is not None:
            return made("failed as expected", reason)
        if isinstance(error, CheckFailure):
            return made("failed", str(error))
        return made("failed", describe(error), plugin_traceback(error))
    if reason is not None:
        return made("passed unexpectedly", f"expected to fail: {reason}")
    return made("passed")


def check_names(checks: Iterable[Check], names: Iterable[str]) -> None:
    """Refuse names that are no check's, so that an expectation cannot outlive its check unseen.

    Raises:
        UsageError: there is no such check.
    """
    known = [each.name for each in checks]
    for name in names:
        if name not in known:
            raise UsageError(
                "there is no check of that name",
                got=repr(name),
                expected="one of " + ", ".join(known),
                hint=closest(name, known),
            )
