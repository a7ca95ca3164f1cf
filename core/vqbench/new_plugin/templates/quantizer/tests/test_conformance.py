"""What vqbench takes for granted of every quantizer."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks(["my-plugin/my-component", subject("my-plugin/my-component", channels=1, steps=2)])
def test_conformance(check):
    check()
