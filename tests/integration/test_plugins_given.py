"""``--plugin``: plugins that are not installed, as files and modules."""

import json
import os
import subprocess
import sys

import pytest

PLUGIN = """
from vqbench import LevelPlan, QuantizerSpec, hookimpl

@hookimpl
def vqbench_quantizers():
    print("a plugin that talks")
    yield QuantizerSpec(
        name="given", target="{module}:Given", summary={summary!r},
        levels=lambda p: [LevelPlan(latent_channels=1, code_channels=1, codebook_sizes=(2,), arguments=p)])

class Given:
    pass
"""


@pytest.fixture
def vqbench(tmp_path):
    """Run the command line in a process and folder of its own."""

    def run(*arguments, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VQBENCH_")}
        return subprocess.run(
            [sys.executable, "-c", "from vqbench.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=clean | {"PYTHONIOENCODING": "utf-8"} | environment,
        )

    return run


@pytest.fixture
def write(tmp_path):
    def write(name="given_plugin.py", summary="a quantizer", source=PLUGIN):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source.format(module=path.stem, summary=summary) if source is PLUGIN else source)
        return path

    return write


def test_a_file_is_a_plugin_of_its_name(vqbench, write):
    write()
    done = vqbench("list", "quantizers", "--json", "--plugin", "given_plugin.py")
    assert done.returncode == 0, done.stderr
    # and what it printed is not in the JSON
    components = {c["id"]: c for c in json.loads(done.stdout)["components"]}
    assert components["given_plugin/given"]["name"] == "given"
    assert "a plugin that talks" in done.stderr


def test_a_module_is_a_plugin_of_its_name(vqbench, write, tmp_path):
    write("package/inner.py")
    write("package/__init__.py", source="")
    done = vqbench("show", "package.inner/given", "--plugin", "package.inner", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_a_files_target_and_its_neighbours_can_be_imported(vqbench, write, tmp_path):
    write("folder/given_plugin.py", source=PLUGIN.format(module="given_neighbour", summary="s"))
    write("folder/given_neighbour.py", source="class Given: pass\n")
    code = (
        "from vqbench.catalog import Catalog, CatalogOptions\n"
        "catalog = Catalog.load(CatalogOptions(plugins=('folder/given_plugin.py',)))\n"
        "print(catalog.load_target(catalog.get('quantizer', 'given')).__module__)\n"
        "print(Catalog.load(catalog.options).get('quantizer', 'given').id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stdout == "given_neighbour\ngiven_plugin/given\n", done.stderr


def test_a_file_is_switched_off_by_its_name(vqbench, write):
    write()
    done = vqbench("plugins", "--plugin", "given_plugin.py", "--no-plugin", "given_plugin")
    assert "off: --no-plugin given_plugin" in done.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no_such_file.py", "there is no plugin file"),
        ("no_such_module_at_all", "there is no module 'no_such_module_at_all' on the import path"),
        ("folder/json.py", "would hide another module of that name"),
        ("not-a-name.py", "must be named like a module"),
        ("given_plugin.py", "a_package_that_nobody_has"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_a_failure(vqbench, write, given, message):
    if given.endswith(".py") and not given.startswith("no_such"):
        write(given, source="import a_package_that_nobody_has\n")
    done = vqbench("plugins", "--plugin", given)
    assert done.returncode == 0
    assert "failed: " in done.stdout
    assert message in done.stdout
    assert vqbench("plugins", "--plugin", given, VQBENCH_STRICT_PLUGINS="1").returncode == 2


def test_control_characters_of_a_plugin_do_not_reach_the_terminal(vqbench, write):
    write(summary="red \x1b[31m\x07 bell \x9b2J right \u202e to left\nand a line")
    for arguments in (("list",), ("show", "given"), ("list", "--json"), ("show", "given", "--json")):
        done = vqbench(*arguments, "--plugin", "given_plugin.py")
        assert done.returncode == 0, done.stderr
        assert "bell" in done.stdout
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.stdout + done.stderr)
    write("raising_plugin.py", source="raise RuntimeError('\\x1b]0;title\\x07')\n")
    done = vqbench("plugins", "--plugin", "raising_plugin.py")
    assert "\\x1b]0;title\\x07" in done.stdout
    assert "\x1b" not in done.stdout


def test_an_interrupt_while_loading_exits_with_130(vqbench, write):
    write(source="raise KeyboardInterrupt\n")
    done = vqbench("list", "--plugin", "given_plugin.py")
    assert done.returncode == 130
    assert done.stderr == "vqbench: interrupted\n"


def test_a_function_of_a_component_that_raises_does_not_break_show(vqbench, write):
    source = PLUGIN.format(module="given_plugin", summary="s").replace("lambda p: [", "lambda p: [1 / 0, ")
    write(source=source)
    done = vqbench("show", "given", "--plugin", "given_plugin.py")
    assert done.returncode == 0
    told = "quantizer 'given_plugin/given' failed in levels: ZeroDivisionError: division by zero"
    assert f"Levels with default parameters: {told}" in done.stdout
