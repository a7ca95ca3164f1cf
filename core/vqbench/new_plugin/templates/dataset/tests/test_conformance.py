"""What vqbench takes for granted of every dataset."""

from vqbench.testing import parametrize_with_checks, subject


@parametrize_with_checks([subject("my-plugin/my-component", train_images=16, test_images=8)])
def test_conformance(check):
    check()
