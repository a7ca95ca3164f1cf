import pickle

import pytest

from vqbench import errors
from vqbench.errors import ParameterError, SuiteError, VQBenchError, closest


def test_a_message_says_what_got_expected_and_the_next_step():
    error = VQBenchError("The width is wrong", got=3, expected="an even number", hint="Use 4.")
    assert str(error) == "The width is wrong: got 3, expected an even number. Use 4."


def test_a_message_without_details_is_just_the_sentence():
    assert str(VQBenchError("Nothing is here")) == "Nothing is here"


def test_every_public_error_is_a_vqbench_error():
    leaves = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert all(issubclass(leaf, VQBenchError) for leaf in leaves)
    assert issubclass(ParameterError, SuiteError)


def test_errors_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(ParameterError("a", got="b", expected="c", hint="d")))
    assert type(error) is ParameterError
    assert (error.what, error.got, error.expected, error.hint) == ("a", "b", "c", "d")


@pytest.mark.parametrize(("typo", "meant"), [("fssq", "fsq"), ("VQGAN", "vqgan"), ("vq_vae2", "vq_vae_2")])
def test_a_typo_is_answered_with_the_closest_name(typo, meant):
    assert f"Did you mean {meant!r}" in (closest(typo, ["fsq", "vqgan", "vq_vae_2", "gq"]) or "")


def test_a_name_like_nothing_else_gets_no_suggestion():
    assert closest("zebra", ["fsq", "gq"]) is None
