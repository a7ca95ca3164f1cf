"""The module under test: a backbone with one quantizer per level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from vqbench.errors import PluginError, TensorError
from vqbench.interfaces import Backbone, ParameterGroup, Quantized, Quantizer, StepClock
from vqbench.plugin_code import calling
from vqbench.specs import LevelShape
from vqbench.worker.returned import check_codes, check_features, check_map, check_quantized, form

__all__ = ["Tokenizer", "TokenizerOutput"]


@dataclass(frozen=True, kw_only=True)
class TokenizerOutput:
    """Reconstructions ``(B, 3, H, W)``, float32, not clamped; and what each level's quantizer left, coarse to
    fine.

    ``prefixes`` are the reconstructions from the prefixes that the quantizers left, coarse to fine, without the last
    one, which is the whole and gives ``reconstructions``.
    """

    reconstructions: Tensor
    quantized: tuple[Quantized, ...]
    prefixes: tuple[Tensor, ...] = ()


class Tokenizer(nn.Module):
    """A backbone with one quantizer per level, coarse to fine; a single-scale method is one level.

    A level's latent depends on the quantized values of all coarser levels. Quantizers run in float32 with
    autocast off.

    What its parts raise or return is not taken on trust: an error names the part, by ``backbone_name`` or ``quantizer_name``.

    Args:
        backbone: its ``levels`` say what latents it makes and what values it takes.
        quantizers: one per level, coarse to fine.
        backbone_name: what to call the backbone in messages; by default after its class.
        quantizer_name: what to call the quantizers; by default each after its class.

    Raises:
        TensorError: backbone and quantizers do not fit together.
    """

    def __init__(
        self,
        backbone: Backbone,
        quantizers: Sequence[Quantizer],
        *,
        backbone_name: str | None = None,
        quantizer_name: str | None = None,
    ) -> None:
        super().__init__()
        if len(quantizers) != len(backbone.levels):
            raise TensorError(
                "A tokenizer needs one quantizer per level of its backbone",
                got=f"{len(quantizers)} quantizers",
                expected=f"{len(backbone.levels)}",
            )
        for level, (shape, quantizer) in enumerate(zip(backbone.levels, quantizers, strict=True)):
            for channels in ("latent_channels", "code_channels"):
                if getattr(quantizer, channels) != getattr(shape, channels):
                    raise TensorError(
                        f"Quantizer and backbone disagree on the {channels} of level {level}",
                        got=f"{getattr(quantizer, channels)} ({type(quantizer).__name__})",
                        expected=f"{getattr(shape, channels)} ({type(backbone).__name__})",
                    )
        self.backbone = backbone
        self._quantizers = nn.ModuleList(quantizers)
        self.backbone_name = backbone_name or type(backbone).__name__
        self.quantizer_names = [quantizer_name or type(quantizer).__name__ for quantizer in quantizers]

    @property
    def quantizers(self) -> tuple[Quantizer, ...]:
        """One per level, coarse to fine."""
        return tuple(self._quantizers)  # type: ignore[arg-type]  # a ModuleList forgets what it holds

    @property
    def levels(self) -> tuple[LevelShape, ...]:
        """The shapes of the levels, coarse to fine."""
        return self.backbone.levels

    def forward(self, images: Tensor) -> TokenizerOutput:
        """Reconstruct images ``(B, 3, H, W)`` in [0, 1].

        Raises:
            TensorError: the images, or what backbone or quantizers make of them, have a wrong shape or dtype.
        PluginError: backbone or quantizers raise, or return something else than they should.
        """
        _, quantized = self._quantize(images, depth=len(self.levels))
        return TokenizerOutput(
            reconstructions=self._decode([q.value for q in quantized]),
            quantized=tuple(quantized),
            prefixes=self._decode_prefixes(quantized),
        )

    def encode(self, images: Tensor, *, checked: bool = True) -> list[Tensor]:
        """The codes of images: int64 ``(B, T, h, w)`` per level, coarse to fine.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            checked: look for NaN, which on a GPU waits for all that was asked of it so far.

        Raises:
            TensorError: as :meth:`forward`; or a latent holds NaN or infinity, which no code stands for.
        """
        if checked:
            return self.encode_with_latents(images)[0]
        return [q.codes for q in self._quantize(images, depth=len(self.levels))[1]]

    def encode_with_latents(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """:meth:`encode`, and the :meth:`latents` behind the codes."""
        latents, quantized = self._quantize(images, depth=len(self.levels))
        for level, of_level in enumerate(latents):
            if not torch.isfinite(of_level).all():
                raise TensorError(
                    f"The latent of level {level} holds NaN or infinity",
                    hint="Look for NaN in the images and in the trained weights.",
                )
        return [q.codes for q in quantized], latents

    def quantize(self, latents: Sequence[Tensor]) -> list[Quantized]:
        """What each quantizer makes of its latent ``(B, latent_channels, h, w)``, float32; levels from coarse to fine."""
        return [self._run_quantizer(level, of_level) for level, of_level in enumerate(latents)]

    def decode(self, codes: Sequence[Tensor], *, checked: bool = True) -> Tensor:
        """Images ``(B, 3, H, W)``, float32, not clamped, from the codes alone.

        Args:
            codes: int64 ``(B, T, h, w)`` per level, coarse to fine.
            checked: look at shapes, dtypes and ranges, which on a GPU waits for all that was asked of it so far.

        Raises:
            TensorError: codes of a wrong shape, dtype or range, or of a continuous latent, which codes do not
                determine; or a quantizer makes values of them that hold NaN.
        """
        if checked:
            self._check_all_codes(codes)
        values = [self._values(level, of_level) for level, of_level in enumerate(codes)]
        for name, of_level in zip(self.quantizer_names, values, strict=True):
            if checked and not torch.isfinite(of_level).all():
                raise TensorError(f"{name} decodes codes to a value that holds NaN or infinity")
        return self._decode(values)

    def latents(self, images: Tensor) -> list[Tensor]:
        """What each quantizer is given: float32 ``(B, latent_channels, h, w)`` per level. Raises as
        :meth:`forward`.
        """
        # the finest level's values feed no other latent: its quantizer need not run
        latents, _ = self._quantize(images, depth=len(self.levels) - 1)
        return latents

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Calibrate the quantizers on images, from coarse to fine, in evaluation mode.

        Args:
            batches: images ``(B, 3, H, W)`` on the tokenizer's device. Gone through afresh for each level and
                for each pass that a quantizer makes: a sequence, or an object that starts anew each time; an
                exhausted iterator cannot.

        Raises:
            TensorError: ``batches`` is an iterator, which can be gone through only once.
        """
        if isinstance(batches, Iterator):
            raise TensorError(
                "Calibration goes through the images more than once",
                got="an iterator",
                expected="a list, or an object whose __iter__ starts anew",
            )
        was_training = self.training
        self.eval()
        for level, quantizer in enumerate(self.quantizers):
            with self._calling(self.quantizer_names[level], "fit"):
                quantizer.fit(_Afresh(batches, partial(self._latent, level)))
        self.train(was_training)

    def on_step(self, clock: StepClock) -> None:
        """Tell the quantizers where training stands, before each step."""
        for name, quantizer in zip(self.quantizer_names, self.quantizers, strict=True):
            with self._calling(name, "on_step"):
                quantizer.on_step(clock)

    @property
    def last_layer(self) -> nn.Parameter:
        """The weight of the decoder's last layer."""
        with self._calling(self.backbone_name, "last_layer"):
            return self.backbone.last_layer

    def parameter_groups(self) -> list[ParameterGroup]:
        """How the optimiser treats each trainable parameter, once.

        Weight decay applies to the backbone's weight matrices and kernels: parameters called ``weight`` with
        two or more dimensions. Norms, biases and embeddings that are parameters of their own have none;
        quantizers say for themselves.

        Raises:
            PluginError: a quantizer's groups leave out or repeat one of its parameters.
        """
        decayed, other = list[nn.Parameter](), list[nn.Parameter]()
        for name, parameter in self.backbone.named_parameters():
            if parameter.requires_grad:
                (decayed if parameter.ndim >= 2 and name.endswith("weight") else other).append(parameter)
        groups = [
            ParameterGroup(parameters=decayed, weight_decay=True),
            ParameterGroup(parameters=other, weight_decay=False),
        ]
        seen = {id(p) for group in groups for p in group.parameters}
        for quantizer, name in dict(zip(self.quantizers, self.quantizer_names, strict=True)).items():
            own = {id(p) for p in quantizer.parameters() if p.requires_grad}
            with self._calling(name, "parameter_groups"):
                of_quantizer = quantizer.parameter_groups()
            if not isinstance(of_quantizer, list | tuple) or not all(
                isinstance(group, ParameterGroup) for group in of_quantizer
            ):
                raise PluginError(
                    f"{name}: parameter_groups returned something else",
                    got=form(of_quantizer),
                    expected="a list of vqbench.ParameterGroup",
                )
            given = [id(p) for group in of_quantizer for p in group.parameters]
            if len(given) != len(set(given)) or set(given) != own:
                raise PluginError(
                    f"{name}: parameter_groups must list each of its trainable parameters once",
                    got=f"{len(given)} ({len(set(given) & own)} of them different and its own)",
                    expected=f"{len(own)}",
                )
            for group in of_quantizer:  # levels may share parameters: the first level's settings hold
                parameters = [p for p in group.parameters if id(p) not in seen]
                seen.update(map(id, parameters))
                groups.append(
                    ParameterGroup(parameters=parameters, lr_scale=group.lr_scale, weight_decay=group.weight_decay)
                )
        return [group for group in groups if group.parameters]

    def _quantize(self, images: Tensor, depth: int) -> tuple[list[Tensor], list[Quantized]]:
        """The latents of levels 0 … depth (as far as there are so many), and the quantized first ``depth`` of
        them.
        """
        self._check_images(images)
        with self._calling(self.backbone_name, "encode"):
            features = self.backbone.encode(images)
        check_features(self.backbone_name, features, len(self.levels))
        latents: list[Tensor] = []
        quantized: list[Quantized] = []
        for level in range(min(depth + 1, len(self.levels))):
            latent = features[0]
            if level:
                with self._calling(self.backbone_name, "fuse"):
                    latent = self.backbone.fuse(level, features[level], [q.value for q in quantized])
            channels = self.levels[level].latent_channels
            self._check_map(self.backbone_name, f"the latent of level {level}", level, channels, latent, images)
            latents.append(latent.float())
            if level < depth:
                quantized.append(self._run_quantizer(level, latents[-1]))
        return latents, quantized

    def _latent(self, level: int, images: Tensor) -> Tensor:
        return self._quantize(images, depth=level)[0][-1]

    def _run_quantizer(self, level: int, latents: Tensor) -> Quantized:
        quantizer, name = self.quantizers[level], self.quantizer_names[level]
        with self._calling(name, "forward"), torch.autocast(latents.device.type, enabled=False):
            quantized: Quantized = quantizer(latents)
        check_quantized(name, quantized)
        for value in (quantized.value, *quantized.prefixes):
            self._check_values(level, value, latents)
        check_codes(name, quantized.codes, (len(latents), len(quantizer.codebook_sizes), *latents.shape[-2:]))
        return quantized

    def _values(self, level: int, codes: Tensor) -> Tensor:
        with self._calling(self.quantizer_names[level], "decode"):
            values = self.quantizers[level].decode(codes)
        self._check_values(level, values, codes)
        return values

    def _decode(self, values: Sequence[Tensor]) -> Tensor:
        # convolutions go on in the layout of what they are given, which is no matter of the method: it makes a sixth in speed
        values = [of_level.contiguous() for of_level in values]
        with self._calling(self.backbone_name, "decode"):
            reconstructions = self.backbone.decode(values)
        size = self.backbone.image_size
        shape = (len(values[0]), 3, size, size)
        check_map(self.backbone_name, "what decode returned", reconstructions, shape, values[0].device)
        return reconstructions.float()

    def _decode_prefixes(self, quantized: Sequence[Quantized]) -> tuple[Tensor, ...]:
        """Reconstructions from the prefixes of each level, with zeros in place of what finer levels add."""
        prefixes = [(level, prefix) for level, q in enumerate(quantized) for prefix in q.prefixes]
        if quantized[-1].prefixes:
            prefixes.pop()
        values = [q.value for q in quantized]
        zeros = [torch.zeros_like(value) for value in values]
        return tuple(self._decode([*values[:level], prefix, *zeros[level + 1 :]]) for level, prefix in prefixes)

    def _check_images(self, images: Tensor) -> None:
        size = self.backbone.image_size
        if images.shape[1:] != (3, size, size) or not images.is_floating_point() or not len(images):
            raise TensorError(
                "A tokenizer takes floating-point images in [0, 1]",
                got=form(images),
                expected=f"(B, 3, {size}, {size})",
            )

    def _check_values(self, level: int, values: Tensor, like: Tensor) -> None:
        channels = self.levels[level].code_channels
        self._check_map(self.quantizer_names[level], f"the value of level {level}", level, channels, values, like)

    def _check_map(self, name: str, what: str, level: int, channels: int, tensor: Tensor, like: Tensor) -> None:
        side = self.backbone.image_size // self.levels[level].stride
        check_map(name, what, tensor, (len(like), channels, side, side), like.device)

    @staticmethod
    def _calling(name: str, method: str) -> AbstractContextManager[None]:
        # a compiler takes in the code behind the call, and cannot say what that raises
        return nullcontext() if torch.compiler.is_compiling() else calling(name, method)

    def _check_all_codes(self, codes: Sequence[Tensor]) -> None:
        if len(codes) != len(self.levels):
            raise TensorError(
                "Codes of each level are needed",
                got=f"{len(codes)} levels",
                expected=f"{len(self.levels)}, coarse to fine",
            )
        for level, of_level in enumerate(codes):
            self._check_codes(level, of_level)

    def _check_codes(self, level: int, codes: Tensor) -> None:
        sizes = self.quantizers[level].codebook_sizes
        if not sizes:
            raise TensorError(
                f"Level {level} has a continuous latent, which codes do not determine",
                hint="Use the reconstructions of forward().",
            )
        side = self.backbone.image_size // self.levels[level].stride
        if codes.dtype != torch.int64 or codes.shape[1:] != (len(sizes), side, side) or not len(codes):
            raise TensorError(
                f"Codes of level {level} are malformed",
                got=form(codes),
                expected=f"torch.int64 (B, {len(sizes)}, {side}, {side})",
            )
        limits = torch.tensor(sizes, device=codes.device).view(1, -1, 1, 1)
        if bool(((codes < 0) | (codes >= limits)).any()):
            raise TensorError(
                f"Codes of level {level} are out of range for {self.quantizer_names[level]}",
                got=f"{codes.min().item()} to {codes.max().item()}",
                expected=f"0 to K - 1 for K = {sizes[0] if len(set(sizes)) == 1 else sizes}",
            )


@dataclass(frozen=True)
class _Afresh:
    """The latents of image batches, computed anew in each pass so that no pass holds them all."""

    batches: Iterable[Tensor]
    latents: Callable[[Tensor], Tensor]

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.latents, self.batches)
