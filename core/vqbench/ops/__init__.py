"""Search for the nearest codeword: exact in float32, no N×K matrix, ties to the lowest index."""

from vqbench.ops.nearest import nearest_codeword, nearest_gaussian

__all__ = ["nearest_codeword", "nearest_gaussian"]
