"""A component's parameters are complete, checked and canonical."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqbench.canonical import canonical_json
from vqbench.catalog import resolve_parameters
from vqbench.errors import ParameterError
from vqbench.specs import ComponentSpec, Parameter


def parameter(name, type, default, **limits):
    return Parameter(name=name, type=type, default=default, summary="a parameter", **limits)


SPEC = ComponentSpec(
    name="thing",
    target="package.module:Thing",
    summary="a component with one parameter of each type",
    parameters=(
        parameter("channels", "int", 4, minimum=1, maximum=64),
        parameter("beta", "float", 0.25, minimum=0, maximum=10),
        parameter("learned", "bool", True),
        parameter("bound", "str", "tanh", choices=("tanh", "sigmoid")),
        parameter("sizes", "ints", (8, 5), minimum=2),
        parameter("weights", "floats", [1.0]),
        parameter("path", "str", None),
    ),
    presets={"small": {"channels": 2, "beta": 1}},
)
DEFAULTS = {
    "channels": 4,
    "beta": 0.25,
    "learned": True,
    "bound": "tanh",
    "sizes": [8, 5],
    "weights": [1.0],
    "path": None,
}


def test_nothing_given_is_the_defaults_in_the_order_of_the_descriptor():
    assert list(resolve_parameters(SPEC).items()) == list(DEFAULTS.items())


def test_a_preset_beats_a_default_and_a_given_value_beats_both():
    resolved = resolve_parameters(SPEC, {"beta": 2.5}, "small")
    assert resolved == DEFAULTS | {"channels": 2, "beta": 2.5}


@pytest.mark.parametrize("value", [1, -0.0, 0])
def test_equal_numbers_have_one_canonical_form(value):
    resolved = resolve_parameters(SPEC, {"beta": value})["beta"]
    assert type(resolved) is float
    assert canonical_json(resolved) == canonical_json(abs(float(value)))


def test_a_tuple_becomes_a_list_and_integers_in_a_list_of_numbers_become_floats():
    resolved = resolve_parameters(SPEC, {"weights": (1, 2)})["weights"]
    assert resolved == [1.0, 2.0]
    assert [type(v) for v in resolved] == [float, float]


def test_none_is_a_value_only_where_it_is_the_default():
    assert resolve_parameters(SPEC, {"path": None})["path"] is None
    with pytest.raises(ParameterError, match=r"'channels' has the wrong type: got none, expected an integer"):
        resolve_parameters(SPEC, {"channels": None})


@pytest.mark.parametrize(
    ("given_value", "message"),
    [
        ({"channels": True}, r"component 'thing': parameter 'channels' .*got True \(bool\), expected an integer"),
        ({"channels": 4.0}, r"got 4\.0 \(float\), expected an integer"),
        ({"channels": "4"}, r"got '4' \(str\), expected an integer"),
        ({"channels": 0}, r"out of range: got 0, expected at least 1 and at most 64"),
        ({"channels": 2**63}, r"too large: .*64 bits"),
        ({"channels": 10**5000}, r"too large: .*64 bits"),
        ({"beta": True}, r"got True \(bool\), expected a number"),
        ({"beta": math.nan}, r"not finite: got nan"),
        ({"beta": math.inf}, r"not finite: got inf"),
        ({"beta": 10**400}, r"not finite"),
        ({"beta": 10.5}, r"out of range: got 10\.5"),
        ({"learned": 1}, r"got 1 \(int\), expected true or false"),
        ({"bound": "tahn"}, r"got 'tahn', expected one of 'tanh', 'sigmoid'\. Did you mean 'tanh'\?"),
        ({"path": "a" * 5000}, r"too long: got 5000 characters"),
        ({"path": "\ud800"}, r"not valid Unicode"),
        ({"path": 3}, r"expected a string or none"),
        ({"sizes": 8}, r"got 8 \(int\), expected a list of integers"),
        ({"sizes": [8, 1]}, r"'sizes', entry 1 is out of range: got 1, expected at least 2"),
        ({"sizes": [8, 2.5]}, r"entry 1 has the wrong type"),
        ({"sizes": [2] * 1025}, r"too long: got 1025 entries, expected at most 1024"),
        ({"sizes": {"a": 1}}, r"expected a list of integers"),
        ({"chanels": 4}, r"has no parameter of that name: got 'chanels', .*Did you mean 'channels'\?"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_got_and_expected(given_value, message):
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(SPEC, given_value)


def test_1024_entries_are_allowed():
    assert len(resolve_parameters(SPEC, {"sizes": [2] * 1024})["sizes"]) == 1024


def test_an_unknown_preset_is_refused_with_the_closest():
    with pytest.raises(ParameterError, match=r"no preset .*got 'smal', expected one of small\. Did you mean 'small'"):
        resolve_parameters(SPEC, {}, "smal")


def test_a_given_value_does_not_change_the_descriptor():
    weights = resolve_parameters(SPEC)["weights"]
    weights.append(3.0)
    assert resolve_parameters(SPEC)["weights"] == [1.0]


VALUES = {
    "channels": st.integers(1, 64),
    "beta": st.floats(0, 10) | st.integers(0, 10),
    "learned": st.booleans(),
    "bound": st.sampled_from(["tanh", "sigmoid"]),
    "sizes": st.lists(st.integers(2, 2**62), max_size=8),
    "weights": st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60), max_size=8),
    "path": st.none() | st.text(max_size=20).filter(lambda t: t.isprintable()),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_resolving_is_idempotent_and_survives_json(chosen):
    resolved = resolve_parameters(SPEC, chosen)
    assert list(resolved) == list(DEFAULTS)
    again = resolve_parameters(SPEC, json.loads(canonical_json(resolved)))
    assert canonical_json(again) == canonical_json(resolved)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@given(st.sampled_from(sorted(VALUES)), anything)
def test_any_value_is_either_canonical_or_a_parameter_error(name, value):
    try:
        resolved = resolve_parameters(SPEC, {name: value})
    except ParameterError as error:
        assert name in str(error)  # noqa: PT017
    else:
        canonical_json(resolved)  # raises on NaN, infinity and what is not JSON
