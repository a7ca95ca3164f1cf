"""What to load is plain data that another process can repeat."""

import json
import os
import pickle
from dataclasses import asdict

import pytest

from vqbench.catalog import CatalogOptions


def test_options_survive_json_and_pickle():
    options = CatalogOptions(plugins=("mine", "/a/b.py"), disabled=("x",), autoload=False, strict=True)
    assert CatalogOptions(**json.loads(json.dumps(asdict(options)))) == options
    assert pickle.loads(pickle.dumps(options)) == options


def test_a_relative_file_is_made_absolute_and_a_module_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = CatalogOptions(plugins=("mine.py", "package.module"))
    assert options.plugins == (os.path.join(os.getcwd(), "mine.py"), "package.module")


@pytest.mark.parametrize(("value", "on"), [("1", True), ("yes", True), ("0", False), ("", False), ("False", False)])
def test_the_environment_switches_autoload_off_and_strictness_on(value, on):
    environ = {"VQBENCH_DISABLE_PLUGIN_AUTOLOAD": value, "VQBENCH_STRICT_PLUGINS": value}
    options = CatalogOptions.from_environment(plugins=["p"], disabled=["d"], environ=environ)
    assert options == CatalogOptions(plugins=("p",), disabled=("d",), autoload=not on, strict=on)


def test_an_empty_environment_is_the_defaults():
    assert CatalogOptions.from_environment(environ={}) == CatalogOptions()
