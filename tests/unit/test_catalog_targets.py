"""Lazy targets and requirements."""

import sys

import pytest

from vqbench.catalog import Entry, load_target, missing_requirements
from vqbench.errors import PluginError, UnavailableError
from vqbench.specs import BackboneSpec, Requirement


def entry(target="collections:OrderedDict", *requirements):
    requires = tuple(Requirement(module=m, install=f"pip install {m}") for m in requirements)
    spec = BackboneSpec(name="thing", target=target, summary="a thing", requires=requires)
    return Entry(spec=spec, plugin="mine")


def test_a_target_is_imported():
    from collections import OrderedDict

    assert load_target("collections:OrderedDict") is OrderedDict
    assert load_target(entry()) is OrderedDict
    assert load_target("collections:OrderedDict.fromkeys") == OrderedDict.fromkeys


@pytest.mark.parametrize("target", ["collections", "collections:", ":x", "a b:c", "../x:y", "os:system('x')", "x;y:z"])
def test_a_malformed_target_is_refused(target):
    with pytest.raises(PluginError, match="malformed"):
        load_target(target)


def test_a_missing_module_and_a_missing_class_say_what_is_missing():
    with pytest.raises(PluginError, match=r"(?s)backbone 'mine/thing' cannot be imported.*no_such_module_at_all"):
        load_target(entry("no_such_module_at_all:C"))
    with pytest.raises(PluginError, match="has no attribute 'Missing'"):
        load_target(entry("collections:Missing"))


def test_a_target_that_exits_on_import_does_not_take_us_along(tmp_path, monkeypatch):
    (tmp_path / "fixture_target_exits.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match=r"(?s)SystemExit.*fixture_target_exits\.py"):
        load_target("fixture_target_exits:C")


def test_a_target_whose_requirement_is_missing_says_how_to_install_it():
    with pytest.raises(UnavailableError, match=r"needs nobody_has_this.*pip install nobody_has_this"):
        load_target(entry("collections:OrderedDict", "nobody_has_this"))


def test_requirements_are_found_without_importing_them(tmp_path, monkeypatch):
    package = tmp_path / "fixture_required"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    spec = entry(
        "a:b", "fixture_required", "fixture_required.inner", "fixture_required.absent", "json", "absent.x"
    ).spec
    assert [r.module for r in missing_requirements(spec)] == ["fixture_required.absent", "absent.x"]
    assert "fixture_required" not in sys.modules
