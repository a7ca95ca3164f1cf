"""What the functions of a descriptor may answer."""

from __future__ import annotations

import pytest

from vqbench.catalog import Entry, assets_of, check_levels, levels_of, revision_of, training_of
from vqbench.errors import ParameterError, PluginError, UnavailableError
from vqbench.specs import BackboneSpec, DatasetSpec, LevelPlan, QuantizerSpec, TrainsAs

LEVEL = {"latent_channels": 2, "code_channels": 2, "codebook_sizes": (8,), "arguments": {}}


def level(**changes):
    return LevelPlan(**LEVEL | changes)


def quantizer(levels=lambda p: [level()], trains_as=None):
    spec = QuantizerSpec(name="thing", target="a.b:C", summary="s", levels=levels, trains_as=trains_as)
    return Entry(spec=spec, plugin="mine")


def dataset(**fields):
    fields = {"revision": lambda p: "1"} | fields
    return Entry(spec=DatasetSpec(name="set", target="a.b:C", summary="s", **fields), plugin="mine")


def raising(error):
    def function(*arguments):
        raise error

    return function


def test_levels_may_come_from_a_generator():
    def levels(p):
        yield level(relative_stride=2)
        yield level(latent_channels=p["channels"])

    assert levels_of(quantizer(levels), {"channels": 4}) == (level(relative_stride=2), level(latent_channels=4))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "levels returned something else: got NoneType, expected a list of LevelPlan"),
        ("levels", "got str"),
        ({"0": level()}, "got dict"),
        (level(), "got LevelPlan"),
        ([level(), 3], "got a list that holds LevelPlan, int"),
        ([], "has no levels, or too many: expected 1 to 64"),
        ([level()] * 65, "has no levels, or too many"),
        ([level(codebook_sizes=[8])], r"level 0: codebook_sizes is malformed: got \[8\], expected a tuple of integers"),
        ([level(codebook_sizes=8)], "codebook_sizes is malformed: got 8"),
        ([level(codebook_sizes=(8.0,))], "codebook_sizes is malformed"),
        ([level(codebook_sizes=(True,))], "codebook_sizes is malformed"),
        ([level(codebook_sizes=(0,))], "codebook_sizes is malformed"),
        ([level(codebook_sizes=(2**62 + 1,))], "codebook_sizes is malformed"),
        ([level(codebook_sizes=(2,) * 5000)], "too many slots: got 5000, expected at most 4096"),
        ([level(), level(latent_channels=0)], "level 1: latent_channels is malformed: got 0"),
        ([level(code_channels=2.0)], "code_channels is malformed"),
        ([level(relative_stride="2")], "relative_stride is malformed: got '2'"),
        ([level(arguments=[("a", 1)])], "arguments is malformed"),
        ([level(arguments={1: 2})], "arguments is malformed"),
        ([level(target="os.system")], "target is malformed: got 'os.system'"),
    ],
)
def test_levels_of_a_wrong_form_are_one_message_that_names_the_component(returned, message):
    with pytest.raises(PluginError, match=rf"^quantizer 'mine/thing'.*{message}"):
        levels_of(quantizer(lambda p: returned), {})


def test_a_generator_of_levels_that_never_ends_is_cut_off():
    def levels(p):
        while True:
            yield level()

    with pytest.raises(PluginError, match="too many"):
        levels_of(quantizer(levels), {})


def test_a_generator_that_raises_midway_names_the_component():
    def levels(p):
        yield level()
        raise KeyError("lost")

    with pytest.raises(PluginError, match="quantizer 'mine/thing' failed in levels: KeyError: 'lost'") as caught:
        levels_of(quantizer(levels), {})
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [ParameterError("they do not go together"), UnavailableError("not here")])
def test_errors_of_ours_go_on_as_they_are(error):
    with pytest.raises(type(error)) as caught:
        levels_of(quantizer(raising(error)), {})
    assert caught.value is error


def test_a_function_cannot_change_the_parameters_it_is_asked_with():
    parameters = {"sizes": [1, 2]}

    def levels(p):
        p["sizes"].append(3)
        p["more"] = 1
        return [level(arguments=p)]

    assert levels_of(quantizer(levels), parameters)[0].arguments == {"sizes": [1, 2, 3], "more": 1}
    assert parameters == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    "returned",
    [True, "gaussian_vae", TrainsAs(quantizer=None, parameters={}), TrainsAs(quantizer="a/b", parameters=[])],
)
def test_what_it_trains_as_is_checked(returned):
    with pytest.raises(PluginError, match="quantizer 'mine/thing': trains_as returned something else"):
        training_of(quantizer(trains_as=lambda p: returned), {})
    assert training_of(quantizer(), {}) is training_of(quantizer(trains_as=lambda p: None), {}) is None


@pytest.mark.parametrize("returned", [None, 7, ""])
def test_a_revision_is_a_text(returned):
    assert revision_of(dataset(), {}) == "1"
    with pytest.raises(PluginError, match="dataset 'mine/set': revision returned something else"):
        revision_of(dataset(revision=lambda p: returned), {})


def test_a_check_that_fails_names_the_backbone():
    spec = BackboneSpec(name="net", target="a.b:C", summary="s", check=raising(TypeError("what?")))
    with pytest.raises(PluginError, match=r"backbone 'mine/net' failed in check: TypeError: what\?"):
        check_levels(Entry(spec=spec, plugin="mine"), {}, 32, [])


@pytest.mark.parametrize(("function", "message"), [("dict", "dict"), ("list", "a list that holds str")])
def test_assets_are_a_list_of_them(function, message):
    with pytest.raises(PluginError, match=f"dataset 'mine/set': assets returned something else: got {message}"):
        assets_of(dataset(assets=f"builtins:{function}"), {"a": 1} if function == "list" else {})
    assert assets_of(dataset(), {}) == ()
