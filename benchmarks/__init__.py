"""Speed and memory, measured: suites for pytest-benchmark, and side by side with other libraries in ``peers``."""
