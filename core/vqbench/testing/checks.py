"""Which checks there are for each kind of component."""

from __future__ import annotations

from vqbench.testing.backbone import BACKBONE_CHECKS
from vqbench.testing.check import Check
from vqbench.testing.dataset import DATASET_CHECKS
from vqbench.testing.descriptor import ANNOUNCEMENT_CHECKS, DESCRIPTOR_CHECKS
from vqbench.testing.metric import METRIC_CHECKS
from vqbench.testing.quantizer import QUANTIZER_CHECKS
from vqbench.testing.suite import SUITE_CHECKS

__all__ = ["CHECKS", "checks_of"]

CHECKS: dict[str, tuple[Check, ...]] = {
    "quantizer": (*DESCRIPTOR_CHECKS, *QUANTIZER_CHECKS),
    "backbone": (*DESCRIPTOR_CHECKS, *BACKBONE_CHECKS),
    "dataset": (*DESCRIPTOR_CHECKS, *DATASET_CHECKS),
    "metric": (*DESCRIPTOR_CHECKS, *METRIC_CHECKS),
    "suite": (*ANNOUNCEMENT_CHECKS, *SUITE_CHECKS),
}
"""By kind, in the order they run: what is cheap and basic first."""


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of a kind of component; none for files of published numbers, which are checked when read."""
    return CHECKS.get(kind, ())
