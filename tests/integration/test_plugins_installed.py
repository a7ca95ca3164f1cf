"""Real plugin distributions, built and installed by pip, through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECTS = Path(__file__).parents[1] / "fixtures" / "plugins"
FOLDERS = ("good", "import-error", "wrong-hook", "newer-api", "claims-builtin-name")
AMBIGUOUS = "quantizer 'fixture-shared' is ambiguous"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with all fixture plugins installed; nothing is downloaded."""
    target = tmp_path_factory.mktemp("site")
    offline = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    projects = [str(PROJECTS / folder) for folder in FOLDERS]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), *projects]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def vqbench(site):
    """Run the command line in a process of its own; ``code`` runs Python instead."""

    def run(*arguments, code=None, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VQBENCH_")}
        python = ["-c", code] if code else ["-c", "from vqbench.cli import main; main()"]
        return subprocess.run(
            [sys.executable, *python, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env=clean | {"PYTHONPATH": str(site), "PYTHONIOENCODING": "utf-8"} | environment,
        )

    return run


def listed(done):
    assert done.returncode == 0, done.stderr
    return {c["id"]: c for c in json.loads(done.stdout)["components"]}


def test_list_survives_all_of_them_and_says_that_some_failed(vqbench):
    done = vqbench("list", "quantizers")
    assert done.returncode == 0
    assert "fixture-sign" in done.stdout
    assert "note: 3 plugins failed: see `vqbench plugins`" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_names_every_component_by_the_shortest_name_that_means_it(vqbench):
    components = listed(vqbench("list", "quantizers", "--json"))
    names = {id: c["name"] for id, c in components.items() if c["name"].startswith("f")}
    assert names == {
        "fixture-claims/fixture-shared": "fixture-claims/fixture-shared",
        "fixture-good/fixture-shared": "fixture-good/fixture-shared",
        "fixture-good/fixture-sign": "fixture-sign",
        "vqbench/fsq": "fsq",
        "fixture-claims/fsq": "fixture-claims/fsq",
    }
    sign = components["fixture-good/fixture-sign"]
    assert (sign["distribution"], sign["distribution_version"]) == ("vqbench-fixture-good", "1.2.3")


def test_plugins_shows_stage_message_and_traceback_of_each_failure(vqbench):
    done = vqbench("plugins")
    assert done.returncode == 0
    for text in (
        "plugin 'fixture-import-error' (vqbench-fixture-import-error 0.1) failed at stage import: "
        "ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
        "import a_package_that_nobody_has",
        "Traceback (most recent call last)",
        "plugin 'fixture-newer-api' (vqbench-fixture-newer-api 9.0) failed at stage api: "
        "it is written for a newer vqbench: got VQBENCH_API = 999, expected at most 1",
        "plugin 'fixture-wrong-hook' (vqbench-fixture-wrong-hook 0.1) failed at stage register",
        "got vqbench_quantisers",
        "Did you mean 'vqbench_quantizers'",
        AMBIGUOUS,
        "quantizer 'fsq' is the built-in one; that of another plugin is called fixture-claims/fsq",
    ):
        assert text in done.stdout
    assert "Traceback" not in vqbench("plugins", "--no-traceback").stdout


def test_plugins_as_json(vqbench):
    done = json.loads(vqbench("plugins", "--json").stdout)
    loaded = {p["name"]: p["components"] for p in done["loaded"]}
    assert loaded.keys() == {"vqbench", "fixture-good", "fixture-claims"}
    assert loaded["fixture-good"] == 2
    assert next(iter(loaded)) == "vqbench"
    stages = {f["plugin"]: f["stage"] for f in done["failed"]}
    assert stages == {"fixture-import-error": "import", "fixture-newer-api": "api", "fixture-wrong-hook": "register"}


def test_a_short_name_of_two_plugins_is_an_error_naming_both(vqbench):
    done = vqbench("show", "fixture-shared")
    assert done.returncode == 2
    assert "'fixture-claims/fixture-shared', 'fixture-good/fixture-shared'" in done.stderr
    assert vqbench("show", "fixture-good/fixture-shared").returncode == 0


def test_a_builtin_short_name_stays_the_builtin_component(vqbench):
    assert json.loads(vqbench("show", "fsq", "--json").stdout)["id"] == "vqbench/fsq"
    theirs = json.loads(vqbench("show", "fixture-claims/fsq", "--json").stdout)
    assert theirs["target"] == "vqbench_fixture_claims.ternary:Ternary"


def test_a_component_of_a_failed_plugin_is_an_error_with_its_traceback(vqbench):
    done = vqbench("show", "fixture-import-error/anything")
    assert done.returncode == 2
    assert "failed at stage import" in done.stderr
    assert "import a_package_that_nobody_has" in done.stderr


def test_show_tells_everything_about_a_component(vqbench):
    done = vqbench("show", "fixture-sign")
    assert done.returncode == 0
    for text in (
        "quantizer fixture-sign: one bit per channel, its sign",
        "fixture-good (distribution vqbench-fixture-good 1.2.3)",
        "vqbench_fixture_good.sign:Sign",
        "CC0-1.0",
        "1 to 64",
        "wide: channels=16",
        "2 x 4",
        "Trains as itself",
    ):
        assert text in done.stdout
    assert json.loads(vqbench("show", "fixture-sign", "--json").stdout)["levels"] == [
        {
            "relative_stride": 1,
            "latent_channels": 4,
            "code_channels": 4,
            "codebook_sizes": [2, 2, 2, 2],
            "bits_per_position": 4.0,
        }
    ]


def test_a_third_partys_quantizer_quantizes(vqbench):
    code = """
import torch
from vqbench.catalog import Catalog, resolve_parameters
catalog = Catalog.load()
entry = catalog.get("quantizer", "fixture-sign")
quantizer = catalog.load_target(entry)(**resolve_parameters(entry.spec, {"channels": 2})).eval()
out = quantizer(torch.tensor([[[[0.5]], [[-3.0]]]]))
print(out.codes.flatten().tolist(), out.value.flatten().tolist())
"""
    assert vqbench(code=code, OMP_NUM_THREADS="1").stdout == "[1, 0] [1.0, -1.0]\n"


def test_strict_mode_stops_at_the_first_failure(vqbench):
    done = vqbench("list", VQBENCH_STRICT_PLUGINS="1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "plugin 'fixture-import-error' (vqbench-fixture-import-error 0.1) failed at stage import" in done.stderr
    broken = ("fixture-import-error", "vqbench_fixture.wrong-hook", "fixture-newer-api")
    off = [argument for name in broken for argument in ("--no-plugin", name)]
    assert vqbench("list", *off, VQBENCH_STRICT_PLUGINS="1").returncode == 0


@pytest.mark.parametrize(
    "name", ["fixture-claims", "vqbench-fixture-claims-builtin-name", "VQBench_fixture.claims_builtin-name"]
)
def test_a_plugin_is_switched_off_by_entry_point_or_distribution(vqbench, name):
    components = listed(vqbench("list", "quantizers", "--json", "--no-plugin", name))
    assert "fixture-claims/fsq" not in components
    assert components["fixture-good/fixture-shared"]["name"] == "fixture-shared"
    assert f"off: --no-plugin {name}" in vqbench("plugins", "--no-plugin", name).stdout
    done = vqbench("show", "fixture-claims/fsq", "--no-plugin", name)
    assert done.returncode == 2
    assert f"switched off (--no-plugin {name})" in done.stderr


def test_without_autoload_only_the_builtin_components_and_the_named_plugins_are_there(vqbench):
    off = {"VQBENCH_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugins = {c["plugin"] for c in listed(vqbench("list", "--json", **off)).values()}
    assert plugins == {"vqbench"}
    components = listed(vqbench("list", "--json", "--plugin", "vqbench_fixture_good", **off))
    assert "vqbench_fixture_good/fixture-sign" in components
    assert components["vqbench_fixture_good/fixture-sign"]["distribution"] is None


def test_a_worker_rebuilds_the_same_catalog_from_the_options(vqbench):
    code = """
import json, pickle, sys
from vqbench.catalog import Catalog, CatalogOptions
catalog = Catalog.load(CatalogOptions(disabled=("fixture-claims",)))
again = Catalog.load(pickle.loads(pickle.dumps(catalog.options)))
print([e.id for e in catalog.entries()] == [e.id for e in again.entries()], len(catalog.entries()) > 2)
"""
    assert vqbench(code=code).stdout == "True True\n"


SUITE = """
schema = 1
name = "third-party"
data = { name = "photos", image_size = 32, params = { train_images = 8, test_images = 8 } }
recipe = { steps = 2, batch_size = 4 }
backbones = [{ name = "unet", preset = "tiny" }]
quantizers = [{ name = "vqbench-fixture-good/fixture-sign" }, { name = "fsq" }]
"""


def test_a_run_survives_all_of_them_and_crosses_the_good_one(vqbench, tmp_path):
    suite, results = tmp_path / "suite.toml", tmp_path / "results"
    good = next(id for id in listed(vqbench("list", "quantizers", "--json")) if id.endswith("/fixture-sign"))
    suite.write_text(SUITE.replace("vqbench-fixture-good/fixture-sign", good))
    done = vqbench("run", str(suite), "--results", str(results))
    assert done.returncode == 0, done.stderr
    assert "note: 3 plugins failed: see `vqbench plugins`" in done.stderr
    records = [json.loads(path.read_text()) for path in (results / "third-party").glob("*.json")]
    assert {(r["quantizer"]["id"], r["status"], round(r["bits_per_image"], 2)) for r in records} == {
        (good, "ok", 4 * 4 * 4.0),
        ("vqbench/fsq", "ok", 159.45),  # 16 log2(1000)
    }


def test_a_suite_that_names_a_failed_plugins_method_stops_at_plan_time_with_its_traceback(vqbench, tmp_path):
    failed = json.loads(vqbench("plugins", "--json").stdout)["failed"]
    broken = next(f["plugin"] for f in failed if f["stage"] == "import")
    (tmp_path / "suite.toml").write_text(SUITE.replace("vqbench-fixture-good/fixture-sign", f"{broken}/anything"))
    for command in ("plan", "run"):
        done = vqbench(command, str(tmp_path / "suite.toml"), "--results", str(tmp_path / "results"))
        assert done.returncode == 2
        assert f"plugin {broken!r}" in done.stderr
        assert "Traceback (most recent call last)" in done.stderr
        assert not (tmp_path / "results").exists()
