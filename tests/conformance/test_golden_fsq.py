"""FSQ against vectors recorded from the authors' notebook and from the ports."""

from __future__ import annotations

import golden
import pytest
import torch

from vqbench_plugins.quantizers.fsq import FSQ

BOUNDS = {
    "tan_minus_eps": "official",
    "atanh_plus_eps": "atanh",
    "symmetric_tanh": "symmetric",
    "symmetric_clamp": "symmetric-clamp",
}
CASES = golden.names(rule="fsq")


def build(case: golden.Case) -> FSQ:
    parameters = case.parameters
    order = parameters["index_order"].replace("_", "-")
    tokens = parameters["num_codebooks"]
    return FSQ(levels=parameters["levels"], bound=BOUNDS[parameters["bound"]], index_order=order, tokens=tokens)


@pytest.mark.parametrize("name", CASES)
def test_evaluation_gives_the_recorded_codes_and_values(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    out = build(case).eval()(golden.as_image(case.tensor("x"), layout))
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", golden.from_image(out.value, layout, case["x"].shape))


@pytest.mark.parametrize("name", CASES)
def test_training_gives_the_recorded_values_and_gradient(name: str) -> None:
    case = golden.case(name)
    layout = case.parameters["layout"]
    x = case.tensor("x", grad=True)
    out = build(case).train()(golden.as_image(x, layout))
    value = golden.from_image(out.value, layout, x.shape)
    case.assert_codes("indices", golden.codes_from_image(out.codes, case["indices"]))
    case.assert_close("quantized", value)
    assert not out.losses
    if "w" in case:
        (value * case.tensor("w")).sum().backward()
        case.assert_close("grad_x_of_qw", x.grad)


@pytest.mark.parametrize("name", [name for name in CASES if "bounded" in golden.case(name)])
def test_the_bound_gives_the_recorded_values(name: str) -> None:
    case = golden.case(name)
    bounded = build(case).bounded(golden.as_image(case.tensor("x"), "blc"))
    case.assert_close("bounded", golden.from_image(bounded, "blc", case["x"].shape))


@pytest.mark.parametrize("name", [name for name in CASES if "digits" in golden.case(name)])
def test_codes_are_made_of_the_recorded_digits(name: str) -> None:
    case = golden.case(name)
    codes = build(case).eval()(golden.as_image(case.tensor("x"), "blc")).codes.flatten()
    digits = []
    for levels in case.parameters["levels"]:  # channel 0 is the least significant digit
        digits.append(codes % levels)
        codes = codes // levels
    case.assert_codes("digits", torch.stack(digits, dim=-1).reshape(case["digits"].shape))


@pytest.mark.parametrize("name", [name for name in CASES if "decode_indices" in golden.case(name)])
def test_codes_decode_to_the_recorded_values(name: str) -> None:
    case = golden.case(name)
    value = build(case).decode(case.tensor("decode_indices").reshape(1, 1, 1, -1))
    case.assert_close("decode_values", golden.from_image(value, "blc", case["decode_values"].shape))
