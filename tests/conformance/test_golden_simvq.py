"""The tutorial's SimVQ against vectors recorded from vector-quantize-pytorch."""

from __future__ import annotations

from pathlib import Path

import golden
import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "simvq"


@pytest.mark.parametrize("name", golden.names("vq.simvq"))
def test_simvq_equals_its_original_in_codes_values_loss_and_gradients(name, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLE)
    from vqbench_simvq.quantizer import SimVQ

    case = golden.case(name)
    p = case.parameters
    quantizer = SimVQ(codebook_size=p["K"], dim=p["d"], beta=p["commitment"])
    quantizer.load_state_dict({"frozen": case.tensor("frozen_codebook"), "basis.weight": case.tensor("W")})
    x = case.tensor("x", grad=True)
    out = quantizer(golden.as_image(x, p["layout"]))
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, p["layout"], x.shape))
    loss = sum(part.weight * part.value for part in out.losses.values())
    case.assert_close("loss", loss)
    loss.backward()
    case.assert_close("grad_x_of_loss", x.grad)
    case.assert_close("grad_W_of_loss", quantizer.basis.weight.grad)
    assert [name for name, _ in quantizer.named_parameters()] == ["basis.weight"]
