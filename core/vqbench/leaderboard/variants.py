"""Telling rows apart that carry the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vqbench.leaderboard.notation import clean, clip
from vqbench.leaderboard.rows import Row

__all__ = ["variants"]

LONGEST = 60


def variants(rows: Sequence[Row]) -> dict[int, str]:
    """For each row, by ``id(row)``, the settings in which it differs from its namesakes: ``lr=0.001, beta=2``.

    Empty for a row whose names are its own.
    """
    by_name: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.names, []).append(row)
    told: dict[int, str] = {}
    for namesakes in by_name.values():
        if len(namesakes) == 1:
            told[id(namesakes[0])] = ""
            continue
        settings = [_settings(row) for row in namesakes]
        keys = dict.fromkeys(key for setting in settings for key in setting)
        differing = [key for key in keys if len({str(setting.get(key)) for setting in settings}) > 1]
        for row, setting in zip(namesakes, settings, strict=True):
            parts = (f"{key}={clean(setting.get(key, 'none'))}" for key in differing)
            told[id(row)] = clip(", ".join(parts), LONGEST)
    return told


def _settings(row: Row) -> dict[str, Any]:
    """Everything that a row's numbers come from, most telling first."""
    trained = row.trained_as
    own = trained.parameters if trained else {}
    return {
        "quantizer": row.quantizer.id,
        **row.quantizer.parameters,
        "backbone": row.backbone.id,
        **{f"backbone.{key}": value for key, value in row.backbone.parameters.items()},
        **row.recipe,
        "trained as": trained.id if trained and trained.id != row.quantizer.id else "itself",
        **{f"trained.{key}": value for key, value in own.items() if row.quantizer.parameters.get(key) != value},
        "version": row.quantizer.version,
        "backbone.version": row.backbone.version,
    }
