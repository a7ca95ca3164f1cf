"""The example plugins as users have them: built, installed into a fresh environment, run, ranked, switched off, removed."""

import json
from pathlib import Path

import pytest
from fresh_environment import fresh_environment

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROJECTS = ("simvq", "vector-quantize-pytorch")
SUITE = """
schema = 1
name = "examples"
data = { name = "photos", image_size = 32, params = { train_images = 8, test_images = 8 } }
recipe = { steps = 2, batch_size = 4 }
evaluation = { metrics = ["psnr"] }
timing = { seconds = 0.01 }
equal_bits = 96  # 16 positions of 6 bits
backbones = [{ name = "unet", preset = "tiny" }]
quantizers = [
  { name = "vqp/residual_vq", params = { codebook_size = 8, num_quantizers = 2, dim = 4 } },
  { name = "simvq", params = { codebook_size = 64, dim = 4 } },
  { name = "fsq", params = { levels = [4, 4, 4] } },
]
"""


class Desk:
    """A folder where commands are typed, in an environment of its own."""

    def __init__(self, folder):
        self.folder, self.environment = folder, fresh_environment(folder / "environment")
        (folder / "examples.toml").write_text(SUITE)

    def types(self, command):
        """What a command prints, which must succeed."""
        done = self.environment.shell(command, self.folder)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def fails(self, command):
        """What a command says that is of no use."""
        done = self.environment.shell(command, self.folder)
        assert done.returncode == 2, done.stdout
        return done.stdout

    def reads(self, command):
        """The JSON that a command prints to standard output."""
        return json.loads(self.types(f"{command} --json 2>errors.txt"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("build"))
    desk.types("pip wheel --no-deps --wheel-dir wheels " + " ".join(str(EXAMPLES / project) for project in PROJECTS))
    return desk.folder / "wheels"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, wheels):
    """Both plugins installed, with pip looking for what they depend on, and the suite run."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.types(f"pip install {wheels}/*.whl")
    desk.types("vqbench run examples.toml --results results")
    return desk


def test_installed_plugins_and_their_components_are_listed(desk):
    loaded = {plugin["name"]: plugin["distribution"] for plugin in desk.reads("vqbench plugins")["loaded"]}
    assert loaded == {"vqbench": "vqbench", "vqbench-simvq": "vqbench-simvq", "vqp": "vqbench-vqp"}
    names = {component["name"] for component in desk.reads("vqbench list quantizers")["components"]}
    assert {"simvq", "sim_vq", "vector_quantize", "residual_vq", "residual_fsq", "vqp/fsq", "fsq"} <= names


def test_a_plugins_namesake_of_a_built_in_method_is_noted_once_and_not_by_every_command(desk):
    note = "quantizer 'fsq' is the built-in one; that of another plugin is called vqp/fsq"
    assert note in desk.types("vqbench plugins")
    assert "note:" not in desk.types("vqbench plan examples.toml")


def test_a_suite_crosses_them_with_built_in_methods_and_ranks_them_together(desk):
    rows = desk.reads("vqbench leaderboard results --board quality")["rows"]
    assert {row["quantizer"] for row in rows} == {"simvq", "vqp/residual_vq", "fsq"}
    assert {row["bits_per_image"] for row in rows} == {96.0}
    assert len({row["group"] for row in rows}) == 1
    assert all(row["rank"] for row in rows)


def test_records_name_the_distribution_of_a_third_partys_component(desk):
    records = [json.loads(path.read_text()) for path in (desk.folder / "results" / "examples").glob("*.json")]
    assert {record["quantizer"]["id"]: record["quantizer"]["distribution"] for record in records} == {
        "vqbench-simvq/simvq": "vqbench-simvq 0.1.0",
        "vqp/residual_vq": "vqbench-vqp 0.1.0",
        "vqbench/fsq": None,
    }


def test_the_suite_that_a_plugin_brings_plans_with_changes(desk):
    plan = desk.types("vqbench plan vqp --set quantizers.vqp/vector_quantize.params.decay=0.99")
    assert "10 cells" in plan


def test_the_conformance_kit_takes_a_whole_installed_plugin(desk):
    checks = desk.reads("vqbench check vqp --check 'codes_are_*' --check parameters_are_documented")["checks"]
    names = {
        "vector_quantize",
        "residual_vq",
        "sim_vq",
        "fsq",
        "residual_fsq",
        "lfq",
        "vqp",
    }  # the last one is its suite
    assert {check["component"] for check in checks} == {f"vqp/{name}" for name in names}
    assert {check["status"] for check in checks} == {"passed"}


def test_the_adapters_own_tests_pass_where_it_is_installed(desk):
    tests = EXAMPLES / "vector-quantize-pytorch" / "tests"
    desk.types(f"pytest -q -p no:cacheprovider --rootdir {tests.parent} {tests}")


def test_a_plugin_that_is_switched_off_is_missed_by_the_suite_that_needs_it(desk):
    components = desk.reads("vqbench list quantizers --no-plugin vqbench-vqp")["components"]
    assert {component["plugin"] for component in components} == {"vqbench", "vqbench-simvq"}
    for command in ("plan", "run"):
        said = desk.fails(f"vqbench {command} examples.toml --results elsewhere --no-plugin vqp")
        assert "quantizer 'vqp/residual_vq' belongs to plugin 'vqp', which is switched off (--no-plugin vqp)" in said
    assert not (desk.folder / "elsewhere").exists()


def test_records_outlive_the_plugins_they_were_made_with(tmp_path, wheels, desk):
    results = desk.folder / "results"
    leaderboard = f"vqbench leaderboard {results} --board all --format markdown"
    before = desk.types(leaderboard)
    assert "vqp/residual_vq" in before
    later = Desk(tmp_path)
    later.types(f"pip install {wheels}/*.whl && vqbench show vqp/residual_vq")
    later.types("pip uninstall --yes vqbench-vqp vqbench-simvq")
    assert later.types(leaderboard) == before
    assert "no regression" in later.types(f"vqbench compare {results} {results}")
    for command in ("show vqp/residual_vq", "plan examples.toml", f"run examples.toml --results {results}"):
        assert "No plugin 'vqp' is installed: install its distribution" in later.fails(f"vqbench {command}")
