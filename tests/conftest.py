"""What all tests need of the process they run in."""

import signal


def pytest_configure():
    # A shell starts background jobs with SIGINT ignored, and so would everything that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
