"""vqbench's conformance kit on the wrapped classes, and what the library is known to fail there."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks(
    [
        "vqp/fsq",
        "vqp/residual_fsq",
        subject("vqp/residual_vq", dim=4, codebook_size=64, num_quantizers=2),
        subject("vqp/sim_vq", dim=4, codebook_size=64),
    ]
)
def test_conformance(check):
    check()


@parametrize_with_checks(
    [subject("vqp/vector_quantize", dim=4), "vqp/lfq"],
    expected_failures={
        "no_score_matrix": "the library holds the distances of all positions to all codewords at once, and one-hots of that size "
        "(VectorQuantize, ResidualVQ) or their softmax (LFQ, in training)"
    },
)
def test_conformance_with_many_codewords(check):
    check()
