"""From a dataset's images to batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vqbench.errors import DataError, PluginError
from vqbench.interfaces import ByteImages, Dataset, Images
from vqbench.plugin_code import calling
from vqbench.worker.returned import form

__all__ = ["load_batch", "notes_of", "prefetched", "split_of"]


def split_of(dataset: Dataset, which: Literal["train", "test"], *, name: str) -> Images:
    """A dataset's training or test images; ``name`` is what to call it in messages.

    Raises:
        PluginError: it failed, or returned something else than a sequence.
    """
    with calling(name, f"split({which!r})"):
        images = dataset.split(which)
        length: object = len(images) if hasattr(images, "__len__") and hasattr(images, "__getitem__") else None
    if not isinstance(length, int):
        raise PluginError(f"{name}: split({which!r}) returned something else", got=form(images), expected="a sequence")
    return images


def notes_of(dataset: Dataset, *, name: str) -> list[str]:
    """What a dataset has to say of its images; raises as :func:`split_of`."""
    with calling(name, "notes"):
        notes = dataset.notes()
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise PluginError(f"{name}: notes returned something else", got=form(notes), expected="a list of strings")
    return notes


def load_batch(
    images: Images, indices: Sequence[int], device: torch.device, *, name: str, image_size: int | None = None
) -> Tensor:
    """Images ``(B, 3, H, W)``, float32 in [0, 1], on a device.

    :class:`~vqbench.interfaces.ByteImages` travel as bytes, to CUDA from pinned memory without waiting, and become floats
    there: on every device exactly byte / 255.

    Args:
        images: of a split.
        indices: which; at least one.
        device: where to.
        name: what to call the images in messages.
        image_size: that they should have; None takes that of the first.

    Raises:
        DataError: the dataset returned something else than such images.
        PluginError: it raised.
    """
    if isinstance(images, ByteImages):
        with calling(name, "batch"):
            batch = images.batch(indices)
        _check_form(batch, (len(indices), 3), image_size, torch.uint8, name, "batch")
    else:
        batch = torch.stack([_image(images, index, name, image_size) for index in indices])
        low, high = torch.aminmax(batch)
        if not (low >= 0 and high <= 1):  # also where there is a NaN
            raise DataError(f"{name} has images outside [0, 1]", got=f"{low:g} to {high:g}", expected="[0, 1]")
    if device.type == "cuda":
        batch = batch.pin_memory()
    batch = batch.to(device, non_blocking=True)
    return _to_float(batch) if batch.dtype == torch.uint8 else batch


def prefetched(load: Callable[[int], Tensor], steps: range, *, ahead: bool) -> Generator[Tensor, None, None]:
    """``load`` of each step; with ``ahead`` a thread makes the next one meanwhile."""
    if not ahead:
        yield from map(load, steps)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        upcoming = [pool.submit(load, step) for step in steps[:1]]
        for step in steps:
            batch = upcoming.pop().result()
            upcoming += [pool.submit(load, following) for following in (step + steps.step,) if following in steps]
            yield batch


def _to_float(batch: Tensor) -> Tensor:
    """Bytes over 255, the nearest float32 of each."""
    if batch.device.type == "cpu":
        # in this thread alone: for so little work torch's threads cost more than they save wherever another job runs
        return torch.from_numpy(np.divide(batch.numpy(), 255, dtype=np.float32))
    # by a tensor: CUDA multiplies by the reciprocal of a number, which rounds otherwise
    return batch.float().div_(torch.full((), 255.0, device=batch.device))


def _image(images: Images, index: int, name: str, image_size: int | None) -> Tensor:
    with calling(name, f"image {index}"):
        image = images[index]
    _check_form(image, (3,), image_size, torch.float32, name, f"image at index {index}")
    return image


def _check_form(
    images: object, lead: tuple[int, ...], image_size: int | None, dtype: torch.dtype, name: str, what: str
) -> None:
    side = (image_size, image_size) if image_size is not None else tuple(getattr(images, "shape", ())[-2:])
    shape = (*lead, *side)
    if not isinstance(images, Tensor) or (images.shape, images.dtype, images.device.type) != (shape, dtype, "cpu"):
        raise DataError(f"{name} returned a malformed {what}", got=form(images), expected=f"{dtype} {shape} on the CPU")
