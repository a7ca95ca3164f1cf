"""Weights out of files of others: restricted unpickling, and state dicts known by their tensors."""

import io
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from real_assets import real_asset

from vqbench.assets import WEIGHTS, find
from vqbench.errors import DataError
from vqbench.worker.lpips import NETS
from vqbench.worker.weights import lpips
from vqbench.worker.weights.inception import _names, inception_state
from vqbench.worker.weights.state_file import load_state, save_state, tensor_digest, tensor_digest_of
from vqbench.worker.weights.unpickling import read_arrays, read_torchscript

STATE = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(7)}


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


class TestUnpickling:
    def test_arrays(self):
        given = {"a": {"kernel": np.arange(6.0).reshape(2, 3)}, "b": [np.zeros(2, np.float32)]}
        read = read_arrays(io.BytesIO(pickle.dumps(given)))
        assert np.array_equal(read["a"]["kernel"], given["a"]["kernel"])
        assert read["b"][0].dtype == np.float32

    def test_nothing_but_arrays(self, capsys):
        with pytest.raises(pickle.UnpicklingError, match=r"asks for builtins\.print"):
            read_arrays(io.BytesIO(pickle.dumps({"a": Evil()})))
        assert not capsys.readouterr().out

    def test_torchscript_as_torch_writes_it(self):
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.Sequential(torch.nn.Linear(2, 5)))
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.jit.save(torch.jit.script(module), buffer)
        read = read_torchscript(buffer.getvalue())
        expected = module.state_dict()
        assert read.keys() == expected.keys()
        assert all(np.array_equal(read[name], expected[name].numpy()) for name in read)

    @pytest.mark.parametrize("name", ["model/data.pkl", "model/other.pkl"])
    def test_torchscript_runs_nothing(self, name, capsys):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, pickle.dumps(Evil()))
        with pytest.raises(pickle.UnpicklingError):
            read_torchscript(buffer.getvalue())
        assert not capsys.readouterr().out


class TestStateFile:
    def test_round_trip(self, tmp_path):
        save_state(STATE, tmp_path / "x.pth")
        read = load_state(tmp_path / "x.pth")
        assert all(torch.equal(read[name], STATE[name]) for name in STATE)

    def test_the_bytes_do_not_depend_on_the_name(self, tmp_path):
        for name in ("x.pth", "y.pth"):
            save_state(STATE, tmp_path / name)
        assert (tmp_path / "x.pth").read_bytes() == (tmp_path / "y.pth").read_bytes()

    def test_digest_is_of_names_shapes_types_and_values(self, tmp_path):
        digest = tensor_digest(STATE)
        assert digest == tensor_digest(dict(reversed(STATE.items())))
        others = [
            {**STATE, "a": torch.tensor(8)},
            {**STATE, "a": torch.tensor(7.0)},
            {**STATE, "b": STATE["b"].view(3, 2)},
            {"c": STATE["b"], "a": STATE["a"]},
        ]
        assert len({digest, *map(tensor_digest, others)}) == 5

    def test_another_container_of_the_same_tensors(self, tmp_path):
        torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
        assert tensor_digest_of(tmp_path / "old.pth") == tensor_digest(STATE)

    def test_no_state(self, tmp_path):
        torch.save([1, 2], tmp_path / "list.pth")
        (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
        for name in ("list", "torn", "evil"):
            assert tensor_digest_of(tmp_path / f"{name}.pth") is None
            with pytest.raises(DataError, match=name):
                load_state(tmp_path / f"{name}.pth")


class TestInception:
    def test_layers_are_renamed_and_none_is_left(self):
        wanted = {name for _, name in _names()}
        assert len(wanted) == 94
        arrays = {
            f"net.layers.{scope}.{what}": np.full(2, i, np.float32)
            for i, (scope, _) in enumerate(_names())
            for what in ("weight", "beta", "mean", "var")
        }
        state = inception_state(arrays)
        assert state["Mixed_7c.branch_pool.bn.bias"].tolist() == [93, 93]
        assert state["Mixed_5b.branch1x1.bn.weight"].tolist() == [1, 1]
        assert not state["fc.weight"].any()
        with pytest.raises(KeyError, match="not known"):
            inception_state(arrays | {"net.layers.one_more.weight": np.zeros(1, np.float32)})
        del arrays["net.layers.conv.beta"]
        with pytest.raises(KeyError):
            inception_state(arrays)

    def test_the_real_file_is_torch_fidelitys_state(self, tmp_path):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = real_asset("inception-2015-12-05-pool3.pth")
        network = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(path))
        assert network.state_dict().keys() == load_state(path).keys()


@pytest.mark.parametrize("net", NETS)
class TestLpips:
    def test_of_parts(self, net, tmp_path):
        trunk = {f"features.{i}.weight": torch.randn(2) for i in NETS[net].convolutions} | {
            "classifier.1.weight": torch.ones(1)
        }
        heads = {f"lin{i}.model.1.weight": torch.rand(1, 3, 1, 1) for i in range(5)}
        torch.save(trunk, tmp_path / "trunk.pth", _use_new_zipfile_serialization=False)
        torch.save(heads, tmp_path / "heads.pth")
        getattr(lpips, f"{net}_of_parts")([tmp_path / "heads.pth", tmp_path / "trunk.pth"], tmp_path)
        state = load_state(tmp_path / f"lpips_{net}.pth")
        assert set(state) == {f"features.{i}.weight" for i in NETS[net].convolutions} | {f"lin{i}" for i in range(5)}
        assert torch.equal(state["lin3"], heads["lin3.model.1.weight"])

    def test_real_parts_make_the_pinned_file(self, net, tmp_path, monkeypatch):
        """The trunk out of the real file, as torchvision would have it, and the heads that the lpips package ships."""
        from importlib import util
        from pathlib import Path

        whole = load_state(real_asset(f"lpips_{net}.pth"))
        torch.save({name: t for name, t in whole.items() if name.startswith("features")}, tmp_path / "trunk.pth")
        heads = Path(util.find_spec("lpips").origin).parent / "weights" / "v0.1" / f"{net}.pth"
        getattr(lpips, f"{net}_of_parts")([heads, tmp_path / "trunk.pth"], tmp_path)
        monkeypatch.setenv("VQBENCH_ASSETS", str(tmp_path))
        assert find(WEIGHTS[f"lpips_{net}"]).path == tmp_path / f"lpips_{net}.pth"
