import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqbench.canonical import canonical_json, content_id
from vqbench.seeds import derive_seed

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_an_id_does_not_depend_on_the_order_of_keys(value):
    backwards = dict(reversed(list(value.items())))
    assert content_id(value) == content_id(backwards)


def test_an_id_is_the_digest_of_the_canonical_text():
    value = {"b": [1, 2.5, None], "a": "ü"}
    assert canonical_json(value) == '{"a":"ü","b":[1,2.5,null]}'
    assert content_id(value) == hashlib.sha256('{"a":"ü","b":[1,2.5,null]}'.encode()).hexdigest()[:16]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_json_has_no_id(value):
    with pytest.raises(ValueError):
        content_id({"x": value})


def test_seeds_of_different_purposes_are_unrelated_and_stable():
    assert derive_seed(0, "init", "backbone") == derive_seed(0, "init", "backbone")
    purposes = [("init", "backbone"), ("init", "quantizer"), ("data",), ("initbackbone",), ("init", "back", "bone")]
    seeds = {derive_seed(s, *names) for s in range(50) for names in purposes}
    assert len(seeds) == 50 * len(purposes)
    assert all(0 <= seed < 1 << 63 for seed in seeds)
