"""What components return in training and evaluation: one error that names who returned what."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from toy_components import Convs, NoisyVQ, Squares
from unruly_components import Unruly, UnrulyConvs, UnrulySquares

from vqbench.errors import DataError, PluginError, TensorError
from vqbench.interfaces import Loss, Measurement, Metric
from vqbench.specs import LevelShape
from vqbench.worker.evaluate import Batches, evaluate
from vqbench.worker.information import SoftInformation
from vqbench.worker.loading import load_batch, notes_of, split_of
from vqbench.worker.tokenizer import Tokenizer

CPU = torch.device("cpu")
SIZE = 8
LEVELS = [LevelShape(stride=2, latent_channels=2, code_channels=2)]
IMAGES = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def tokenizer(backbone: str = "", quantizer: str = "") -> Tokenizer:
    return Tokenizer(
        UnrulyConvs(SIZE, LEVELS, backbone),
        [Unruly(quantizer)],
        backbone_name="backbone 'my/net'",
        quantizer_name="quantizer 'my/vq'",
    )


@pytest.mark.parametrize(
    ("backbone", "quantizer", "error", "message"),
    [
        ("", "forward=nonsense", PluginError, "quantizer 'my/vq': forward returned something else: got str"),
        ("", "forward's codes=float", TensorError, r"quantizer 'my/vq' returns malformed codes: got torch\.float32"),
        (
            "",
            "forward's value=narrow",
            TensorError,
            r"quantizer 'my/vq': the value .* got torch\.float32 \(3, 1, 4, 4\)",
        ),
        (
            "",
            "forward's value=integers",
            TensorError,
            r"quantizer 'my/vq': the value .* got torch\.int64 \(3, 2, 4, 4\)",
        ),
        ("", "forward's losses=bare", PluginError, "quantizer 'my/vq': losses is malformed"),
        ("", "forward=fail", PluginError, "quantizer 'my/vq' failed in forward: ZeroDivisionError"),
        ("encode=bare", "", PluginError, "backbone 'my/net': encode returned something else: got torch.float32"),
        ("encode=nonsense", "", PluginError, "backbone 'my/net': encode returned something else: got str"),
        ("encode=fail", "", PluginError, "backbone 'my/net' failed in encode: ZeroDivisionError"),
        (
            "decode=narrow",
            "",
            TensorError,
            r"backbone 'my/net': what decode returned .* got torch\.float32 \(3, 3, 8, 4\)",
        ),
        ("decode=nonsense", "", TensorError, "backbone 'my/net': what decode returned is of a wrong form: got str"),
    ],
)
def test_a_forward_pass(backbone, quantizer, error, message):
    with pytest.raises(error, match=message):
        tokenizer(backbone, quantizer)(IMAGES)


@pytest.mark.parametrize(
    ("quantizer", "error", "message"),
    [
        ("decode=fail", PluginError, "quantizer 'my/vq' failed in decode: ZeroDivisionError"),
        ("decode=nonsense", TensorError, "quantizer 'my/vq': the value of level 0 is of a wrong form: got str"),
        ("decode=nan", TensorError, "quantizer 'my/vq' decodes codes to a value that holds NaN or infinity"),
    ],
)
def test_decoding(quantizer, error, message):
    codes = tokenizer().eval().encode(IMAGES)
    with pytest.raises(error, match=message):
        tokenizer(quantizer=quantizer).eval().decode(codes)


def test_codes_out_of_range_in_an_evaluation():
    unruly = tokenizer(quantizer="forward's codes=out of range")
    with pytest.raises(TensorError, match="out of range for quantizer 'my/vq': got"):
        evaluate(unruly, Batches(Squares(SIZE, 3).split("test"), 2, CPU), {})


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("parameter_groups=nonsense", "quantizer 'my/vq': parameter_groups returned something else: got str"),
        ("parameter_groups=exit", "quantizer 'my/vq' failed in parameter_groups: SystemExit: enough"),
    ],
)
def test_parameter_groups(order, message):
    with pytest.raises(PluginError, match=message):
        tokenizer(quantizer=order).parameter_groups()


def test_a_calibration_that_fails():
    with pytest.raises(PluginError, match="quantizer 'my/vq' failed in fit: ZeroDivisionError"):
        tokenizer(quantizer="fit=fail").fit([IMAGES])


def test_without_names_components_are_called_after_their_classes():
    class Bare(NoisyVQ):
        def forward(self, latents):
            return latents, latents

    with pytest.raises(PluginError, match="Bare: forward returned something else: got a tuple of Tensor, Tensor"):
        Tokenizer(Convs(SIZE, LEVELS, 4), [Bare(2, 8)])(IMAGES)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (Loss(value=torch.ones(2), unit="element_mean"), TensorError, r"got torch\.float32 \(2,\), expected a scalar"),
        (Loss(value=0.5, unit="element_mean"), TensorError, "got float, expected a scalar"),
        (Loss(value=torch.ones(()), unit="nats"), PluginError, "in an unknown unit: got 'nats', expected image_sum or"),
        (Loss(value=torch.ones(()), unit="image_sum", weight=math.nan), PluginError, "is malformed: got nan"),
        (Loss(value=torch.ones(()), unit="image_sum", weight="1"), PluginError, "is malformed: got '1'"),
    ],
)
def test_a_loss_of_a_wrong_form(loss, error, message):
    class Lossy(NoisyVQ):
        def forward(self, latents):
            return dataclasses.replace(super().forward(latents), losses={"commit": loss})

    with pytest.raises(error, match=f"^Lossy.*'commit'.*{message}"):
        Tokenizer(Convs(SIZE, LEVELS, 4), [Lossy(2, 8)])(IMAGES)


def test_posteriors_of_a_wrong_kind():
    class Wrong(NoisyVQ):
        def posterior_sums(self, latents, codes):
            return [latents]

    with pytest.raises(
        PluginError, match="quantizer 'my/vq': posterior_sums returned something else: got a list of Tensor"
    ):
        SoftInformation([Wrong(2, 8)], ["quantizer 'my/vq'"]).update(0, IMAGES, IMAGES)


def test_a_dataset_that_fails_or_returns_something_else():
    name = "dataset 'my/set'"
    with pytest.raises(PluginError, match=rf"{name} failed in split\('test'\): ZeroDivisionError"):
        split_of(UnrulySquares(SIZE, "split=fail"), "test", name=name)
    with pytest.raises(DataError, match=rf"{name} returned a malformed image at index 1: got ndarray, expected torch"):
        load_batch(split_of(UnrulySquares(SIZE, "image=numpy"), "test", name=name), [1], CPU, name=name)
    with pytest.raises(PluginError, match=f"{name} failed in image 2: Mute"):
        load_batch(split_of(UnrulySquares(SIZE, "image=mute"), "test", name=name), [2], CPU, name=name)

    class Odd(Squares):
        def split(self, name):
            return iter([IMAGES[0]])

        def notes(self):
            return "a note"

    with pytest.raises(PluginError, match=rf"{name}: split\('train'\) returned something else: got list_iterator"):
        split_of(Odd(SIZE, 3), "train", name=name)
    with pytest.raises(PluginError, match=f"{name}: notes returned something else: got str"):
        notes_of(Odd(SIZE, 3), name=name)


class Answering(Metric):
    """Returns what it is given, and counts its batches."""

    def __init__(self, measured, values=None, update=lambda: None):
        self.measured, self.of_images, self.on_update, self.batches = measured, values, update, 0

    def update(self, batch):
        self.batches += 1
        self.on_update()

    def compute(self):
        return self.measured

    def values(self):
        return self.of_images


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (Answering(3.0), "metric 'm': compute returned something else: got float, expected vqbench.Measurement"),
        (Answering(Measurement(value=math.nan)), "metric 'm': value of its Measurement is malformed: got nan"),
        (Answering(Measurement(value="3")), "metric 'm': value of its Measurement is malformed: got '3'"),
        (Answering(Measurement(value=1.0, n=-1)), "metric 'm': n of its Measurement is malformed: got -1"),
        (
            Answering(Measurement(value=None)),
            "metric 'm': its Measurement is malformed: expected Value error, a null value needs a reason",
        ),
        (
            Answering(Measurement(value=1.0), values=[1.0]),
            "metric 'm': values returned something else: got a list of float",
        ),
        (
            Answering(Measurement(value=1.0), values=torch.ones(2)),
            "metric 'm': values returned something else: got torch",
        ),
    ],
)
def test_a_measurement_that_no_record_can_hold_is_null_with_the_reason(metric, reason):
    good = Answering(Measurement(value=1.0), values=torch.ones(3, dtype=torch.float64))
    found = evaluate(tokenizer(), Batches(Squares(SIZE, 3).split("test"), 2, CPU), {"m": metric, "good": good})
    assert found.metrics["m"].value is None
    assert found.metrics["m"].reason.startswith(reason)
    assert found.metrics["good"].value == 1.0
    assert list(found.values) == ["good"]


def test_a_metric_that_failed_is_not_called_again_and_want_of_memory_is_not_its_own():
    def fail():
        raise RuntimeError("once is enough")

    def exhaust():
        raise MemoryError

    images = Batches(Squares(SIZE, 5).split("test"), 2, CPU)
    failing = Answering(Measurement(value=1.0), update=fail)
    found = evaluate(tokenizer(), images, {"m": failing}).metrics["m"]
    assert found.reason == "metric 'm' failed in update: RuntimeError: once is enough"
    assert failing.batches == 1
    with pytest.raises(PluginError, match="metric 'm' failed in update: MemoryError"):
        evaluate(tokenizer(), images, {"m": Answering(Measurement(value=1.0), update=exhaust)})
