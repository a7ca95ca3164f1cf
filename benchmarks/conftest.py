"""The option that chooses the grid of ``test_ops.py``."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--grid", choices=("small", "full"), default="small", help="Sizes of the operations to measure (test_ops.py)."
    )
