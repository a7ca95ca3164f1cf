"""The environment of a pytest that a test starts itself."""

import os


def environment() -> dict[str, str]:
    """This process's, without what makes pytest-benchmark think that it runs in a process of pytest-xdist and switch off."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
