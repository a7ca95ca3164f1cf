"""How a tokenizer is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Recipe"]

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Recipe(BaseModel):
    """Losses, optimiser, length and precision of a training run; all of it is part of a cell's identity.

    The reconstruction error is taken on images scaled to [-1, 1]. Losses that a quantizer leaves carry their own weights;
    ``loss_weights`` overrides them by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    steps: int = Field(1000, ge=0, le=100_000_000, description="optimiser steps")
    batch_size: int = Field(16, ge=1, le=65_536, description="images per step")
    optimizer: Literal["adam", "adamw"] = "adamw"
    lr: Positive = 1e-3
    betas: list[Annotated[float, Field(ge=0, lt=1)]] = Field([0.9, 0.99], min_length=2, max_length=2)
    weight_decay: NonNegative = 1e-4
    warmup_steps: int = Field(0, ge=0, description="linear warm-up from lr / warmup_steps")
    schedule: Literal["cosine", "constant"] = "cosine"
    final_lr_ratio: float = Field(0.05, ge=0, le=1, description="where the cosine ends, relative to lr")
    gradient_clip: Positive | None = Field(1.0, description="largest norm of the gradient; none if absent")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="average the weights; evaluate the average")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 autocast on a GPU, else fp32")
    reconstruction: Literal["l1", "mse"] = "l1"
    loss_weights: dict[str, NonNegative] = Field(default_factory=dict)
    lpips_weight: NonNegative = 0.0
    gan_weight: NonNegative = Field(0.0, description="weight of the hinge GAN term")
    gan_adaptive: bool = Field(True, description="scale the GAN term by the ratio of gradient norms at the last layer")
    gan_start: int = Field(0, ge=0, description="step at which the discriminator joins")
    gan_lr: Positive | None = Field(None, description="the discriminator's learning rate; lr if absent")

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Recipe:
        if self.steps and self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) exceeds steps ({self.steps})")
        return self

    @property
    def images_seen(self) -> int:
        """Training images consumed, with repetition: what two runs must share to be ranked together."""
        return self.steps * self.batch_size
