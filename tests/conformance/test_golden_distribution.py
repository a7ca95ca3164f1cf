"""Distances between sets of features: ours, numbers recorded from torch-fidelity and pytorch-fid, and torch-fidelity of today."""

from __future__ import annotations

from types import SimpleNamespace

import golden
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from vqbench_plugins.metrics.frechet import RFID
from vqbench_plugins.metrics.kernel import KID
from vqbench_plugins.metrics.manifold import Precision, Recall


def recorded(variant: str) -> tuple[golden.Case, SimpleNamespace]:
    """A case, and its features as a metric gets them."""
    (name,) = golden.names(variant)
    case = golden.case(name)
    return case, SimpleNamespace(
        reconstructions=case.tensor("features_1"),
        originals=case.tensor("features_2"),
        count=400,
        extractor=SimpleNamespace(dimension=16),
        context=SimpleNamespace(device=torch.device("cpu"), once=lambda key, compute: compute()),
    )


def test_the_frechet_distance() -> None:
    case, features = recorded("fid.features")
    value = RFID().measure(features).value
    case.assert_close("fid", torch.tensor(value, dtype=torch.float64))
    sides = [fid_features_to_statistics(part) for part in (features.reconstructions, features.originals)]
    library = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    assert value == pytest.approx(library, rel=1e-12)
    a, b = features.reconstructions.double(), features.originals.double()  # and the formula, written out
    root = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).sqrt().real.sum()
    formula = (a.mean(0) - b.mean(0)).square().sum() + torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * root
    assert value == pytest.approx(formula.item(), rel=1e-6)  # its means are in float32


def test_the_kernel_distance_of_all_images_at_once() -> None:
    case, features = recorded("kid.full")
    measured = KID().measure(features)
    assert measured.details["subset_size"] == "400"
    case.assert_close("kid", torch.tensor(measured.value, dtype=torch.float64))


@pytest.mark.parametrize(("metric", "field"), [(Precision, "precision"), (Recall, "recall")])
def test_precision_and_recall(metric: type[Precision], field: str) -> None:
    case, features = recorded("prc")
    case.assert_close(field, torch.tensor(metric().measure(features).value, dtype=torch.float64))
