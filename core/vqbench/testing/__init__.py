"""The conformance kit: is a quantizer, backbone, dataset, metric or suite what vqbench takes it for?

From a shell, ``vqbench check my-plugin``. In a plugin's tests::

    from vqbench.testing import parametrize_with_checks

    @parametrize_with_checks(["my-plugin/rounding"])
    def test_conformance(check):
        check()

Importing it imports torch; pytest only where tests are made.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if "pytest" in sys.modules:  # before the checks are imported, so that their assertions show values
    kinds = ("descriptor", "quantizer", "backbone", "dataset", "metric", "suite")
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{kind}" for kind in kinds))

from vqbench.testing.check import Check, CheckFailure, NotApplicable, check, expect
from vqbench.testing.checks import checks_of
from vqbench.testing.outcome import Outcome, run_checks
from vqbench.testing.subject import Subject, subject

if TYPE_CHECKING:
    from vqbench.testing.parametrize import Contract, parametrize_with_checks

__all__ = [
    "Check",
    "CheckFailure",
    "Contract",
    "NotApplicable",
    "Outcome",
    "Subject",
    "check",
    "checks_of",
    "expect",
    "parametrize_with_checks",
    "run_checks",
    "subject",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("vqbench.testing.parametrize"), name)
