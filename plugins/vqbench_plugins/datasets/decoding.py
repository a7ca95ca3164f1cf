"""Image files of any kind to square uint8 RGB.

Whatever the file holds, what leaves is 8-bit RGB, upright (EXIF orientation applied), opaque (alpha and transparent
palette entries over white) and square. Grey becomes three equal channels; 16-bit grey is rescaled (65535 becomes
255); 16-bit colour keeps its high bytes; CMYK is converted without a colour profile, and embedded profiles are not
applied. Of an animation the first frame counts. The shorter side is resized with Pillow's antialiased filter and the
centre is cropped, as torchvision's ``Resize`` and ``CenterCrop`` do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from vqbench.errors import DataError

__all__ = ["MAX_PIXELS", "DecodedImage", "Interpolation", "decode_image", "quiet_pillow", "read_image"]

MAX_PIXELS = 2**26
"""Larger images are refused, whether as stored or after resizing."""

Interpolation = Literal["bilinear", "bicubic", "lanczos"]

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")  # none of Pillow's formats that start other programs
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class DecodedImage(NamedTuple):
    """Pixels ``(H, W, 3)``, uint8, and whether the file's image was smaller and had to be enlarged."""

    pixels: npt.NDArray[np.uint8]
    enlarged: bool


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's warnings about odd metadata; enter it once, in the main thread, around any number of reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_image(path: Path, image_size: int, interpolation: Interpolation) -> DecodedImage:
    """The image of a file, square.

    Raises:
        DataError: the file is no image of a known kind, damaged, truncated or larger than :data:`MAX_PIXELS`.
    """
    try:
        with path.open("rb") as file:
            return decode_image(file, image_size, interpolation, name=path.name)
    except OSError as error:
        raise DataError(f"the image {path.name!a} cannot be read", got=error.strerror or error) from error


def decode_image(file: BinaryIO, image_size: int, interpolation: Interpolation, *, name: str) -> DecodedImage:
    """The image in an open file, square; ``name`` is for messages.

    Raises:
        DataError: it is no image of a known kind, damaged, truncated or larger than :data:`MAX_PIXELS`.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check_size(*image.size)
            image.load()
            rgb = _to_rgb(ImageOps.exif_transpose(image))
            pixels = np.asarray(_square(rgb, image_size, interpolation))
            return DecodedImage(pixels, enlarged=min(rgb.size) < image_size)
    except MemoryError:
        raise  # the machine's trouble, not the file's
    except Exception as error:  # Pillow's decoders let out errors of many kinds on damaged files
        reason = str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"not an image of a known kind ({', '.join(_FORMATS)})"
        raise DataError(f"the image {name!a} cannot be read", got=reason) from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS}")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.mode.startswith("I"):  # 16-bit grey; some files of it open as 32-bit integers
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(f"integer pixels from {grey.min()} to {grey.max()} are not 16-bit")
        image = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    return image.convert("RGB")


def _square(image: Image.Image, image_size: int, interpolation: Interpolation) -> Image.Image:
    width, height = image.size
    shorter = min(width, height)
    if shorter != image_size:
        width, height = width * image_size // shorter, height * image_size // shorter
        _check_size(width, height)  # a thin strip grows without bound when its shorter side is enlarged
        image = image.resize((width, height), _FILTERS[interpolation])
    left, top = round((width - image_size) / 2), round((height - image_size) / 2)
    return image.crop((left, top, left + image_size, top + image_size))
