"""Checkpoints: what is in them, and what becomes of damaged, foreign and hostile ones."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from toy_unit import toy_catalog, toy_unit

import vqbench
from vqbench.catalog import Catalog, Entry
from vqbench.errors import CheckpointError, UnknownComponentError
from vqbench.worker.build import build_tokenizer
from vqbench.worker.checkpoint import load_tokenizer, load_trained, newest_checkpoint, read_checkpoint
from vqbench.worker.tensor_file import MAX_HEADER_BYTES, read_tensor_file, write_tensor_file
from vqbench.worker.trainer import train_unit

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
DAMAGED = r"damaged or belongs to something else.*Delete it to train again, or run with --force\."


@pytest.fixture(scope="module")
def catalog():
    return toy_catalog()


@pytest.fixture(scope="module")
def unit(catalog):
    return toy_unit(catalog, steps=3)


def run(unit, catalog, folder, report=lambda progress: None, **options):
    options = {"checkpoint_seconds": 1e9, "device": torch.device("cpu"), **options}
    return train_unit(unit, catalog=catalog, folder=folder, report=report, **options)


def interrupt_at_two(progress):
    if progress.done == 2:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def originals(catalog, unit, tmp_path_factory):
    """A finished and an unfinished checkpoint."""
    folder = tmp_path_factory.mktemp("originals")
    run(unit, catalog, folder / "finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vqbench.worker.trainer.REPORT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run(unit, catalog, folder / "unfinished", interrupt_at_two)
    return folder


@pytest.fixture
def finished(originals, tmp_path):
    return shutil.copytree(originals / "finished", tmp_path / "finished")


@pytest.fixture
def unfinished(originals, tmp_path):
    return shutil.copytree(originals / "unfinished", tmp_path / "unfinished")


def tokenizer_file(folder):
    [path] = folder.glob("step-*/tokenizer.safetensors")
    return path


def state_file(folder):
    [path] = folder.glob("step-*/state.safetensors")
    return path


def rewrite(path, change_header=lambda header: None, change_tensors=lambda tensors: None):
    """Change a file as someone would who knows the format, checksum and all."""
    header, tensors = read_tensor_file(path)
    change_header(header)
    change_tensors(tensors)
    write_tensor_file(path, tensors, header)


class TestLoading:
    def test_the_file_alone_is_enough(self, catalog, finished, unit, tmp_path):
        alone = tmp_path / "elsewhere.safetensors"
        shutil.move(tokenizer_file(finished), alone)
        tokenizer = vqbench.load_tokenizer(alone, catalog=catalog)
        assert not tokenizer.training
        assert torch.equal(tokenizer.decode(tokenizer.encode(IMAGES)), tokenizer(IMAGES).reconstructions)
        assert not torch.equal(tokenizer.backbone.head.weight, build_tokenizer(unit, catalog).backbone.head.weight)

    def test_a_folder_means_its_newest_step(self, catalog, finished, unfinished):
        shutil.copytree(newest_checkpoint(unfinished), finished / "step-00000002")
        reconstructions = [
            load_tokenizer(path, catalog=catalog)(IMAGES).reconstructions
            for path in (finished, finished / "step-00000003", tokenizer_file_of(finished, 3), str(finished))
        ]
        assert all(torch.equal(reconstructions[0], other) for other in reconstructions[1:])

    def test_safetensors_and_json_are_all_it_takes_to_read_it(self, finished, unit):
        path = tokenizer_file(finished)
        assert "backbone.head.weight" in load_file(path)
        with path.open("rb") as file:
            metadata = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]
        header = json.loads(metadata["vqbench"])
        assert header["unit"] == unit.identity
        assert header["trained"]["steps"] == 3
        assert header["vqbench_version"] == vqbench.__version__

    def test_nothing_there(self, catalog, unit, tmp_path):
        with pytest.raises(CheckpointError, match="no checkpoint"):
            load_tokenizer(tmp_path, catalog=catalog)
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_tokenizer(tmp_path / "missing.safetensors", catalog=catalog)
        with pytest.raises(CheckpointError, match="Train the unit first"):
            load_trained(tmp_path / "missing", unit, catalog)

    def test_an_unfinished_one_is_not_a_trained_unit(self, catalog, unit, unfinished):
        with pytest.raises(CheckpointError, match="got 2 steps, expected 3"):
            load_trained(unfinished, unit, catalog)


def tokenizer_file_of(folder, step):
    return folder / f"step-{step:08d}" / "tokenizer.safetensors"


class TestDamage:
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_any_truncated_or_flipped_file_is_refused(self, originals, tmp_path, data):
        content = bytearray(tokenizer_file(originals / "finished").read_bytes())
        if data.draw(st.booleans(), label="truncate"):
            del content[data.draw(st.integers(0, len(content) - 1)) :]
        else:
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(content)
        original = read_checkpoint(tokenizer_file(originals / "finished"))
        try:
            read = read_checkpoint(path)
        except CheckpointError:
            return
        # A flip in the header's text may spell another valid header, never other weights.
        assert read.tensors.keys() == original.tensors.keys()
        assert all(torch.equal(tensor, original.tensors[name]) for name, tensor in read.tensors.items())

    @pytest.mark.parametrize("what", ["tokenizer", "state"])
    def test_training_does_not_go_on_from_a_truncated_file(self, catalog, unit, unfinished, what):
        path = {"tokenizer": tokenizer_file, "state": state_file}[what](unfinished)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(CheckpointError, match=DAMAGED):
            run(unit, catalog, unfinished)

    def test_training_does_not_go_on_without_the_state(self, catalog, unit, unfinished):
        state_file(unfinished).unlink()
        with pytest.raises(CheckpointError, match=r"state\.safetensors cannot be read"):
            run(unit, catalog, unfinished)

    def test_a_pickle_is_not_opened(self, catalog, tmp_path):
        class Trap:
            def __reduce__(self):
                return (tmp_path.joinpath("sprung").touch, ())

        for write in (lambda f: pickle.dump(Trap(), f), lambda f: torch.save({"x": Trap()}, f)):
            path = tmp_path / "trap.safetensors"
            with path.open("wb") as file:
                write(file)
            with pytest.raises(CheckpointError, match=DAMAGED):
                load_tokenizer(path, catalog=catalog)
        assert not (tmp_path / "sprung").exists()

    def test_a_huge_header_is_not_read(self, catalog, tmp_path):
        path = tmp_path / "huge.safetensors"
        with path.open("wb") as file:
            file.write(struct.pack("<Q", MAX_HEADER_BYTES + 1))
            file.truncate(2 * MAX_HEADER_BYTES)  # sparse
        with pytest.raises(CheckpointError, match=f"a header of {MAX_HEADER_BYTES + 1} bytes"):
            load_tokenizer(path, catalog=catalog)

    def test_somebody_elses_safetensors(self, catalog, tmp_path):
        path = tmp_path / "other.safetensors"
        save_file({"x": torch.zeros(2)}, path)
        with pytest.raises(CheckpointError, match="no vqbench header"):
            load_tokenizer(path, catalog=catalog)

    def test_a_header_that_is_too_deep(self, catalog, tmp_path):
        path = tmp_path / "deep.safetensors"
        save_file(
            {},
            path,
            {
                "vqbench": "[" * 200_000,
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            },
        )
        with pytest.raises(CheckpointError, match="not JSON"):
            load_tokenizer(path, catalog=catalog)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda h: h.update(format=2), "another format"),
            (lambda h: h.pop("unit"), "malformed header.*unit"),
            (lambda h: h["unit"].update(seed="0"), "malformed header.*seed"),
            (lambda h: h["unit"].update(extra=1), "unknown entries"),
            (lambda h: h["unit"]["backbone"].pop("id"), "malformed header"),
            (lambda h: h["unit"]["recipe"].update(steps=-1), "malformed header"),
            (lambda h: h["unit"].update(image_size=10**9), "image size 1000000000"),
            (lambda h: h["unit"].update(stride=0), "stride 0"),
            (lambda h: h["trained"].update(steps=99), "99 steps"),
            (lambda h: h["trained"].update(seconds=-1.0), "malformed header"),
            (lambda h: h["unit"]["quantizer"].update(id="noisy_vq"), "full id"),
            (lambda h: h["unit"]["backbone"].update(id="os:system"), "full id"),
            (lambda h: h["unit"]["backbone"].update(version=2), "another version of backbone"),
            (lambda h: h["unit"]["backbone"]["parameters"].update(width=-1), "width"),
            (lambda h: h["unit"]["backbone"]["parameters"].clear(), "incomplete"),
            (lambda h: h["unit"]["backbone"]["parameters"].update(width=5), "expected torch.float32"),
        ],
    )
    def test_headers(self, catalog, finished, change, problem):
        rewrite(tokenizer_file(finished), change)
        with pytest.raises(CheckpointError, match=problem):
            load_tokenizer(finished, catalog=catalog)

    def test_unknown_components(self, catalog, finished):
        rewrite(tokenizer_file(finished), lambda h: h["unit"]["quantizer"].update(id="elsewhere/noisy_vq"))
        with pytest.raises(UnknownComponentError, match="elsewhere/noisy_vq"):
            load_tokenizer(finished, catalog=catalog)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (
                lambda t: t.pop("backbone.head.bias"),
                r"1 missing and 0 unknown tensors \(backbone\.head\.bias\)",
            ),
            (lambda t: t.update(extra=torch.zeros(1)), r"0 missing and 1 unknown tensors \(extra\)"),
            (lambda t: t.update({"backbone.head.bias": torch.zeros(3)}), "head.bias torch.float32 .3"),
            (lambda t: t.update({"backbone.head.bias": torch.zeros(12).double()}), "float64"),
        ],
    )
    def test_tensors(self, catalog, finished, change, problem):
        rewrite(tokenizer_file(finished), change_tensors=change)
        with pytest.raises(CheckpointError, match=problem):
            load_tokenizer(finished, catalog=catalog)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda t: t.pop("optimizer/0/exp_avg"), "1 missing"),
            (lambda t: t.update({"optimizer/0/exp_avg": torch.zeros(1)}), "0/exp_avg torch.float32 .1"),
            (lambda t: t.update({"optimizer/99/exp_avg": torch.zeros(1)}), "parameter '99'"),
            (lambda t: t.update({"optimizer/0/rng": torch.zeros(1)}), "1 unknown"),
            (lambda t: t.update({"average/x": torch.zeros(1)}), "the state of average"),
        ],
    )
    def test_state(self, catalog, unit, unfinished, change, problem):
        rewrite(state_file(unfinished), change_tensors=change)
        with pytest.raises(CheckpointError, match=problem):
            run(unit, catalog, unfinished)


class TestForeign:
    def test_checkpoint_of_another_unit(self, catalog, finished):
        other = toy_unit(catalog, steps=3, seed=1)
        with pytest.raises(CheckpointError, match=rf"{DAMAGED}"):
            run(other, catalog, finished)
        with pytest.raises(CheckpointError, match=other.id):
            load_trained(finished, other, catalog)

    def test_state_of_another_step(self, catalog, unit, unfinished):
        rewrite(state_file(unfinished), lambda header: header.update(steps=1))
        with pytest.raises(CheckpointError, match="another run or step"):
            run(unit, catalog, unfinished)

    def test_component_of_another_version(self, catalog, finished):
        """Its author bumped the version because the numbers changed."""
        entries = [
            dataclasses.replace(e, spec=dataclasses.replace(e.spec, version=2))
            if isinstance(e, Entry) and e.name == "noisy_vq"
            else e
            for e in catalog.entries()
        ]
        with pytest.raises(
            CheckpointError, match=r"another version of quantizer 'toy_plugin/noisy_vq'.*got 1.*expected 2"
        ):
            load_tokenizer(finished, catalog=Catalog(entries))


def test_tied_and_strided_tensors_can_be_written(tmp_path):
    table = torch.arange(6.0).view(2, 3)
    tensors = {"a": table, "b": table, "c": table.T, "empty": torch.empty(0, 3), "flag": torch.tensor(True)}
    tensors["half"] = table.to(torch.bfloat16)
    write_tensor_file(tmp_path / "x.safetensors", tensors, {"key": 1})
    header, read = read_tensor_file(tmp_path / "x.safetensors")
    assert header == {"key": 1}
    assert all(torch.equal(tensor, read[name]) and tensor.dtype == read[name].dtype for name, tensor in tensors.items())
