"""What vqbench takes for granted of every backbone."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks([subject("my-plugin/my-component", width=16, blocks=1)])
def test_conformance(check):
    check()
