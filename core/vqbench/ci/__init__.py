"""Two commits of a repository, run in turn on one machine and compared: ``python -m vqbench.ci``, for any continuous integration.

Settings are environment variables; ``compare.sh`` has the list, ``docs/ci.md`` the use.
"""
