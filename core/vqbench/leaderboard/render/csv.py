"""For spreadsheets and data frames: one line per row, full precision."""

from __future__ import annotations

import csv
import io
from typing import Any

from vqbench.leaderboard.boards import Group, Leaderboard
from vqbench.leaderboard.layout import explain_damage, explain_failure
from vqbench.leaderboard.notation import clean
from vqbench.leaderboard.published import Publication, PublishedRow, PublishedTable
from vqbench.leaderboard.ranking import RankedRow
from vqbench.leaderboard.rate import rate_of
from vqbench.leaderboard.render.rate import rate_lines

__all__ = ["render_csv"]

FORMULA_STARTS = ("=", "+", "-", "@")
PARTS = ("", "_low", "_high", "_n", "_unit")


def render_csv(leaderboard: Leaderboard) -> str:
    """A header, the ranked rows, cells and records without numbers with their ``reason``, curves, then published numbers.

    A metric has five columns: ``psnr``, ``psnr_low``, ``psnr_high``, ``psnr_n``, ``psnr_unit``, and ``psnr_caution`` where
    one of its numbers carries one; what a row does not have is empty. Published numbers (board ``published``) stay out of
    those columns: each has three of its own, ``published_psnr``, ``published_psnr_deviation`` and
    ``published_psnr_definition``, beside the row's ``protocol`` and ``source``. So do curves (board ``rate``), which have
    ``bd_rate_psnr``, ``bd_psnr`` and the like. A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    lines = [_row(ranked, group) for board in leaderboard.boards for group in board.groups for ranked in group.rows]
    fixed = list(_blank())
    for record in leaderboard.unfinished:
        rate = rate_of(record.levels)
        line = _blank() | {
            "quantizer": record.quantizer.label,
            "backbone": record.backbone.label,
            "dataset": record.dataset.label,
            "image_size": record.image_size,
            "bits_per_image": rate.bits,
            "bits_per_pixel": None if rate.bits is None else rate.bits / record.image_size**2,
            "seeds": record.seed,
            "status": record.status,
            "cell_ids": record.cell_id,
            "reason": explain_failure(record)[1],
        }
        lines.append(line)
    for broken in leaderboard.broken:
        lines.append(_blank() | {"status": "broken", "reason": explain_damage(broken)})
    lines += [_blank() | line for line in rate_lines(leaderboard.rate)] if leaderboard.rate else []
    lines += [_published(p, table, row) for p in leaderboard.published for table in p.tables for row in table.rows]
    more = dict.fromkeys(key for line in lines for key in line if key not in _blank())
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = [*fixed, *more]
    writer.writerow([_safe(name) for name in header])
    writer.writerows([_safe(line.get(name)) for name in header] for line in lines)
    return out.getvalue()


def _blank() -> dict[str, Any]:
    names = "board group rank p p_corrected test quantizer variant backbone dataset image_size bits_per_image bits_per_pixel"
    return dict.fromkeys([*names.split(), "environment", "seeds", "status", "cell_ids", "reason"])


def _row(ranked: RankedRow, group: Group) -> dict[str, Any]:
    row = ranked.row
    line = _blank() | {
        "board": group.board,
        "group": group.id,
        "rank": ranked.rank,
        "p": ranked.comparison.p if ranked.comparison else None,
        "p_corrected": ranked.comparison.p_corrected if ranked.comparison else None,
        "test": ranked.comparison.method if ranked.comparison else None,
        "quantizer": row.quantizer.label,
        "variant": ranked.variant,
        "backbone": row.backbone.label,
        "dataset": row.dataset.label,
        "image_size": row.image_size,
        "bits_per_image": row.rate.bits,
        "bits_per_pixel": row.bits_per_pixel,
        "environment": group.environment.fingerprint if group.environment else None,
        "seeds": " ".join(map(str, row.seeds)),
        "status": "ok",
        "cell_ids": " ".join(row.cell_ids),
        "reason": "; ".join(f"no {name}: {m.reason}" for name, m in row.metrics.items() if m.value is None) or None,
    }
    if group.batch_size:
        line["batch_size"] = group.batch_size
    for column in group.columns:
        number = column.of(row)
        if number is not None:
            values = (number.value, number.low, number.high, number.n, number.unit)
            line |= {f"{column.title}{part}": value for part, value in zip(PARTS, values, strict=True)}
            if column.caution:
                line[f"{column.title}_caution"] = number.caution
    return line


def _published(publication: Publication, table: PublishedTable, row: PublishedRow) -> dict[str, Any]:
    line = _blank() | {
        "board": "published",
        "group": publication.id,
        "quantizer": row.method,
        "variant": row.variant,
        "backbone": row.backbone,
        "dataset": table.protocol.dataset,
        "image_size": table.protocol.resolution,
        "bits_per_image": row.bits_per_image,
        "bits_per_pixel": row.bits_per_pixel,
        "status": row.source.status,
        "table": table.title,
        "protocol": table.protocol,
        "source": f"{row.source.name} ({row.source.kind})",
    }
    for name, number in row.numbers.items():
        line |= {
            f"published_{name}": number.value,
            f"published_{name}_deviation": number.deviation,
            f"published_{name}_definition": number.metric.definition,
        }
    return line


def _safe(value: object) -> object:
    """Numbers as they are (floats so that they read back exactly); text in one line, never a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = clean(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA_STARTS) else text
