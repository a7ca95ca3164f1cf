"""Descriptors of the classes whose codebook is a grid."""

import math

from vqbench import Parameter, ParameterError
from vqbench_vqp.wrapping import LARGEST_CODEBOOK, integer, number, switch, wrapped

# with 1001 values and more, the library's digits leave their range
_LEVELS = Parameter(
    name="levels", type="ints", default=[8, 5, 5, 5], minimum=2, maximum=1000, summary="values of each channel"
)
_DIM = integer("dim", None, "channels of the latent; linear maps, where they are not those of the levels; None: those")
_NOISE = number("noise_dropout", 0.0, "share of values that get noise as well, in training", maximum=1.0)


def _codebook_size(levels):
    size = math.prod(levels)
    if not levels or size > LARGEST_CODEBOOK:
        raise ParameterError(
            "levels have no codebook that the library can index", got=levels, expected="1 to 2^22 codes"
        )
    return size


def _fsq_shape(p):
    if 2 in p["levels"] and not p["preserve_symmetry"]:
        raise ParameterError("a level of 2 values needs preserve_symmetry", got=f"levels {p['levels']}")
    if p["noise_dropout"] and not p["preserve_symmetry"]:
        raise ParameterError("noise_dropout needs preserve_symmetry", got=f"noise_dropout {p['noise_dropout']}")
    tokens = p["num_codebooks"]
    return p["dim"] or len(p["levels"]) * tokens, (_codebook_size(p["levels"]),) * tokens


FSQ = wrapped(
    "fsq",
    "FSQ",
    summary="each channel rounded to a few values",
    parameters=(
        _LEVELS,
        _DIM,
        integer("num_codebooks", 1, "tokens per position, from channel groups"),
        switch("projection_has_bias", True, "whether these maps have a bias"),
        switch("preserve_symmetry", False, "levels symmetric about 0 (arXiv 2411.19842)"),
        _NOISE,
        switch("bound_hard_clamp", False, "clamp in place of tanh"),
        switch("orthogonal_rotation", False, "a random rotation before rounding"),
    ),
    shape=_fsq_shape,
    paper="Mentzer et al., arXiv 2309.15505",
)

RESIDUAL_FSQ = wrapped(
    "residual_fsq",
    "ResidualFSQ",
    summary="rounding in stages, each on a finer grid",
    parameters=(
        _LEVELS,
        integer("num_quantizers", 2, "stages, each a token of the position", maximum=64),
        _DIM,
        _NOISE,
        switch("bound_hard_clamp", True, "clamp in each stage, after a tanh before the first"),
    ),
    shape=lambda p: (p["dim"] or len(p["levels"]), (_codebook_size(p["levels"]),) * p["num_quantizers"]),
    paper="Mentzer et al., arXiv 2309.15505; Zeghidour et al., arXiv 2107.03312",
)


def _lfq_shape(p):
    size, tokens = p["codebook_size"], p["num_codebooks"]
    bits = size.bit_length() - 1
    if size != 1 << bits:
        raise ParameterError("codebook_size is no power of two", got=size, expected=f"e.g. {1 << bits}")
    return p["dim"] or bits * tokens, (size,) * tokens


LFQ = wrapped(
    "lfq",
    "LFQ",
    summary="the sign of each channel, with an entropy loss; spherical: BSQ",
    parameters=(
        integer("codebook_size", 1024, "codewords K, a power of two", minimum=2, maximum=LARGEST_CODEBOOK),
        integer("dim", None, "channels of the latent, with linear maps where they are not log2 K; None: as many"),
        integer("num_codebooks", 1, "tokens per position, from channel groups"),
        number("entropy_loss_weight", 0.1, "of the entropy loss"),
        number("commitment_loss_weight", 0.0, "of the commitment loss"),
        number("diversity_gamma", 1.0, "of the batch's entropy in the entropy loss"),
        number("codebook_scale", 1.0, "length of a code's components", minimum=1e-6),
        number(
            "frac_per_sample_entropy", 1.0, "share of positions the entropies are taken of", minimum=1e-6, maximum=1.0
        ),
        switch("projection_has_bias", True, "whether the maps have a bias"),
        number("soft_clamp_input_value", None, "tanh to ± this before the sign; None: none", minimum=1e-6),
        switch("cosine_sim_project_in", False, "a map of unit length in front"),
        switch("experimental_softplus_entropy_loss", False, "softplus of the entropy loss"),
        number("entropy_loss_offset", 5.0, "added before the softplus"),
        switch("spherical", False, "latents and codes on the unit sphere: BSQ (arXiv 2406.07548)"),
        switch("orthogonal_rotation", False, "a random rotation before the sign"),
    ),
    shape=_lfq_shape,
    paper="Yu et al., arXiv 2310.05737",
)
