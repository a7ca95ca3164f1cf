"""Descriptors of the metrics that compare distributions of features; importing them imports no torch."""

from __future__ import annotations

from vqbench.specs import MetricSpec

__all__ = ["DISTRIBUTION_METRICS", "FD_ALEX256", "KID", "KID_ALEX256", "PRECISION", "RECALL", "RFID"]

_UINT8 = "reference: the same preprocessed originals; uint8 RGB, rounded to nearest"
_INCEPTION = f"torch-fidelity, Inception v3 of 2015-12-05, features 2048 (pool 3), TF1 bilinear resize to 299; {_UINT8}"
_ALEXNET = (
    f"torch-fidelity's formula on AlexNet's last ReLU (LPIPS), mean over positions, 256 features, no resize; {_UINT8}"
)
_FRECHET = "squared Frechet distance of means and sample covariances"
_KERNEL = (
    "unbiased MMD^2, kernel (x.y/D + 1)^3, mean of 100 subsets of 1000 images, or all images where there are no more"
)
_MANIFOLD = "3 nearest neighbours"

RFID = MetricSpec(
    name="rfid",
    target="vqbench_plugins.metrics.frechet:RFID",
    summary="reconstruction FID",
    unit="1",
    better="lower",
    protocol=f"{_FRECHET}; {_INCEPTION}",
    weights=("inception",),
    paper="Heusel et al., arXiv 1706.08500",
)

KID = MetricSpec(
    name="kid",
    target="vqbench_plugins.metrics.kernel:KID",
    summary="kernel Inception distance, for few images too",
    unit="1",
    better="lower",
    protocol=f"{_KERNEL}; {_INCEPTION}",
    weights=("inception",),
    paper="Binkowski et al., arXiv 1801.01401",
)

PRECISION = MetricSpec(
    name="precision",
    target="vqbench_plugins.metrics.manifold:Precision",
    summary="fraction of reconstructions among the originals' nearest neighbours",
    unit="fraction",
    better="higher",
    protocol=f"reconstructions within the manifold of originals, {_MANIFOLD}; {_INCEPTION}",
    weights=("inception",),
    paper="Kynkaanniemi et al., arXiv 1904.06991",
)

RECALL = MetricSpec(
    name="recall",
    target="vqbench_plugins.metrics.manifold:Recall",
    summary="fraction of originals among the reconstructions' nearest neighbours",
    unit="fraction",
    better="higher",
    protocol=f"originals within the manifold of reconstructions, {_MANIFOLD}; {_INCEPTION}",
    weights=("inception",),
    paper="Kynkaanniemi et al., arXiv 1904.06991",
)

FD_ALEX256 = MetricSpec(
    name="fd_alex256",
    target="vqbench_plugins.metrics.frechet:FDAlex256",
    summary="Frechet distance of AlexNet features: cheap, and not an FID",
    unit="1",
    better="lower",
    protocol=f"{_FRECHET}; {_ALEXNET}",
    weights=("lpips_alex",),
)

KID_ALEX256 = MetricSpec(
    name="kid_alex256",
    target="vqbench_plugins.metrics.kernel:KIDAlex256",
    summary="kernel distance of AlexNet features: cheap, and not a KID",
    unit="1",
    better="lower",
    protocol=f"{_KERNEL}; {_ALEXNET}",
    weights=("lpips_alex",),
)

DISTRIBUTION_METRICS = (RFID, KID, PRECISION, RECALL, FD_ALEX256, KID_ALEX256)
"""All of them."""
