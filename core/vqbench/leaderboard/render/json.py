"""For programs: one document with full precision, in ASCII, which no terminal takes for a control sequence."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import vqbench
from vqbench.leaderboard.boards import Board, Group, Leaderboard
from vqbench.leaderboard.layout import explain_failure
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.published import Publication, PublishedNumber, PublishedRow, PublishedTable
from vqbench.leaderboard.ranking import RankedRow
from vqbench.leaderboard.rate import rate_of
from vqbench.leaderboard.render.rate import rate_document
from vqbench.results import CellRecord, ComponentRecord

__all__ = ["render_json"]

SCHEMA_VERSION = 1


def render_json(leaderboard: Leaderboard) -> str:
    """``{"groups": […], "rows": […], "rate": …, "unfinished": […], "broken": […], "published": […]}``.

    ``rows`` are the ranked rows of all groups, group by group, best first; ``rate`` is the rate–distortion board
    (:func:`rate_document`) or null; ``unfinished`` are cells without numbers in the same shape, with their ``reason``;
    ``published`` are others' numbers, which have no rank.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "vqbench_version": vqbench.__version__,
        "boards": [board.name for board in leaderboard.boards],
        "groups": [_group(group) for board in leaderboard.boards for group in board.groups],
        "rows": [row for board in leaderboard.boards for row in _rows(board)],
        "rate": rate_document(leaderboard.rate) if leaderboard.rate else None,
        "unfinished": [_unfinished(record) for record in leaderboard.unfinished],
        "broken": [{"path": clean(broken.path), "reason": clean(broken.reason)} for broken in leaderboard.broken],
        "published": [
            _published(publication, table, row)
            for publication in leaderboard.published
            for table in publication.tables
            for row in table.rows
        ],
    }
    try:
        return json.dumps(document, indent=1, allow_nan=False) + "\n"
    except ValueError:  # a free-form part of a record holds NaN or infinity, which JSON does not have
        return json.dumps(_finite(document), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _group(group: Group) -> dict[str, Any]:
    return {
        "group": group.id,
        "board": group.board,
        "dataset": group.dataset,
        "image_size": group.image_size,
        "bits_per_image": group.rate.bits,
        "bits_per_pixel": group.bits_per_pixel,
        "images_seen": group.images_seen,
        "protocol": group.protocol,
        "environment": group.environment.model_dump() if group.environment else None,
        "ranked_by": group.ranked_by.title if group.ranked_by else None,
        "columns": [asdict(column) for column in group.columns],
    }


def _rows(board: Board) -> list[dict[str, Any]]:
    return [
        _row(ranked, group)
        | ({"pareto": group.pareto[place] if group.pareto else None} if board.name == "throughput" else {})
        for group in board.groups
        for place, ranked in enumerate(group.rows)
    ]


def _row(ranked: RankedRow, group: Group) -> dict[str, Any]:
    row = ranked.row
    return {
        "board": group.board,
        "group": group.id,
        "rank": ranked.rank,
        "comparison": _comparison(ranked),
        "cell_ids": list(row.cell_ids),
        "quantizer": row.quantizer.label,
        "variant": ranked.variant,
        "backbone": row.backbone.label,
        "dataset": row.dataset.label,
        "image_size": row.image_size,
        "bits_per_image": row.rate.bits,
        "bits_per_pixel": row.bits_per_pixel,
        "seeds": list(row.seeds),
        "missing_seeds": [{"seed": record.seed, "reason": explain_failure(record)[1]} for record in row.missing],
        "status": "ok",
        "metrics": {name: vars(metric) for name, metric in row.metrics.items()},
        "code_usage": [vars(slot) for slot in row.usage],
        "components": {
            "quantizer": _component(row.quantizer),
            "backbone": _component(row.backbone),
            "dataset": _component(row.dataset) | {"revision": row.revision},
        },
        "trained_as": _component(row.trained_as) if row.trained_as else None,
        "training_units": list(row.training_units),
        "recipe": row.recipe,
        "notes": list(row.notes),
    }


def _comparison(ranked: RankedRow) -> dict[str, Any] | None:
    comparison, other = ranked.comparison, ranked.compared_with
    if comparison is None or other is None:
        return None
    derived = {"p_corrected": comparison.p_corrected, "verdict": comparison.verdict}
    return {"with": list(other.cell_ids), **vars(comparison), **derived}


def _component(component: ComponentRecord) -> dict[str, Any]:
    return {"id": component.id, "version": component.version, "parameters": component.parameters}


def _unfinished(record: CellRecord) -> dict[str, Any]:
    rate = rate_of(record.levels)
    return {
        "cell_ids": [record.cell_id],
        "quantizer": record.quantizer.label,
        "backbone": record.backbone.label,
        "dataset": record.dataset.label,
        "image_size": record.image_size,
        "bits_per_image": rate.bits,
        "bits_per_pixel": None if rate.bits is None else rate.bits / record.image_size**2,
        "seeds": [record.seed],
        "status": record.status,
        "metrics": {},
        "reason": explain_failure(record)[1],
    }


def _published(publication: Publication, table: PublishedTable, row: PublishedRow) -> dict[str, Any]:
    return {
        "publication": publication.id,
        "table": table.title,
        "method": row.method,
        "variant": row.variant,
        "backbone": row.backbone,
        "dataset": table.protocol.dataset,
        "image_size": table.protocol.resolution,
        "protocol": table.protocol.model_dump() | {"name": table.protocol_key},
        "codebook": row.codebook,
        "bits_per_image": row.bits_per_image,
        "bits_per_pixel": row.bits_per_pixel,
        "source": row.source.model_dump() | {"key": row.source_key},
        "status": row.source.status,
        "metrics": {name: _published_number(number) for name, number in row.numbers.items()},
        "note": row.note,
    }


def _published_number(number: PublishedNumber) -> dict[str, Any]:
    metric = number.metric
    return {
        "value": number.value,
        "deviation": number.deviation,
        "unit": metric.unit,
        "better": metric.better,
        "definition": metric.definition,
    }
