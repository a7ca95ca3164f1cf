"""Trains a unit, or goes on from its last checkpoint."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from vqbench.catalog import Catalog
from vqbench.errors import VQBenchError
from vqbench.interfaces import Quantized, StepClock
from vqbench.plan import Recipe, TrainUnit
from vqbench.plugin_code import calling
from vqbench.run.job import Progress
from vqbench.seeds import derive_seed
from vqbench.worker.adversary import Adversary
from vqbench.worker.batches import TrainingBatches
from vqbench.worker.build import build_dataset, build_tokenizer
from vqbench.worker.checkpoint import (
    STATE,
    TOKENIZER,
    Checkpoint,
    Trained,
    check_unit,
    load_weights,
    newest_checkpoint,
    read_checkpoint,
    read_state,
    write_checkpoint,
)
from vqbench.worker.loading import notes_of, split_of
from vqbench.worker.objective import Objective
from vqbench.worker.optimizer import WeightAverage, make_optimizer, set_learning_rate
from vqbench.worker.parameter_count import count_parameters
from vqbench.worker.perceptual import load_perceptual
from vqbench.worker.training_state import collect_state, restore_state

__all__ = ["train_unit"]

REPORT_SECONDS = 0.1


def train_unit(
    unit: TrainUnit,
    *,
    catalog: Catalog,
    folder: Path,
    device: torch.device,
    checkpoint_seconds: float,
    report: Callable[[Progress], None],
) -> Trained:
    """Train a unit to its end; a unit that is already trained returns at once.

    Every step's batch and random numbers derive from the seed and the step, so a run that was interrupted
    goes on to the very weights of one that was not (on the CPU with as many threads: bit for bit). The random
    numbers are those of torch's global generators, which are left as they were before. On an interrupt
    between two steps the state is saved first; one within a step, or a kill, loses the steps since the last
    checkpoint.

    Args:
        unit: what to train.
        catalog: where its components are looked up.
        folder: the folder of its checkpoints.
        device: where to train.
        checkpoint_seconds: time between two checkpoints.
        report: told of the progress about ten times a second; may raise to stop.

    Raises:
        VQBenchError: the loss or its gradient is not finite; the message names the step and the terms.
        CheckpointError: there is a checkpoint and it is damaged or belongs to another unit.
        ParameterError: the recipe names a loss that the quantizer does not have.
        UnavailableError: the data, a requirement or the perceptual network is missing.
    """
    checkpoint = None
    if (newest := newest_checkpoint(folder)) is not None:
        checkpoint = read_checkpoint(newest)
        check_unit(checkpoint, unit)
        if checkpoint.finished:
            return checkpoint.trained
    with _reproducible(device):
        return _Training(unit, catalog, folder, device, checkpoint).run(checkpoint_seconds, report)


class _Training:
    """One training run and its state; ``done`` counts finished steps."""

    def __init__(
        self,
        unit: TrainUnit,
        catalog: Catalog,
        folder: Path,
        device: torch.device,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.unit, self.folder, self.device = unit, folder, device
        self.recipe = recipe = Recipe.model_validate(dict(unit.recipe))
        self.objective = Objective(recipe, unit.objective, load_perceptual(recipe.lpips_weight, device))
        dataset, name = build_dataset(unit.dataset, unit.image_size, catalog), f"dataset {unit.dataset.id!r}"
        train = split_of(dataset, "train", name=name)
        self.notes = notes_of(dataset, name=name)
        self.batches = TrainingBatches(
            train,
            name=unit.dataset.id,
            image_size=unit.image_size,
            batch_size=recipe.batch_size,
            seed=unit.seed,
            device=device,
        )
        self.tokenizer = build_tokenizer(unit, catalog)
        if checkpoint is not None:
            load_weights(self.tokenizer, checkpoint.tensors, checkpoint.path / TOKENIZER)
        self.tokenizer.to(device)
        self.count = count_parameters(self.tokenizer)
        groups = self.tokenizer.parameter_groups()
        self.parameters = [p for group in groups for p in group.parameters]
        self.optimizer = make_optimizer(groups, recipe)
        self.average = WeightAverage(self.tokenizer, recipe.ema_decay) if recipe.ema_decay else None
        self.adversary = Adversary(recipe, unit.image_size, unit.seed, device) if recipe.gan_weight else None
        self.autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=_uses_bf16(recipe, device))
        self.done, self.earlier_seconds, self.losses = 0, 0.0, dict[str, Tensor | float]()
        if checkpoint is not None:
            state = read_state(checkpoint)
            restore_state(state, self.optimizer, self.average, self.adversary, checkpoint.path / STATE)
            self.done, self.earlier_seconds = checkpoint.trained.steps, checkpoint.trained.seconds
            self.losses = dict(checkpoint.trained.losses)
        self.saved = self.done

    def run(self, checkpoint_seconds: float, report: Callable[[Progress], None]) -> Trained:
        self.started = last_save = time.monotonic()
        last_report = -math.inf
        between_steps = True
        batches = self.batches.from_step(self.done, self.recipe.steps, prefetch=self.device.type == "cuda")
        try:
            with contextlib.closing(batches):
                report(self._progress())
                for images in batches:
                    between_steps = False
                    self._step(images)
                    self.done += 1
                    between_steps = True
                    now = time.monotonic()
                    if self.done == self.recipe.steps:
                        break
                    if now - last_save >= checkpoint_seconds:
                        self._save()
                        last_save = time.monotonic()
                    if now - last_report >= REPORT_SECONDS:
                        report(self._progress())
                        last_report = now
        except (KeyboardInterrupt, SystemExit):
            if between_steps and self.saved < self.done < self.recipe.steps:
                self._save()
            raise
        return self._finish(report)

    def _step(self, images: Tensor) -> None:
        recipe, step = self.recipe, self.done
        # one seed a step: what a step draws depends neither on earlier steps nor on where the run was resumed
        torch.manual_seed(derive_seed(self.unit.seed, "train", f"step{step}"))
        self.tokenizer.on_step(StepClock(step=step, total=recipe.steps))
        adversary = self.adversary if step >= recipe.gan_start else None
        with self.autocast:
            output = self.tokenizer(images)
            if step == 0:
                self.objective.check_weights(output.quantized)
            value = self.objective(
                images,
                output,
                adversary=adversary.generator_loss if adversary else None,
                last_layer=self.tokenizer.last_layer,
            )
        set_learning_rate(self.optimizer, recipe, step)
        self.optimizer.zero_grad(set_to_none=True)
        with calling(f"{self.tokenizer.quantizer_names[0]} or {self.tokenizer.backbone_name}", "backward"):
            torch.autograd.backward(value.total)
        norm = self._clip()
        self.losses = {"total": value.total.detach(), **value.terms}
        self._check_finite({**self.losses, "norm of the gradient": norm}, output.quantized)
        self.optimizer.step()
        if adversary is not None:
            self.losses["discriminator"] = adversary.update(images, output.reconstructions, step, self.autocast)
            self._check_finite(self.losses, output.quantized)
        if self.average is not None:
            self.average.update(self.tokenizer, step + 1)

    def _clip(self) -> Tensor:
        """Clip the gradient; its norm before."""
        if self.recipe.gradient_clip is not None:
            return clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
        return get_total_norm([p.grad for p in self.parameters if p.grad is not None])

    def _check_finite(self, terms: dict[str, Tensor | float], quantized: Sequence[Quantized]) -> None:
        if torch.stack([torch.as_tensor(t, device=self.device).float() for t in terms.values()]).isfinite().all():
            return
        names = dict.fromkeys(
            name
            for name, of_level in zip(self.tokenizer.quantizer_names, quantized, strict=True)
            if not of_level.value.isfinite().all()
        )
        already = f" (the value of {' and '.join(names)} is not finite either)" if names else ""
        raise VQBenchError(
            f"Training diverged at step {self.done + 1} of {self.recipe.steps}{already}",
            got=", ".join(f"{name} {float(term):.4g}" for name, term in terms.items()),
            expected="finite losses and gradients",
            hint="Lower recipe.lr, lengthen recipe.warmup_steps or set a recipe.gradient_clip.",
        )

    def _finish(self, report: Callable[[Progress], None]) -> Trained:
        if self.average is not None:
            self.average.copy_to(self.tokenizer)
        trained = self._trained()
        write_checkpoint(self.folder, self.unit, trained, self.tokenizer, state=None)
        report(self._progress())
        return trained

    def _save(self) -> None:
        state = collect_state(self.optimizer, self.average, self.adversary)
        write_checkpoint(self.folder, self.unit, self._trained(), self.tokenizer, state)
        self.saved = self.done

    def _trained(self) -> Trained:
        return Trained(
            steps=self.done,
            seconds=self.earlier_seconds + time.monotonic() - self.started,
            losses={name: float(term) for name, term in self.losses.items()},
            encoder_parameters=self.count.encoder,
            decoder_parameters=self.count.decoder,
            quantizer_parameters=self.count.quantizer,
            notes=self.notes,
        )

    def _progress(self) -> Progress:
        detail = f"loss {float(self.losses['total']):.4g}" if self.losses else ""
        return Progress(stage="train", done=self.done, total=self.recipe.steps, detail=detail)


def _uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    return recipe.precision == "bf16" or (recipe.precision == "auto" and device.type == "cuda")


@contextlib.contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Random numbers of our own, and on the CPU, where they cost nothing, deterministic algorithms; restored
    afterwards.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # its one attribute is a property that type checkers do not see
    fill = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            if device.type == "cpu":
                torch.use_deterministic_algorithms(True, warn_only=True)
                memory.fill_uninitialized_memory = False
            yield
        finally:
            torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
            memory.fill_uninitialized_memory = fill
