"""The picture a run leaves: originals and every method's reconstructions, so that people can look."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from vqbench.results.store import write_atomically

__all__ = ["Row", "compose_picture"]

Row: TypeAlias = "tuple[str, Path]"
"""A row of the picture: its caption and the sample file it shows."""

COLUMNS = 2
MARGIN = 6
CAPTION = 14
WIDEST_CAPTION = 290


def compose_picture(path: Path, rows: Sequence[Row]) -> bool:
    """Write one picture in columns: the originals of the first sample, then samples' reconstructions under their captions.

    Samples that are missing or unreadable, or of another size than the first, are left out.

    Returns:
        whether there was anything to show.
    """
    samples: list[tuple[str, Image.Image]] = []
    for caption, file in rows:
        try:
            with Image.open(file, formats=("PNG",)) as image:
                sample = image.convert("RGB")
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        if not samples or sample.size == samples[0][1].size:
            samples.append((caption, sample))
    if not samples:
        return False
    width, height = samples[0][1].size
    original = ("original", samples[0][1].crop((0, 0, width, height // 2)))
    strips = [(caption, sample.crop((0, height // 2, width, height))) for caption, sample in samples]
    tall = -(-len(strips) // COLUMNS)
    columns = [[original, *strips[start : start + tall]] for start in range(0, len(strips), tall)]
    step = CAPTION + height // 2 + MARGIN
    page = Image.new(
        "RGB", (MARGIN + len(columns) * (max(width, WIDEST_CAPTION) + MARGIN), MARGIN + step * (tall + 1)), "white"
    )
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=11)
    for index, column in enumerate(columns):
        left = MARGIN + index * (max(width, WIDEST_CAPTION) + MARGIN)
        for row, (caption, strip) in enumerate(column):
            top = MARGIN + row * step
            # the font that comes with Pillow has little beyond ASCII
            pen.text((left, top - 1), caption.encode("ascii", "replace").decode(), fill="black", font=font)
            page.paste(strip, (left, top + CAPTION))
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())
    return True
