"""What vqbench takes for granted of every quantizer."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks([subject("vqbench-simvq/simvq", codebook_size=64, dim=8, bias=True)])
def test_conformance(check):
    check()
