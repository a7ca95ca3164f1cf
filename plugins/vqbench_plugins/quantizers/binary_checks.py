"""How the bits of a binary code divide into tokens and into entropy groups, in plain arithmetic: no torch."""

from __future__ import annotations

from collections.abc import Sequence

from vqbench.errors import ParameterError

__all__ = ["LARGEST_ENTROPY_GROUP", "LARGEST_TOKEN_BITS", "entropy_group_size", "token_sizes"]

LARGEST_TOKEN_BITS = 62
"""Token ids are int64; a code of more bits is several tokens."""

LARGEST_ENTROPY_GROUP = 18
"""A group of g bits costs N·2^g multiplications for N positions, and the memory of 2^g numbers."""


def token_sizes(bits: int, token_bits: Sequence[int] | None) -> tuple[int, ...]:
    """Bits of each token of a code.

    Args:
        bits: of the whole code.
        token_bits: one number, of all tokens alike; or the number of each token, in channel order. None: as few tokens
            as can be, of sizes as equal as can be.

    Raises:
        ParameterError: the tokens do not add up to the code, or one has more bits than an id can hold.
    """
    if bits < 1:
        raise ParameterError("bits is out of range", got=bits, expected="at least 1")
    if token_bits is None:
        tokens = -(-bits // LARGEST_TOKEN_BITS)
        return tuple(bits // tokens + (token < bits % tokens) for token in range(tokens))
    for size in token_bits:
        if not 1 <= size <= LARGEST_TOKEN_BITS:
            raise ParameterError(
                "token_bits is out of range", got=size, expected=f"1 to {LARGEST_TOKEN_BITS}: token ids are int64"
            )
    if len(token_bits) == 1 and bits % token_bits[0] == 0:
        return tuple(token_bits) * (bits // token_bits[0])
    if sum(token_bits) != bits:
        raise ParameterError(
            "token_bits do not add up to bits",
            got=f"token_bits = {list(token_bits)} with bits = {bits}",
            expected="one number that divides bits, or numbers whose sum is bits",
            hint="Leave token_bits out for as few tokens as possible.",
        )
    return tuple(token_bits)


def entropy_group_size(bits: int, entropy_group: int | None) -> int:
    """Bits of one group of the codebook entropy; None: all of them, the joint entropy.

    Raises:
        ParameterError: the groups do not divide the code, or have too many codes.
    """
    divisors = [size for size in range(1, min(bits, LARGEST_ENTROPY_GROUP) + 1) if bits % size == 0]
    if entropy_group is None:
        if bits > LARGEST_ENTROPY_GROUP:
            raise ParameterError(
                f"the joint codebook entropy is out of reach beyond {LARGEST_ENTROPY_GROUP} bits",
                got=f"bits = {bits}",
                expected=f"entropy_group, one of {', '.join(map(str, divisors))}",
                hint=f"Set entropy_group = {divisors[-1]} for the sum of the entropies of groups of bits.",
            )
        return bits
    if entropy_group not in divisors:
        raise ParameterError(
            "entropy_group must divide bits",
            got=f"entropy_group = {entropy_group} with bits = {bits}",
            expected=", ".join(map(str, divisors)),
        )
    return entropy_group
