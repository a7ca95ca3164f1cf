"""What vqbench takes for granted of every suite."""

from vqbench.testing import parametrize_with_checks


@parametrize_with_checks(["my-plugin/my-component"])
def test_conformance(check):
    check()
