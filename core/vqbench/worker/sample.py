"""The sample a cell leaves for the picture of a run."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from torch import Tensor

from vqbench.results.store import write_atomically

__all__ = ["write_sample"]


def write_sample(path: Path, originals: Tensor, reconstructions: Tensor) -> None:
    """Write a strip of two rows, originals above reconstructions.

    Args:
        path: the PNG file.
        originals, reconstructions: uint8 ``(N, 3, H, W)``.

    Raises:
        ResultsError: the file cannot be written.
    """
    count, _, height, width = originals.shape
    strip = Image.new("RGB", (count * width, 2 * height))
    for row, images in enumerate((originals, reconstructions)):
        for column, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
            strip.paste(Image.fromarray(image), (column * width, row * height))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG", optimize=True)
    write_atomically(path, buffer.getvalue())
