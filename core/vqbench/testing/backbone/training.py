"""Checks of a backbone's parameters: all of them learn, the last layer is the last, and they survive saving."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import torch
from torch import Tensor, nn

from vqbench.interfaces import Backbone
from vqbench.testing.backbone.parts import (
    backbone_of,
    first_built,
    geometry_of,
    new_backbone,
    pass_through,
    some_images,
    values_from,
)
from vqbench.testing.check import Check, NotApplicable, check, expect
from vqbench.testing.randomness import reseed
from vqbench.testing.subject import Subject
from vqbench.worker.tensor_file import check_tensors, read_tensor_file, write_tensor_file

__all__ = ["TRAINING_CHECKS"]

STEPS = 3
"""Layers that start at zero keep the gradient from others in the first step."""


@check(
    protects="A parameter without a gradient is never trained, yet counted among the parameters.",
    fix="Look for layers that forward passes do not use, and for detach(), round() or no_grad() on the way.",
)
def every_parameter_is_trained(subject: Subject) -> None:
    shared = backbone_of(subject)
    backbone = deepcopy(shared).train()
    idle = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    optimiser = torch.optim.SGD(backbone.parameters(), lr=1e-2)
    for _ in range(STEPS):
        images = some_images(backbone, 2)
        optimiser.zero_grad()
        error = (backbone.decode(pass_through(backbone, images).values) - images).square().mean()
        error.backward()  # type: ignore[no-untyped-call]
        for name, parameter in backbone.named_parameters():
            if parameter.grad is not None:
                expect(parameter.grad.isfinite().all(), f"the gradient of {name} is not finite")
                idle -= {name} if parameter.grad.any() else set()
        if not idle:
            break
        optimiser.step()
    expect(not idle, "no gradient reaches", got=", ".join(sorted(idle)[:4]), expected="one for every parameter")


@check(
    protects="One seed must give one record: weights that it does not decide differ from run to run.",
    fix="Initialise by torch's global generator (torch.nn.init), which is seeded for each component; not by numpy or Python.",
)
def the_seed_decides_the_weights(subject: Subject) -> None:
    backbone = backbone_of(subject)
    reseed(7)
    again = first_built(subject, (geometry_of(backbone),)).state_dict()
    state = backbone.state_dict()
    other = [name for name, tensor in state.items() if not torch.equal(again[name], tensor)]
    expect(not other, "two backbones of one seed differ in", got=", ".join(other[:4]), expected="none")


@check(
    protects="Adaptive weights of losses are computed from the gradients of this layer; another one scales them wrongly.",
    fix="Return the weight of the decoder's last layer: the parameter itself, not a copy or its data.",
)
def last_layer_is_next_to_the_image(subject: Subject) -> None:
    backbone = backbone_of(subject)
    last = backbone.last_layer
    parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    expect(any(parameter is last for parameter in parameters), "last_layer is none of the parameters that are trained")
    distance = _distances(backbone.decode(values_from(backbone, some_images(backbone, 1))))
    expect(last in distance, "last_layer has no part in decode()")
    nearer = [
        name
        for name, parameter in backbone.named_parameters()
        if parameter.ndim > 1 and distance.get(parameter, distance[last]) < distance[last]
    ]
    expect(not nearer, "other weights come after last_layer", got=", ".join(nearer[:4]), expected="none")


@check(
    protects="Clamped images give no gradient where they are clamped; metrics clamp by themselves.",
    fix="Return the last layer's output, scaled to [0, 1] but not clamped.",
)
def images_leave_unclamped(subject: Subject) -> None:
    backbone = deepcopy(backbone_of(subject))
    values = values_from(backbone, some_images(backbone))
    with torch.no_grad():
        for _ in range(30):
            images = backbone.decode(values)
            if images.std() > 0.3:  # as wide as [0, 1] allows: some values are outside, unless they are held back
                break
            backbone.last_layer.mul_(2)
        else:
            raise NotApplicable("the last layer does not scale the images")
    clamped = float(((images == 0) | (images == 1)).float().mean())
    expect(clamped < 0.01, "decoded values are exactly 0 or 1", got=f"{clamped:.0%} of them", expected="next to none")


@check(
    protects="A checkpoint holds the state dict alone: what is not in it is lost, and the numbers with it.",
    fix="Keep all that the outputs depend on in parameters and buffers (register_buffer), and none of it random otherwise.",
)
def state_survives_saving(subject: Subject) -> None:
    backbone = backbone_of(subject)
    other = new_backbone(subject, geometry_of(backbone)).eval()
    with tempfile.TemporaryDirectory(prefix="vqbench-check-") as folder:
        path = Path(folder, "state.safetensors")
        write_tensor_file(path, backbone.state_dict(), {})
        _, state = read_tensor_file(path)
        check_tensors(path, state, other.state_dict())
    other.load_state_dict(state)
    _expect_equal(backbone, other, "is another after saving and loading")


@check(
    protects="A module that cannot be copied or pickled cannot be sent to another process, nor averaged over training.",
    fix="Keep no open files, lambdas or local classes in the module.",
)
def pickles_for_a_spawned_process(subject: Subject) -> None:
    backbone = backbone_of(subject)
    _expect_equal(backbone, ForkingPickler.loads(ForkingPickler.dumps(backbone)), "is another after pickling")


@torch.no_grad()
def _expect_equal(backbone: Backbone, other: Backbone, what: str) -> None:
    images = some_images(backbone, 2)
    values = values_from(backbone, images)
    expect(all(map(torch.equal, values_from(other, images), values)), f"the encoder {what}")
    expect(torch.equal(other.decode(values), backbone.decode(values)), f"the decoder {what}")


def _distances(output: Tensor) -> dict[nn.Parameter, int]:
    """How many steps of the backward pass lie between an output and each parameter it depends on, at least."""
    assert output.grad_fn is not None
    found: dict[nn.Parameter, int] = {}
    nodes, seen, distance = [output.grad_fn], {output.grad_fn}, 0
    while nodes:
        following = []
        for node in nodes:
            if hasattr(node, "variable"):  # where the gradient of a parameter is added up
                found[node.variable] = distance
            following += [after for after, _ in node.next_functions if after is not None and after not in seen]
            seen.update(following)
        nodes, distance = following, distance + 1
    return found


TRAINING_CHECKS: tuple[Check, ...] = (
    the_seed_decides_the_weights,
    every_parameter_is_trained,
    last_layer_is_next_to_the_image,
    images_leave_unclamped,
    state_survives_saving,
    pickles_for_a_spawned_process,
)
