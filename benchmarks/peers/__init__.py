"""vqbench's hot operations beside those of other libraries: the same inputs, one run, answers checked against float64.

``python -m benchmarks.peers --help`` from the root of the repository; ``benchmarks/README.md`` says how to read it.
"""
