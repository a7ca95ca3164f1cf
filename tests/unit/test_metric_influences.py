"""What each image contributes to a distance between distributions: exactly, and by how often the intervals are right."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from toy_features import DIMENSION, measure, pair, toy_metrics, toy_weights

from vqbench.intervals import JACKKNIFE, student_half_width
from vqbench_plugins.metrics import frechet, kernel, neighbours
from vqbench_plugins.metrics.features import FeatureMetric
from vqbench_plugins.metrics.frechet import RFID, frechet_influences
from vqbench_plugins.metrics.kernel import KID, kernel_influences
from vqbench_plugins.metrics.manifold import Precision, Recall

TRIALS = 150


def draw(count: int, dimension: int, draws: np.random.Generator, *, kind: str = "shrunk") -> tuple[Tensor, Tensor]:
    """Originals and reconstructions that depend on them, ``(N, D)`` float64, of falling variance."""
    scale = np.sqrt(np.linspace(1, 0.05, dimension))
    x, noise = (draws.standard_normal((count, dimension)) * scale for _ in range(2))
    y = {"shrunk": 0.7 * x + 0.2 * noise, "far": 0.5 * x**2 + 0.5 * noise + 0.3}[kind]
    return torch.from_numpy(x), torch.from_numpy(y)


def features(originals: Tensor, reconstructions: Tensor) -> SimpleNamespace:
    return SimpleNamespace(
        originals=originals,
        reconstructions=reconstructions,
        count=len(originals),
        extractor=SimpleNamespace(dimension=originals.shape[1]),
        context=SimpleNamespace(device=torch.device("cpu"), once=lambda key, compute: compute()),
    )


def value(metric: FeatureMetric, *sides: Tensor) -> float:
    found = metric.measure(features(*sides)).value
    assert found is not None
    return found


def without_each(metric: FeatureMetric, *sides: Tensor) -> Tensor:
    """(N - 1) · (the number - the number without image i), centred."""
    images = torch.arange(len(sides[0]))
    left = torch.tensor([value(metric, *(side[images != i] for side in sides)) for i in images], dtype=torch.float64)
    return (left.mean() - left) * (len(images) - 1)


def weighted_frechet(weights: Tensor, x: Tensor, y: Tensor) -> float:
    """The Fréchet distance of two sides whose image i counts ``weights[i]`` times."""
    n, share = len(x), weights / weights.sum()
    means = [share @ side for side in (x, y)]
    a, b = ((side - m).mT * share @ (side - m) * n / (n - 1) for side, m in zip((x, y), means, strict=True))
    root = torch.linalg.eigvals(a @ b).sqrt().real.sum()
    return float((means[0] - means[1]).square().sum() + a.trace() + b.trace() - 2 * root)


def test_influences_on_the_frechet_distance_are_its_derivatives() -> None:
    x, y = draw(60, 5, np.random.default_rng(0), kind="far")
    found, step = frechet_influences(y, x), 1e-5
    for i in range(0, 60, 7):
        nudge = step * torch.eye(60, dtype=torch.float64)[i]
        ones = torch.ones(60, dtype=torch.float64)
        slope = (weighted_frechet(ones + nudge, y, x) - weighted_frechet(ones - nudge, y, x)) / (2 * step)
        assert found[i].item() / 60 == pytest.approx(slope, rel=1 / 59, abs=1e-3)  # it has N / (N - 1)


def test_influences_on_the_kernel_distance_are_those_of_leaving_images_out() -> None:
    x, y = draw(25, 4, np.random.default_rng(1))
    expected = without_each(KID(), x, y) * (25 - 2) / (25 - 1)  # less what the jackknife has too much
    # the cross term is over all pairs, so that an image's own is not quite a U-statistic
    assert kernel_influences(y, x).numpy() == pytest.approx(expected.numpy(), abs=0.05 * float(expected.std()))


def test_subsets_of_the_kernel_distance_are_those_that_torch_fidelity_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 20)
    x, y = draw(50, 4, np.random.default_rng(2))
    found = []
    for ours, theirs in kernel._draws(50, 20, kernel.SUBSETS):
        a, b = y[ours], x[theirs]
        aa, bb, ab = (((p @ q.mT) / 4 + 1) ** 3 for p, q in ((a, a), (b, b), (a, b)))
        found.append((aa.sum() - aa.trace() + bb.sum() - bb.trace()) / (20 * 19) - 2 * ab.mean())
    assert value(KID(), x, y) == pytest.approx(float(torch.stack(found).mean()), rel=1e-9)


@pytest.mark.parametrize("rows", [2000, 7])
@pytest.mark.parametrize("metric", [Precision(), Recall()], ids=["precision", "recall"])
def test_influences_on_precision_and_recall_are_those_of_leaving_images_out(
    metric: FeatureMetric, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "ROWS", rows)
    sides = draw(60, 6, np.random.default_rng(3), kind="far")
    found = metric.influences(features(*sides))
    assert found is not None
    assert found.numpy() == pytest.approx(without_each(metric, *sides).numpy(), abs=1e-4)  # its means are in float32


def test_how_features_are_cut_does_not_matter_to_the_frechet_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = draw(60, 5, np.random.default_rng(4))
    whole = frechet_influences(y, x)
    monkeypatch.setattr(frechet, "ROWS", 7)
    assert torch.allclose(frechet_influences(y, x), whole, rtol=1e-9, atol=1e-12)


def test_features_that_never_vary_say_nothing() -> None:
    x, y = draw(60, 5, np.random.default_rng(5))
    constant = torch.full((60, 1), 3.0, dtype=torch.float64)
    found = frechet_influences(torch.cat([y, constant], 1), torch.cat([x, constant], 1))
    assert torch.allclose(found, frechet_influences(y, x), atol=1e-9)
    half = torch.cat([y, x[:, :1]], 1), torch.cat([x, constant], 1)  # and where one side alone does not
    assert frechet_influences(*half).isfinite().all()


def simulate(metric: FeatureMetric, count: int, dimension: int, kind: str) -> tuple[float, float]:
    """Of ``TRIALS`` test sets: how often the interval holds the mean number, and its half width over what 95 % would need."""
    draws = np.random.default_rng(6)
    values, lows, highs = [], [], []
    for _ in range(TRIALS):
        sides = draw(count, dimension, draws, kind=kind)
        values.append(value(metric, *sides))
        influences = metric.influences(features(*sides))
        assert influences is not None
        low, high = metric.interval(values[-1], influences)
        lows.append(low)
        highs.append(high)
    mean = np.mean(values)
    half = float(np.mean(np.subtract(highs, lows))) / 2
    needed = student_half_width(float(np.std(values, ddof=1)), count) * math.sqrt(count)
    return float(np.mean((np.array(lows) <= mean) & (mean <= np.array(highs)))), half / needed


@pytest.mark.parametrize("kind", ["shrunk", "far"])
@pytest.mark.parametrize("metric", [RFID(), KID()], ids=["rfid", "kid"])
def test_the_interval_of_a_distance_covers_its_mean_and_is_no_wider_than_that_takes(
    metric: FeatureMetric, kind: str
) -> None:
    """No more than one side's influences do, or both sides' taken for those of different images."""
    covered, width = simulate(metric, 150, 8, kind)
    assert covered > 0.95 - 0.05
    assert 0.85 < width < 1.2


def test_the_interval_of_a_distance_over_subsets_covers_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SUBSET_SIZE", 60)
    monkeypatch.setattr(kernel, "SUBSETS", 10)
    covered, width = simulate(KID(), 240, 8, "far")
    assert covered > 0.95 - 0.05
    assert 0.85 < width < 1.2


@pytest.mark.parametrize("metric", [Precision(), Recall()], ids=["precision", "recall"])
def test_the_interval_of_a_fraction_covers_its_mean(metric: FeatureMetric) -> None:
    """Wilson's interval of independent images would cover 73 % (precision) and 81 % (recall)."""
    covered, width = simulate(metric, 150, 8, "far")
    assert covered > 0.95
    assert 1 < width < 2  # the jackknife is too cautious where the number is not smooth


def test_numbers_have_the_interval_and_values_of_the_jackknife(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_weights(tmp_path, monkeypatch)
    metrics = toy_metrics()
    found = measure(metrics, *pair(60), tmp_path / "cache")
    for name, metric in metrics.items():
        number, values = found[name], metric.values()
        assert number.interval == JACKKNIFE
        assert None not in (number.value, number.low, number.high)
        assert number.low <= number.value <= number.high
        assert number.high - number.low > 0
        assert values is not None
        assert values.shape == (60,)
        assert values.mean().item() == pytest.approx(number.value, abs=1e-9)


def test_fewer_images_than_features_leave_the_frechet_distance_without_an_interval(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_weights(tmp_path, monkeypatch)
    metrics = toy_metrics()
    found = measure(metrics, *pair(DIMENSION - 1), tmp_path / "cache")
    assert (found["fd"].low, found["fd"].high, found["fd"].interval) == (None, None, None)
    assert metrics["fd"].values() is None
    assert found["kid"].interval == JACKKNIFE


def test_four_images_leave_precision_without_an_interval(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_weights(tmp_path, monkeypatch)
    found = measure(toy_metrics(), *pair(4), tmp_path / "cache")
    assert found["precision"].value is not None
    assert found["precision"].interval is None


def test_all_images_inside_leave_room_for_one_that_is_not(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_weights(tmp_path, monkeypatch)
    originals, _ = pair(40)
    found = measure(toy_metrics(), originals, originals, tmp_path / "cache")["precision"]
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(40 / (40 + 1.96**2), abs=1e-3)
