"""The stages of a tokenizer as functions of an input alone, and the setting they run in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vqbench.errors import UnavailableError
from vqbench.ops.threads import torch_threads
from vqbench.plan import Setting, Stage
from vqbench.run.machine import usable_cores
from vqbench.worker.timing.inputs import Input
from vqbench.worker.tokenizer import Tokenizer

__all__ = ["StageRun", "check_setting", "in_setting", "prepare_stage"]

NO_CODES = "a continuous latent has no codes to encode to or decode from"
AMPERE = (8, 0)


@dataclass(frozen=True)
class StageRun:
    """What to time: ``function`` of an input such as ``first``."""

    function: Callable[[Input], object]
    first: Input


def prepare_stage(tokenizer: Tokenizer, stage: Stage, images: Tensor) -> StageRun:
    """A stage and an input of it, made from a batch of images ``(B, 3, H, W)``. To be called in the setting.

    * ``encode``: images to codes;
    * ``quantize``: latents of all levels to codes and values, without the networks around;
    * ``decode``: codes to images;
    * ``end_to_end``: images to codes to images.

    Nothing is checked on the way, so nothing waits for a GPU but what the method itself does.

    Raises:
        UnavailableError: a continuous latent has no codes; only its ``end_to_end`` exists.
    """
    if not all(quantizer.codebook_sizes for quantizer in tokenizer.quantizers):
        if stage != "end_to_end":
            raise UnavailableError(NO_CODES)
        return StageRun(lambda given: tokenizer(given[0]).reconstructions, (images,))
    if stage == "encode":
        return StageRun(lambda given: tokenizer.encode(given[0], checked=False), (images,))
    if stage == "end_to_end":
        return StageRun(
            lambda given: tokenizer.decode(tokenizer.encode(given[0], checked=False), checked=False), (images,)
        )
    codes, latents = tokenizer.encode_with_latents(images)
    if stage == "quantize":
        return StageRun(tokenizer.quantize, tuple(latents))
    return StageRun(lambda given: tokenizer.decode(given, checked=False), tuple(codes))


def check_setting(setting: Setting, device: torch.device) -> None:
    """Whether a device computes in a setting's dtype, and the machine has a core for each of its threads.

    Raises:
        UnavailableError: it does not.
    """
    if setting.threads > (cores := usable_cores()):
        raise UnavailableError(f"{setting.threads} threads, but this process may use {cores} cores")
    dtype = setting.dtype
    if dtype == "fp32" or (dtype == "bf16" and device.type == "cpu"):
        return
    if device.type != "cuda":
        raise UnavailableError(f"{dtype} is of NVIDIA GPUs")
    if torch.cuda.get_device_capability(device) < AMPERE:
        raise UnavailableError(f"this GPU has no {dtype}")


@contextlib.contextmanager
def in_setting(tokenizer: Tokenizer, setting: Setting, device: torch.device) -> Iterator[None]:
    """Inference in a setting's threads, precision and layout: what it changes is put back afterwards.

    fp32 is without TF32 also in convolutions, where torch allows it by default; bf16 is autocast, so quantizers stay in float32.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    was_training = tokenizer.training
    tokenizer.eval()
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = setting.dtype == "tf32"
        if setting.channels_last:
            tokenizer.to(memory_format=torch.channels_last)
        with (
            torch_threads(setting.threads),
            torch.inference_mode(),
            torch.autocast(device.type, torch.bfloat16, enabled=setting.dtype == "bf16"),
            torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext(),
        ):
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
        if setting.channels_last:
            tokenizer.to(memory_format=torch.contiguous_format)
        tokenizer.train(was_training)
