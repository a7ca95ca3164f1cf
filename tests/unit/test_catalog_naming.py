"""Which name means which component."""

import pytest

from vqbench.catalog import Catalog, DisabledPlugin, Entry, LoadedPlugin, PluginFailure, SuiteEntry
from vqbench.errors import PluginError, UnknownComponentError, UsageError
from vqbench.specs import BackboneSpec, QuantizerSpec, SuiteSpec


def quantizer(plugin, name, *, builtin=False):
    spec = QuantizerSpec(name=name, target="a.b:C", summary="a quantizer", levels=lambda p: [])
    return Entry(spec=spec, plugin=plugin, distribution=f"{plugin}-dist", distribution_version="1", builtin=builtin)


def backbone(plugin, name, *, builtin=False):
    spec = BackboneSpec(name=name, target="a.b:C", summary="a backbone")
    return Entry(spec=spec, plugin=plugin, builtin=builtin)


def failure(plugin, **changes):
    return PluginFailure(
        plugin=plugin,
        distribution="dist",
        version="2",
        stage="import",
        message="ImportError: no luck",
        traceback="Traceback …\n  line 7\n",
        **changes,
    )


def test_a_full_id_and_an_unshared_short_name_mean_the_component():
    entry = quantizer("mine", "rounding")
    catalog = Catalog([entry])
    assert catalog.get("quantizer", "rounding") is entry
    assert catalog.get("quantizer", "mine/rounding") is entry
    assert catalog.short_name(entry) == "rounding"
    assert entry.id == "mine/rounding"
    assert catalog.name_notes == ()


@pytest.mark.parametrize("builtin_last", [False, True])
def test_a_builtin_component_keeps_its_short_name_in_any_order(builtin_last):
    ours, theirs = quantizer("vqbench", "fsq", builtin=True), quantizer("aaa", "fsq")
    catalog = Catalog([theirs, ours] if builtin_last else [ours, theirs])
    assert catalog.get("quantizer", "fsq") is ours
    assert catalog.get("quantizer", "aaa/fsq") is theirs
    assert (catalog.short_name(ours), catalog.short_name(theirs)) == ("fsq", "aaa/fsq")
    assert catalog.name_notes == ("quantizer 'fsq' is the built-in one; that of another plugin is called aaa/fsq",)


def test_a_short_name_of_two_third_parties_means_neither():
    one, two = quantizer("one", "x"), quantizer("two", "x")
    catalog = Catalog([one, two])
    with pytest.raises(UnknownComponentError, match=r"'x' is ambiguous.*'one/x', 'two/x'"):
        catalog.get("quantizer", "x")
    with pytest.raises(UnknownComponentError, match="ambiguous"):
        catalog.find("x")
    assert catalog.get("quantizer", "two/x") is two
    assert catalog.short_name(one) == "one/x"


def test_kinds_do_not_share_names():
    catalog = Catalog([quantizer("one", "x"), backbone("two", "x")])
    assert catalog.get("quantizer", "x").plugin == "one"
    assert catalog.get("backbone", "x").plugin == "two"
    with pytest.raises(
        UnknownComponentError, match=r"'x' is a quantizer and a backbone: expected quantizer:x or backbone:x"
    ):
        catalog.find("x")
    assert catalog.find("backbone:x").plugin == "two"
    assert catalog.find("one/x").plugin == "one"


def test_entries_are_sorted_by_kind_and_name_whatever_the_order_of_loading():
    entries = [backbone("p", "b"), quantizer("q", "z"), quantizer("p", "z"), quantizer("q", "a")]
    expected = ["q/a", "p/z", "q/z", "p/b"]
    assert [e.id for e in Catalog(entries).entries()] == expected
    assert [e.id for e in Catalog(reversed(entries)).entries()] == expected
    assert [e.id for e in Catalog(entries).entries("backbone")] == ["p/b"]


def test_an_unknown_name_gets_the_closest_and_a_question():
    catalog = Catalog([quantizer("vqbench", "fsq", builtin=True)])
    with pytest.raises(
        UnknownComponentError, match=r"no quantizer 'fsx'\. Did you mean 'fsq'\? Is the plugin installed\?"
    ):
        catalog.get("quantizer", "fsx")
    with pytest.raises(UnknownComponentError, match="Did you mean 'fsq'"):
        catalog.get("quantizer", "FSQ")


def test_a_component_of_a_plugin_that_is_not_installed_says_so_before_it_guesses():
    catalog = Catalog([quantizer("vqbench", "fsq", builtin=True)])
    with pytest.raises(
        UnknownComponentError, match=r"no quantizer 'vqbnch/fsq'\. No plugin 'vqbnch' is installed: .*Did you mean"
    ):
        catalog.get("quantizer", "vqbnch/fsq")


def test_an_unknown_name_that_is_another_kinds_says_so():
    with pytest.raises(UnknownComponentError, match="There is a backbone of that name"):
        Catalog([backbone("p", "unet")]).get("quantizer", "unet")


def test_a_plugin_without_that_component_says_so():
    catalog = Catalog(
        [quantizer("mine", "x")],
        plugins=[LoadedPlugin(name="mine", distribution=None, version=None, origin="m", components=1)],
    )
    with pytest.raises(UnknownComponentError, match="Plugin 'mine' is installed and has no such quantizer"):
        catalog.get("quantizer", "mine/other")


def test_a_component_of_a_failed_plugin_raises_its_failure_with_the_traceback():
    catalog = Catalog(failures=[failure("broken")])
    with pytest.raises(PluginError) as caught:
        catalog.get("quantizer", "broken/x")
    for part in ("broken/x", "dist 2", "stage import", "ImportError: no luck", "line 7"):
        assert part in str(caught.value)
    with pytest.raises(UnknownComponentError, match="failed to load: broken"):
        catalog.get("quantizer", "x")


def test_a_component_of_a_disabled_plugin_says_that_it_is_switched_off():
    off = DisabledPlugin(name="off", distribution="d", version="1", origin="m", reason="--no-plugin d")
    with pytest.raises(UnknownComponentError, match=r"switched off \(--no-plugin d\)"):
        Catalog(disabled=[off]).get("quantizer", "off/x")


def test_no_third_party_steps_in_for_a_builtin_component_when_the_builtin_plugin_failed():
    catalog = Catalog([quantizer("aaa", "fsq")], failures=[failure("vqbench", builtin=True)])
    with pytest.raises(PluginError, match="ImportError: no luck"):
        catalog.get("quantizer", "fsq")
    assert catalog.get("quantizer", "aaa/fsq").plugin == "aaa"


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match=r"got 'quantiser'.*Did you mean 'quantizer'"):
        Catalog().get("quantiser", "x")
    with pytest.raises(UsageError, match="no such kind"):
        Catalog().entries("things")


def test_a_suite_is_looked_up_apart(tmp_path):
    entry = SuiteEntry(spec=SuiteSpec(name="quick", summary="a suite", path=tmp_path / "s.toml"), plugin="p")
    catalog = Catalog([entry])
    assert catalog.suite("quick") is catalog.suite("p/quick") is catalog.find("suite:quick") is entry
    with pytest.raises(UsageError, match="is a suite"):
        catalog.get("suite", "quick")
    with pytest.raises(UnknownComponentError, match="Did you mean 'quick'"):
        catalog.suite("quik")
