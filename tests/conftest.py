"""What all tests need of the process they run in."""

import os
import signal

# Tests run in one process per core (pytest-xdist): each, and what it starts, computes with one thread. Before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure():
    # A shell starts background jobs with SIGINT ignored, and so would everything that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
