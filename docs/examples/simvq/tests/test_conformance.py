"""SimVQ keeps vqbench's contract, with its defaults and with a bias."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks(["simvq/simvq", subject("simvq/simvq", codebook_size=64, dim=8, bias=True)])
def test_conformance(check):
    check()
