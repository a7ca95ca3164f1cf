"""The optimiser, its schedule and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from vqbench.interfaces import ParameterGroup
from vqbench.plan import Recipe

__all__ = ["WeightAverage", "lr_factor", "make_optimizer", "set_learning_rate"]


def make_optimizer(groups: Sequence[ParameterGroup], recipe: Recipe) -> Optimizer:
    """Adam or AdamW over parameter groups; in ``adam`` the recipe's weight decay is an L2 penalty, in
    ``adamw`` decoupled.
    """
    kind: type[Adam] = {"adam": Adam, "adamw": AdamW}[recipe.optimizer]
    return kind(
        [
            {
                "params": group.parameters,
                "lr_scale": group.lr_scale,
                "weight_decay": recipe.weight_decay if group.weight_decay else 0.0,
            }
            for group in groups
        ],
        lr=recipe.lr,
        betas=(recipe.betas[0], recipe.betas[1]),
    )


def lr_factor(recipe: Recipe, step: int) -> float:
    """The learning rate of a step (0 the first) relative to ``recipe.lr``: linear warm-up, then constant or
    half a cosine.

    The warm-up starts at ``1 / warmup_steps`` and arrives at 1 in its last step; the cosine would arrive at
    ``final_lr_ratio`` in the step after the last.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return 1.0
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.final_lr_ratio + (1 - recipe.final_lr_ratio) * (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimizer: Optimizer, recipe: Recipe, step: int, *, lr: float | None = None) -> None:
    """Give each group its learning rate for a step; ``lr`` in place of the recipe's."""
    rate = (recipe.lr if lr is None else lr) * lr_factor(recipe, step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


class WeightAverage:
    """An exponential moving average of a module's parameters; buffers are not averaged.

    The decay of step t (1 the first) is ``min(decay, (1 + t)/(10 + t))``, so that a short run does not
    average in its start.

    Args:
        module: what is averaged; the average starts as its parameters.
        decay: in (0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the parameters after optimiser step ``step`` (1 the first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in module.named_parameters():
            self.tensors[name].lerp_(parameter.detach(), 1 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Replace the module's parameters by their averages."""
        parameters: dict[str, Tensor] = dict(module.named_parameters())
        for name, average in self.tensors.items():
            parameters[name].copy_(average)
