"""The options of these benchmarks."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--grid", choices=("small", "full"), default="small", help="Sizes of the operations to measure (test_ops.py)."
    )
    parser.addoption(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE|FILE.py",
        help="Measure the components of a plugin that is not installed, too (test_components.py). Repeatable.",
    )
