"""Plugins load one by one; one that fails costs only itself. The distributions are real metadata on the import path."""

import itertools
import sys

import pytest

from vqbench import plugin_code
from vqbench.catalog import Catalog, CatalogOptions
from vqbench.errors import PluginError, UnknownComponentError

_numbers = itertools.count()
GOOD = """
from vqbench import LevelPlan, Parameter, QuantizerSpec, hookimpl

def spec(name="thing", **changes):
    fields = dict(name=name, target="a.b:C", summary="a thing", levels=lambda p: [])
    return QuantizerSpec(**fields | changes)
"""
ONE = GOOD + "@hookimpl\ndef vqbench_quantizers():\n    return [spec({name!r})]\n"
HOOK = GOOD + "@hookimpl\ndef vqbench_quantizers():\n    {body}\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with one plugin on the import path; returns the name of its module."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(source, entry="mine", distribution=None, version="1.0", value=None):
        module = f"catalog_loading_plugin_{next(_numbers)}"
        distribution = distribution or f"dist-{entry}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        with (info / "entry_points.txt").open("a") as file:
            if not file.tell():
                file.write("[vqbench]\n")
            file.write(f"{entry} = {value or module}\n".replace("MODULE", module))
        return module

    return install


def load(**options):
    # without the built-in plugin: these tests are about others
    return Catalog.load(CatalogOptions(**{"disabled": ("vqbench",)} | options))


def only_failure(catalog):
    (failure,) = catalog.failures
    return failure


def third_party(catalog):
    return [e.id for e in catalog.entries()]


def test_a_plugin_announces_its_components_with_their_origin(install):
    install(ONE.format(name="thing"), entry="mine", distribution="My.Dist", version="2.5")
    catalog = load()
    entry = catalog.get("quantizer", "thing")
    assert (entry.id, entry.plugin) == ("mine/thing", "mine")
    assert (entry.distribution, entry.distribution_version) == ("My.Dist", "2.5")
    assert [(p.name, p.components, p.builtin) for p in catalog.plugins] == [("mine", 1, False)]
    assert catalog.failures == ()


@pytest.mark.parametrize(
    ("source", "stage", "message"),
    [
        ("raise RuntimeError('boom')", "import", "RuntimeError: boom"),
        ("raise SystemExit(3)", "import", "SystemExit: 3"),
        ("import sys; sys.exit()", "import", "SystemExit"),
        ("class Strange(BaseException): pass\nraise Strange('odd')", "import", "Strange: odd"),
        ("def broken(:", "import", "SyntaxError"),
        ("from vqbench import SomethingOfTheFuture", "import", "it may be written for another version of vqbench"),
        ("from vqbench.future import Thing", "import", "it may be written for another version of vqbench"),
        (GOOD + "VQBENCH_API = 2", "api", "written for a newer vqbench: got VQBENCH_API = 2, expected at most 1"),
        (GOOD + "VQBENCH_API = 'one'", "api", "malformed: got 'one'"),
        (GOOD + "VQBENCH_API = True", "api", "malformed: got True"),
        (GOOD, "register", "implements no hook"),
        (
            GOOD + "def vqbench_quantizers(): return []",
            "register",
            "not marked as a hook. Decorate it with @vqbench.hookimpl",
        ),
        (GOOD + "@hookimpl\ndef vqbench_quantisers(): return []", "register", "Did you mean 'vqbench_quantizers'"),
        (GOOD + "@hookimpl\ndef vqbench_quantizers(extra): return []", "register", "extra"),
        (HOOK.format(body="raise ValueError('no')"), "hook", "ValueError: no"),
        (HOOK.format(body="raise SystemExit"), "hook", "SystemExit"),
        (HOOK.format(body="yield spec(); raise ValueError('late')"), "hook", "ValueError: late"),
        (HOOK.format(body="pass"), "hook", "got NoneType, expected an iterable of QuantizerSpec"),
        (HOOK.format(body="return spec()"), "hook", "got QuantizerSpec, expected an iterable of QuantizerSpec"),
        (HOOK.format(body="return 'thing'"), "hook", "got str, expected an iterable"),
        (HOOK.format(body="return ['thing']"), "hook", "got str, expected QuantizerSpec"),
        (HOOK.format(body="while True: yield spec()"), "hook", "too many"),
        (HOOK.format(body="return [spec(), spec()]"), "component", "two quantizers called 'thing'"),
    ],
)
def test_a_broken_plugin_is_kept_with_its_stage_and_costs_nothing_else(install, source, stage, message):
    install(ONE.format(name="before"), entry="aaa")
    install(source, entry="bad", version="0.3")
    install(ONE.format(name="after"), entry="zzz")
    catalog = load()
    failure = only_failure(catalog)
    assert (failure.plugin, failure.distribution, failure.version) == ("bad", "dist-bad", "0.3")
    assert failure.stage == stage
    assert message in failure.message
    assert third_party(catalog) == ["zzz/after", "aaa/before"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("name='Upper'", "invalid name"),
        ("name='a/b'", "invalid name"),
        ("name=''", "invalid name"),
        ("name='-x'", "invalid name"),
        ("name='x\\n'", "invalid name"),
        ("name=7", "invalid name"),
        ("name='x' * 101", "invalid name"),
        ("target='package.module'", "target is malformed"),
        ("target='package:Class()'", "target is malformed"),
        ("version=0", "version is malformed"),
        ("version=True", "version is malformed"),
        ("version='1'", "version is malformed"),
        ("summary=None", "summary is malformed"),
        ("levels=None", "levels is malformed"),
        ("trains_as='gaussian_vae'", "trains_as is malformed"),
        ("objective='both'", "objective is malformed"),
        ("requires=('numpy',)", "requires is malformed"),
        ("capabilities='continuous'", "capabilities is malformed"),
        ("parameters=[Parameter(name='a', type='int', default=1, summary='s')]", "parameters is malformed"),
        ("parameters=(Parameter(name='a b', type='int', default=1, summary='s'),)", "identifiers"),
        ("parameters=(Parameter(name='a', type='number', default=1, summary='s'),)", "type of a is malformed"),
        ("parameters=(Parameter(name='a', type='int', default=1.5, summary='s'),)", "its defaults"),
        ("parameters=(Parameter(name='a', type='int', default=1, minimum=2, summary='s'),)", "its defaults"),
        ("parameters=(Parameter(name='a', type='int', default=1, summary='s'),) * 2", "two parameters called 'a'"),
        ("presets={'small': {'b': 1}}", "its preset 'small'"),
        ("presets={'small': 3}", "preset 'small' is malformed"),
    ],
)
def test_a_malformed_descriptor_fails_its_plugin_whole(install, changes, message):
    install(HOOK.format(body=f"return [spec('fine'), spec(**dict(name='other') | dict({changes}))]"), entry="bad")
    catalog = load()
    failure = only_failure(catalog)
    assert failure.stage == "component"
    assert message in failure.message
    assert third_party(catalog) == []


def test_a_hook_that_fails_takes_the_plugins_other_hooks_along(install):
    source = (
        HOOK.format(body="return [spec('fine')]") + "@hookimpl\ndef vqbench_metrics():\n    raise ValueError('no')\n"
    )
    install(source, entry="bad")
    catalog = load()
    assert only_failure(catalog).stage == "hook"
    assert third_party(catalog) == []


@pytest.mark.parametrize("weights", ["'inception'", "('inception', 'resnet')"])
def test_a_metric_names_weights_that_there_are(install, weights):
    arguments = f"name='m', target='a:B', summary='s', unit='1', better='lower', protocol='p', weights={weights}"
    source = "from vqbench import MetricSpec, hookimpl\n@hookimpl\ndef vqbench_metrics():\n"
    install(source + f"    return [MetricSpec({arguments})]\n")
    assert "weights is malformed" in only_failure(load()).message


def test_a_missing_suite_file_is_a_failure(install):
    source = "from pathlib import Path\nfrom vqbench import SuiteSpec, hookimpl\n@hookimpl\ndef vqbench_suites():\n"
    install(source + "    return [SuiteSpec(name='s', summary='s', path=Path('/no/such/file.toml'))]\n")
    assert "not an existing file" in only_failure(load()).message


def test_while_a_plugin_loads_its_name_and_stage_are_known(install):
    """So that the parent of a worker that dies there can tell."""
    module = install(
        "from vqbench import plugin_code\nseen = [plugin_code._trace.value]\n"
        + HOOK.format(body="seen.append(plugin_code._trace.value); return []")
    )
    load()
    assert sys.modules[module].seen == [b"plugin 'mine': import", b"plugin 'mine': hook"]
    assert plugin_code._trace.value == b""


def test_ten_thousand_components_of_a_plugin_load_and_more_are_refused(install):
    many = "return [spec(f'thing-{n}') for n in range(%d)]"
    install(HOOK.format(body=many % 10_000), entry="many")
    install(HOOK.format(body=many % 10_001), entry="too-many")
    catalog = load()
    assert len(catalog.entries()) == 10_000
    assert only_failure(catalog).message == "vqbench_quantizers returned too many descriptors: expected at most 10000"
    with pytest.raises(UnknownComponentError, match="Did you mean 'thing-123'"):
        catalog.get("quantizer", "thimg-123")


@pytest.mark.parametrize("changes", ["minimum='1'", "maximum=True", "choices=[1, 2]", "choices=5"])
def test_limits_of_a_parameter_have_the_right_types(install, changes):
    parameter = f"(Parameter(name='a', type='int', default=1, summary='s', {changes}),)"
    install(HOOK.format(body=f"return [spec(parameters={parameter})]"))
    field = changes.partition("=")[0]
    assert f"quantizer 'thing': {field} of a is malformed" in only_failure(load()).message


def test_the_traceback_is_the_plugins_own(install):
    module = install("def inner():\n    raise RuntimeError('boom')\ninner()\n")
    traceback = only_failure(load()).traceback
    assert f"{module}.py" in traceback
    assert "line 2, in inner" in traceback
    assert "RuntimeError: boom" in traceback
    assert "vqbench/catalog" not in traceback
    assert "importlib" not in traceback


def test_an_error_that_cannot_be_printed_is_still_a_failure(install):
    install("class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute\n")
    assert only_failure(load()).message == "Mute: (its message cannot be printed)"


def test_an_interrupt_is_not_swallowed(install):
    install("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load()


def test_what_a_plugin_prints_goes_to_standard_error(install, capsys):
    install("print('hello')\n" + ONE.format(name="thing"))
    load()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


def test_strict_raises_on_the_first_failure_with_its_traceback(install):
    module = install("raise RuntimeError('boom')\n")
    with pytest.raises(PluginError, match=rf"(?s)'mine' \(dist-mine 1\.0\) failed at stage import.*{module}\.py"):
        load(strict=True)


def test_two_distributions_with_one_plugin_name_keep_the_first(install):
    install(ONE.format(name="one"), entry="same", distribution="dist-a")
    install(ONE.format(name="two"), entry="same", distribution="dist-b")
    catalog = load()
    failure = only_failure(catalog)
    assert failure.stage == "name"
    assert "dist-a" in failure.message
    assert "dist-b" in failure.message
    assert third_party(catalog) == ["same/one"]
    # which frees the name
    assert third_party(load(disabled=("vqbench", "dist_A"))) == ["same/two"]


def test_a_third_party_cannot_be_called_vqbench(install):
    install(ONE.format(name="mine"), entry="vqbench", distribution="aaa")
    catalog = load(disabled=())
    assert "distribution vqbench" in only_failure(catalog).message
    with pytest.raises(UnknownComponentError):
        catalog.get("quantizer", "mine")


@pytest.mark.parametrize("entry", ["a/b", "a b", "é"])
def test_a_plugin_name_that_no_full_id_can_hold_is_a_failure(install, entry):
    install(ONE.format(name="thing"), entry=entry, distribution="dist")
    assert only_failure(load()).stage == "name"


def test_an_entry_point_may_name_an_object(install):
    source = (
        GOOD
        + "class Plugin:\n    @hookimpl\n    def vqbench_quantizers(self):\n        return [spec()]\nplugin = Plugin()\n"
    )
    install(source, value="MODULE:plugin")
    assert third_party(load()) == ["mine/thing"]


def test_the_api_version_of_an_objects_module_counts(install):
    install(GOOD + "VQBENCH_API = 7\nclass plugin: pass\n", value="MODULE:plugin")
    assert only_failure(load()).stage == "api"


@pytest.mark.parametrize("value", ["no such thing", "MODULE:missing", "absent_module_of_catalog_tests"])
def test_an_entry_point_that_leads_nowhere_is_a_failure(install, value):
    install(ONE.format(name="thing"), value=value)
    assert only_failure(load()).stage == "import"


def test_one_module_under_two_names_loads_once(install):
    module = install(ONE.format(name="thing"), entry="one", distribution="dist")
    install("", entry="two", distribution="dist", value=module)
    catalog = load()
    assert third_party(catalog) == ["one/thing"]
    assert "loaded already, as 'one'" in only_failure(catalog).message


def test_unreadable_metadata_costs_only_itself(install, tmp_path):
    install(ONE.format(name="thing"))
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_bytes(b"[vqbench]\n\xff\xfe = x\n")
    catalog = load()
    assert third_party(catalog) == ["mine/thing"]
    assert any("unreadable" in note and "broken" in note for note in catalog.notes)


def test_disabling_something_that_is_not_there_is_noted():
    assert "--no-plugin no-such matches no plugin" in load(disabled=("vqbench", "no-such")).notes


def test_nothing_depends_on_the_order_on_disk(install):
    for entry in ("b", "c", "a"):
        install(ONE.format(name=f"thing-{entry}"), entry=entry)
    assert [p.name for p in load().plugins] == ["a", "b", "c"]


def test_equal_options_give_an_equal_catalog(install):
    install(ONE.format(name="thing"))
    install("raise RuntimeError('boom')", entry="bad")
    one, two = load(), load()
    assert third_party(one) == third_party(two) == ["mine/thing"]
    assert [(f.plugin, f.stage, f.message) for f in one.failures] == [
        (f.plugin, f.stage, f.message) for f in two.failures
    ]
