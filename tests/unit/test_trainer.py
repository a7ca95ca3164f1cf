"""Training: batches, stopping and going on, what a run leaves behind."""

from __future__ import annotations

import math

import pytest
import torch
from toy_unit import toy_catalog, toy_unit

from vqbench.errors import DataError, ParameterError, PluginError, ResultsError, UnavailableError, VQBenchError
from vqbench.worker.batches import TrainingBatches
from vqbench.worker.build import build_tokenizer
from vqbench.worker.checkpoint import load_trained, newest_checkpoint, read_checkpoint
from vqbench.worker.trainer import train_unit

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def catalog():
    return toy_catalog()


@pytest.fixture
def train(catalog, tmp_path):
    def run(unit, report=lambda progress: None, *, folder=tmp_path / "unit", checkpoint_seconds=1e9):
        return train_unit(
            unit,
            catalog=catalog,
            folder=folder,
            device=CPU,
            checkpoint_seconds=checkpoint_seconds,
            report=report,
        )

    run.folder = tmp_path / "unit"
    return run


class TestBatches:
    IMAGES = tuple(torch.full((3, 4, 4), i / 10) for i in range(10))

    def batches(self, batch_size, *, images=IMAGES, seed=0, name="plugin/set"):
        return TrainingBatches(images, name=name, image_size=4, batch_size=batch_size, seed=seed)

    @pytest.mark.parametrize("batch_size", [1, 4, 10, 25])
    def test_each_epoch_shows_each_image_once(self, batch_size):
        batches = self.batches(batch_size)
        sequence = [i for step in range(-(-50 // batch_size)) for i in batches.indices(step)]
        epochs = [sequence[start : start + 10] for start in range(0, 50, 10)]
        assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
        assert epochs[0] != epochs[1]

    def test_depends_on_seed_and_step_only(self):
        there = self.batches(4)
        forth = [there.indices(step) for step in range(9)]
        assert [self.batches(4).indices(step) for step in reversed(range(9))] == forth[::-1]
        assert self.batches(4, seed=1).indices(0) != forth[0]

    def test_prefetching_changes_nothing(self):
        plain = list(self.batches(4).from_step(2, 7))
        ahead = list(self.batches(4).from_step(2, 7, prefetch=True))
        assert len(plain) == 5
        assert all(torch.equal(a, b) for a, b in zip(plain, ahead, strict=True))
        assert list(self.batches(4).from_step(3, 3, prefetch=True)) == []

    @pytest.mark.parametrize(
        ("image", "problem"),
        [
            (torch.zeros(3, 4, 5), "malformed"),
            (torch.zeros(3, 4, 4, dtype=torch.uint8), "malformed"),
            (torch.full((3, 4, 4), 1.5), "outside"),
            (torch.full((3, 4, 4), math.nan), "outside"),
        ],
    )
    def test_malformed_images(self, image, problem):
        with pytest.raises(DataError, match=f"plugin/set.*{problem}"):
            self.batches(1, images=[image]).batch(0)

    def test_no_images(self):
        with pytest.raises(DataError, match="no images"):
            self.batches(1, images=[])


class TestTraining:
    def test_the_loss_falls(self, catalog, train):
        unit = toy_unit(catalog, steps=60, lr=2e-2, batch_size=8)
        details = []
        trained = train(unit, lambda progress: details.append(progress.detail))
        assert trained.losses["reconstruction"] < 0.6 * float(next(d for d in details if d).removeprefix("loss "))

    def test_what_it_returns_is_kept_in_the_checkpoint(self, catalog, train):
        unit = toy_unit(catalog)
        trained = train(unit)
        assert trained.steps == 6
        assert trained.seconds > 0
        assert list(trained.losses) == ["total", "reconstruction", "commit"]
        assert trained.losses["total"] == pytest.approx(trained.losses["reconstruction"] + trained.losses["commit"])
        tokenizer, loaded = load_trained(train.folder, unit, catalog)
        assert loaded == trained
        assert not tokenizer.training
        assert tokenizer.quantizers[0].seen == 6
        assert tokenizer.quantizers[0].noise.item() == pytest.approx(1 - 5 / 6)  # the clock of the last step

    def test_a_trained_unit_is_not_trained_again(self, catalog, train):
        unit = toy_unit(catalog)
        trained = train(unit)

        def never(progress):
            raise AssertionError

        assert train(unit, never) == trained

    def test_no_steps_leave_the_initial_weights(self, catalog, train):
        unit = toy_unit(catalog, steps=0)
        assert train(unit).losses == {}
        assert_same(load_trained(train.folder, unit, catalog)[0], build_tokenizer(unit, catalog))

    def test_progress_starts_and_ends_at_the_ends(self, catalog, train):
        seen = []
        train(toy_unit(catalog), seen.append)
        assert (seen[0].stage, seen[0].done, seen[0].total) == ("train", 0, 6)
        assert seen[-1].done == 6
        assert seen[-1].detail.startswith("loss ")

    def test_global_state_is_left_as_it_was(self, catalog, train):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        train(toy_unit(catalog))
        assert torch.equal(torch.rand(1), expected)
        assert not torch.are_deterministic_algorithms_enabled()

    def test_an_elbo_at_one_level_and_a_commitment_at_two(self, catalog, train):
        assert "kl" in train(toy_unit(catalog, "gauss")).losses
        two = train(toy_unit(catalog, "two_noisy"), folder=train.folder.parent / "two")
        assert {"level0/commit", "level1/commit"} < two.losses.keys()

    def test_averaged_weights_are_what_is_kept(self, catalog, train):
        plain = toy_unit(catalog)
        averaged = toy_unit(catalog, ema_decay=0.5)
        train(plain)
        train(averaged, folder=train.folder.parent / "averaged")
        of_plain = load_trained(train.folder, plain, catalog)[0]
        of_averaged = load_trained(train.folder.parent / "averaged", averaged, catalog)[0]
        assert not torch.equal(of_plain.backbone.head.weight, of_averaged.backbone.head.weight)
        assert torch.equal(of_plain.quantizers[0].codebook, of_averaged.quantizers[0].codebook)

    def test_bf16(self, catalog, train):
        full = train(toy_unit(catalog, "gauss", gan_weight=0.1))
        half = train(toy_unit(catalog, "gauss", gan_weight=0.1, precision="bf16"), folder=train.folder.parent / "half")
        assert half.losses != full.losses
        assert half.losses["reconstruction"] == pytest.approx(full.losses["reconstruction"], rel=0.1)


class TestAdversarial:
    def test_the_discriminator_joins_at_its_step(self, catalog, train):
        before = train(toy_unit(catalog, steps=3, gan_weight=0.1, gan_start=3))
        assert "discriminator" not in before.losses
        after = train(toy_unit(catalog, steps=4, gan_weight=0.1, gan_start=3), folder=train.folder.parent / "b")
        assert {"adversarial", "discriminator"} < after.losses.keys()

    def test_without_weight_in_the_first_steps_it_changes_nothing(self, catalog, train):
        """Up to ``gan_start`` a run with a discriminator is the run without."""
        plain, late = toy_unit(catalog), toy_unit(catalog, gan_weight=0.1, gan_start=6)
        train(plain)
        train(late, folder=train.folder.parent / "late")
        assert_same(
            load_trained(train.folder, plain, catalog)[0],
            load_trained(train.folder.parent / "late", late, catalog)[0],
        )


RECIPES = {
    "plain": {},
    "average": {"ema_decay": 0.9},
    "gan": {"gan_weight": 0.1, "gan_start": 1, "ema_decay": 0.9},
    "adam": {"optimizer": "adam", "gradient_clip": None, "warmup_steps": 3},
}


class TestGoingOn:
    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
    @pytest.mark.parametrize("quantizer", ["noisy_vq", "two_noisy", "gauss"])
    def test_an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one(self, catalog, train, quantizer, recipe):
        unit = toy_unit(catalog, quantizer, **recipe)
        whole = train(unit)
        pieces = train.folder.parent / "pieces"
        for stop in (1, 4):
            with pytest.raises(KeyboardInterrupt):
                train(unit, interrupting(stop), folder=pieces)
            assert read_checkpoint(newest_checkpoint(pieces)).trained.steps == stop
        resumed = train(unit, folder=pieces)
        assert resumed.losses == whole.losses
        assert_same(load_trained(train.folder, unit, catalog)[0], load_trained(pieces, unit, catalog)[0])

    def test_seconds_add_up(self, catalog, train):
        unit = toy_unit(catalog)
        with pytest.raises(KeyboardInterrupt):
            train(unit, interrupting(3))
        before = read_checkpoint(newest_checkpoint(train.folder)).trained.seconds
        assert train(unit).seconds > before > 0

    def test_other_errors_lose_the_steps_since_the_last_checkpoint(self, catalog, train):
        unit = toy_unit(catalog)

        def fail(progress):
            if progress.done == 4:
                raise RuntimeError("the pipe broke")

        with pytest.raises(RuntimeError, match="pipe"):
            train(unit, fail)
        assert newest_checkpoint(train.folder) is None
        with pytest.raises(RuntimeError, match="pipe"):
            train(unit, fail, checkpoint_seconds=0)
        assert newest_checkpoint(train.folder).name == "step-00000004"

    def test_only_the_last_checkpoint_stays_and_the_final_one_has_no_state(self, catalog, train):
        unit = toy_unit(catalog)
        (train.folder / ".incomplete-killed").mkdir(parents=True)
        with pytest.raises(KeyboardInterrupt):
            train(unit, interrupting(4), checkpoint_seconds=0)
        assert listing(train.folder) == [
            "step-00000004",
            "step-00000004/state.safetensors",
            "step-00000004/tokenizer.safetensors",
        ]
        train(unit, checkpoint_seconds=0)
        assert listing(train.folder) == ["step-00000006", "step-00000006/tokenizer.safetensors"]

    def test_an_interrupt_before_the_first_step_leaves_nothing(self, catalog, train):
        with pytest.raises(KeyboardInterrupt):
            train(toy_unit(catalog), interrupting(0))
        assert newest_checkpoint(train.folder) is None

    def test_an_interrupt_after_the_last_step_finds_it_trained(self, catalog, train):
        unit = toy_unit(catalog)
        with pytest.raises(KeyboardInterrupt):
            train(unit, interrupting(6))
        assert load_trained(train.folder, unit, catalog)[1].steps == 6


class TestFailing:
    def test_divergence_names_the_step_and_the_terms(self, catalog, train):
        unit = toy_unit(catalog, "faulty", parameters={"fault": "nan_at_third_step"})
        with pytest.raises(VQBenchError, match=r"step 3 of 6.*reconstruction 0\.\d+.*commit -?(inf|nan)"):
            train(unit)

    def test_a_backward_pass_that_fails_names_the_parts(self, catalog, train):
        parts = "quantizer 'toy_plugin/faulty' or backbone 'toy_plugin/convs'"
        with pytest.raises(PluginError, match=f"{parts} failed in backward: ZeroDivisionError"):
            train(toy_unit(catalog, "faulty", parameters={"fault": "backward"}))

    def test_divergence_names_a_quantizer_whose_value_is_not_finite(self, catalog, train):
        with pytest.raises(VQBenchError, match=r"\(the value of quantizer 'toy_plugin/faulty' is not finite either\)"):
            train(toy_unit(catalog, "faulty", parameters={"fault": "infinite_value"}))

    def test_unknown_loss_weight(self, catalog, train):
        with pytest.raises(ParameterError, match="'kl', expected one of commit"):
            train(toy_unit(catalog, loss_weights={"kl": 1.0}))

    def test_perceptual_term(self, catalog, train):
        with pytest.raises(UnavailableError, match=r"lpips_weight.*`vqbench weights fetch lpips_vgg`"):
            train(toy_unit(catalog, lpips_weight=1.0))

    def test_no_training_images(self, catalog, train):
        with pytest.raises(DataError, match="toy_plugin/squares"):
            train(toy_unit(catalog, count=0))

    def test_a_folder_that_cannot_be_written(self, catalog, train):
        train.folder.parent.joinpath("file").write_text("in the way")
        with pytest.raises(ResultsError, match="cannot be written"):
            train(toy_unit(catalog), folder=train.folder.parent / "file" / "unit")


def interrupting(step):
    def report(progress):
        if progress.done == step:
            raise KeyboardInterrupt

    return report


@pytest.fixture(autouse=True)
def report_every_step(monkeypatch):
    monkeypatch.setattr("vqbench.worker.trainer.REPORT_SECONDS", 0.0)


def assert_same(one, other):
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
