"""``vqbench weights``, and what the other commands say of weights."""

import hashlib
import json
import os

import pytest
from click.testing import CliRunner
from file_server import serving
from toy_assets import toy_asset, toy_download, toy_file, toy_package, toy_provider

from vqbench.assets import Form, cache_folder, weights
from vqbench.cli import assets as cli_assets
from vqbench.cli import main
from vqbench.cli import weights as cli_weights

DATA = {name: name.encode() * 5000 for name in ("alpha", "beta")}


@pytest.fixture
def toys(monkeypatch, tmp_path):
    """Weights of this test's own, on a server of its own."""
    monkeypatch.setenv("VQBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("VQBENCH_ASSETS", "")  # so that what --assets sets is undone
    with serving({f"/{name}.bin": data for name, data in DATA.items()}) as server:
        made = {
            name: toy_asset(
                Form(
                    files=(toy_file(f"{name}.bin", data),),
                    providers=(toy_provider(toy_download(f"{server.url}/{name}.bin", data), name="the authors"),),
                ),
                name=name,
            )
            for name, data in DATA.items()
        }
        for module in (weights, cli_weights):
            monkeypatch.setattr(module, "WEIGHTS", made)
        yield server


def call(*arguments):
    return CliRunner().invoke(main, arguments)


def test_fetch_all_then_status(toys, tmp_path):
    before = call("weights", "status", "--json")
    assert [(s["name"], s["path"]) for s in json.loads(before.stdout)] == [("alpha", None), ("beta", None)]
    done = call("weights", "fetch")
    assert done.exit_code == 0, done.output
    assert f"alpha: {cache_folder()}/assets/alpha.bin, from the authors" in done.stdout
    assert "beta: downloading http://127.0.0.1" in done.stderr
    assert not list((tmp_path / "cache" / "downloads").iterdir())
    states = {state["name"]: state for state in json.loads(call("weights", "status", "--json").stdout)}
    assert states["beta"]["sha256"] == hashlib.sha256(DATA["beta"]).hexdigest()
    assert (states["beta"]["provider"], states["beta"]["verified"]) == ("cache", True)
    assert "was in the cache" in call("weights", "fetch", "beta").stdout
    assert len(toys.asked) == 2


def test_one_failure_does_not_stop_the_others(toys):
    del toys.files["/alpha.bin"]
    done = call("weights", "fetch")
    assert done.exit_code == 2
    assert "beta.bin, from the authors" in done.stdout
    assert "No provider has alpha" in done.stderr
    assert "Traceback" not in done.output


def test_offline_says_what_to_run(toys):
    done = call("weights", "fetch", "alpha", "--offline")
    assert (done.exit_code, toys.asked) == (2, [])
    assert "Run `vqbench weights fetch alpha` with a network" in done.stderr


def test_an_interrupted_download_goes_on(toys):
    toys.cut_after = [1000, 0, 0]
    done = call("weights", "fetch", "alpha")
    assert done.exit_code == 2
    assert "stopped early (got 1000 of 25000 bytes)" in done.stderr
    assert "it goes on where it stopped" in done.stderr
    toys.asked.clear()
    assert call("weights", "fetch", "alpha").exit_code == 0
    assert toys.asked == ["bytes=1000-"]


def test_into_a_folder_of_the_users(toys, tmp_path):
    assert call("weights", "fetch", "alpha", "--assets", str(tmp_path / "mine")).exit_code == 0
    assert (tmp_path / "mine" / "alpha.bin").read_bytes() == DATA["alpha"]
    assert os.environ["VQBENCH_ASSETS"] == str(tmp_path / "mine")  # workers inherit it


def test_damage_is_shown_and_mended(toys, tmp_path):
    call("weights", "fetch")
    path = tmp_path / "cache" / "assets" / "alpha.bin"
    path.write_bytes(b"A" + path.read_bytes()[1:])
    table = call("weights", "status").stdout
    assert "damaged" in next(line for line in table.splitlines() if line.startswith("alpha"))
    assert "verified" in next(line for line in table.splitlines() if line.startswith("beta"))
    assert "it is fetched again" in call("weights", "fetch").stderr
    assert path.read_bytes() == DATA["alpha"]


def test_unknown_name(toys):
    done = call("weights", "fetch", "alpa")
    assert done.exit_code == 2
    assert "Did you mean 'alpha'?" in done.stderr


def test_what_several_are_made_of_is_got_once(toys, monkeypatch, tmp_path):
    """And is not left behind."""
    data, asked = b"both", []

    def get(package, folder):
        asked.append(package.name)
        (folder / package.filename).write_bytes(data)
        return folder / package.filename

    monkeypatch.setattr("vqbench.assets.packages.download_package", get)
    form = Form(
        files=(toy_file("toy.bin", data[::-1]),),
        providers=(toy_provider(toy_package(data), convert="toy_assets:reverse"),),
    )
    one = toy_asset(form, name="one")
    other = toy_asset(Form(files=(toy_file("toy.bin", data[::-1]),), providers=form.providers), name="other")
    monkeypatch.setattr(cli_assets, "fetch", _forgetful(cli_assets.fetch))
    monkeypatch.setattr(cli_weights, "WEIGHTS", {"one": one, "other": other})
    monkeypatch.setattr(weights, "WEIGHTS", {"one": one, "other": other})
    assert call("weights", "fetch").exit_code == 0
    assert asked == ["toy"]
    assert not list((tmp_path / "cache" / "downloads").iterdir())


def _forgetful(fetch):
    """Fetches, and removes what it made, so that the next has to make it too."""

    def call(asset, **options):
        located = fetch(asset, **options)
        located.path.unlink()
        return located

    return call


def test_plan_and_show_say_what_is_missing():
    arguments = ["quickstart", "-q", "fsq", "-b", "unet", "--set", 'evaluation.metrics=["psnr","lpips_alex"]']
    planned = call("plan", *arguments)
    assert (
        "lpips_alex will be null for want of weights: `vqbench weights fetch lpips_alex` gets them." in planned.stdout
    )
    assert "lpips_alex" in json.loads(call("plan", *arguments, "--json").stdout)["lacking"]
    assert "MISSING: vqbench weights fetch lpips_vgg" in call("show", "lpips_vgg").stdout
