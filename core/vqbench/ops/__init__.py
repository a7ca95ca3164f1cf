"""Search for the best codeword: exact for float32 inputs, no N×K matrix, ties to the lowest index.

:func:`nearest_codeword` goes by distance, angle or inner product, :func:`nearest_gaussian` by the score of a Gaussian
posterior, :func:`nearest_residual` by distance in several stages, each on what the ones before left over.
"""

from vqbench.ops.nearest import Metric, Nearest, nearest_codeword, nearest_gaussian, nearest_residual

__all__ = ["Metric", "Nearest", "nearest_codeword", "nearest_gaussian", "nearest_residual"]
