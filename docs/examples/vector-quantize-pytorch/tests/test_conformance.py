"""vqbench's conformance kit on the wrapped classes, at small sizes."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks(
    [
        subject("vqp/vector_quantize", dim=4, codebook_size=16),
        subject("vqp/vector_quantize", dim=8, codebook_size=16, heads=2, separate_codebook_per_head=True),
        subject("vqp/residual_vq", dim=4, codebook_size=16, num_quantizers=2),
        subject("vqp/sim_vq", dim=4, codebook_size=16),
        subject("vqp/fsq", levels=[5, 4]),
        subject("vqp/residual_fsq", levels=[5, 4], num_quantizers=2),
        subject("vqp/lfq", codebook_size=16),
    ]
)
def test_conformance(check):
    check()
