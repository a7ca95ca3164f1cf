"""Suite files that ship with vqbench."""

from __future__ import annotations

from pathlib import Path

from vqbench.specs import SuiteSpec

__all__ = ["SUITES"]

SUITES = (
    SuiteSpec(
        name="quickstart",
        summary="64×64 photo crops, 640 bits per image, both tiny backbones; minutes on two CPU cores",
        path=Path(__file__).parent / "quickstart.toml",
    ),
)
