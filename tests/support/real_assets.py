"""Real weights and data for tests that need them: never fetched, only used where ``VQBENCH_TEST_ASSETS`` names a folder."""

import os
from pathlib import Path

import pytest


def real_asset(name: str) -> Path:
    """The file or folder of that name below ``VQBENCH_TEST_ASSETS``; the test is skipped where it is not there."""
    folder = os.environ.get("VQBENCH_TEST_ASSETS")
    if not folder:
        pytest.skip(f"needs {name}: VQBENCH_TEST_ASSETS names no folder")
    path = Path(folder, name)
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path
