"""What is compiled on GPUs computes the same; on CPUs here, without the compiler's last stage, which makes the kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqbench.interfaces import Quantizer
from vqbench_plugins.quantizers import fusion
from vqbench_plugins.quantizers.bsq import BSQ
from vqbench_plugins.quantizers.fsq import FSQ
from vqbench_plugins.quantizers.fusion import fused
from vqbench_plugins.quantizers.lfq import LFQ

QUANTIZERS = {
    "fsq": lambda: FSQ([8, 8, 6, 5]),
    "fsq symmetric": lambda: FSQ([7, 5, 2], bound="symmetric"),
    "fsq tokens": lambda: FSQ([8, 5], tokens=2),
    "lfq": lambda: LFQ(bits=10),
    "bsq": lambda: BSQ(bits=10),
}


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "_on_gpu", lambda argument: isinstance(argument, Tensor))
    monkeypatch.setattr(fusion, "_failed", False)
    monkeypatch.setattr(fusion, "BACKEND", "aot_eager")


def trained(quantizer: Quantizer, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value, codes and the gradient of all that is trained."""
    latents = latents.clone().requires_grad_()
    out = quantizer.train()(latents)
    loss = (out.value * torch.linspace(-1, 1, out.value.numel()).view_as(out.value)).sum()
    loss = loss + sum(part.weight * part.value for part in out.losses.values())
    (gradient,) = torch.autograd.grad(loss, latents)
    return out.value.detach(), out.codes, gradient


@pytest.mark.parametrize("name", QUANTIZERS)
def test_compiled_parts_have_the_values_codes_and_gradients(name: str, request: pytest.FixtureRequest) -> None:
    quantizer = QUANTIZERS[name]()
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(n, quantizer.latent_channels, h, w, generator=generator) for n, h, w in ((2, 8, 8), (3, 5, 7))
    ]
    plain = [(*trained(quantizer, z), quantizer.eval()(z).codes) for z in inputs]
    request.getfixturevalue("as_on_a_gpu")
    for z, (value, codes, gradient, evaluated) in zip(inputs, plain, strict=True):
        again = trained(quantizer, z)
        assert torch.equal(again[0], value)
        assert torch.equal(again[1], codes)
        torch.testing.assert_close(again[2], gradient, rtol=1e-5, atol=1e-6 * float(gradient.abs().max()))
        assert torch.equal(quantizer.eval()(z).codes, evaluated)
    assert not fusion._failed


@pytest.mark.usefixtures("as_on_a_gpu")
def test_where_compilation_fails_the_function_runs_as_written_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> object:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr(torch, "compile", lambda function, **options: broken)
    double = fused(lambda x: 2 * x)
    with pytest.warns(UserWarning, match=r"torch\.compile failed: no compiler$"):
        assert double(torch.ones(1)) == 2
    assert double(torch.ones(1)) == 2  # warnings are errors here


@pytest.mark.usefixtures("as_on_a_gpu")
def test_the_functions_own_errors_are_raised() -> None:
    @fused
    def refuse(x: Tensor) -> Tensor:
        raise ValueError("not this")

    with pytest.raises(ValueError, match="not this"):
        refuse(torch.ones(1))
    assert not fusion._failed


def test_nothing_is_compiled_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **options: pytest.fail("compiled"))
    assert fused(lambda x: 2 * x)(torch.ones(1)) == 2
