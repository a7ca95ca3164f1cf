"""What all tests need of the process they run in."""

import os
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# Tests run in one process per core (pytest-xdist): each, and what it starts, computes with one thread. Before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# how fast a machine is fails no test
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure():
    # A shell starts background jobs with SIGINT ignored, and so would everything that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _no_cache_of_the_user():
    """Neither read nor fill the cache of whoever runs the tests, nor look into assets they have."""
    os.environ.pop("VQBENCH_ASSETS", None)
    with tempfile.TemporaryDirectory(prefix="vqbench-cache-") as folder:
        os.environ["VQBENCH_CACHE"] = folder
        yield
