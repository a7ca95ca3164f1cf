"""Soft information, the coded rate, and what the record keeps of each slot."""

from __future__ import annotations

import math

import pytest
import torch
from toy_unit import toy_catalog, toy_cell

from vqbench.errors import PluginError
from vqbench.interfaces import PosteriorSums
from vqbench.rate import Bits
from vqbench.results import CodeUsageRecord
from vqbench.worker import code_numbers
from vqbench.worker.ablation import Ablation
from vqbench.worker.build import build_tokenizer
from vqbench.worker.code_numbers import coded_rate, dead_slots_note, slot_records, soft_information, usage_measurements
from vqbench.worker.entropy_coding import CodeLog
from vqbench.worker.evaluate import Batches, evaluate
from vqbench.worker.information import SoftInformation
from vqbench.worker.usage import CodeUsage, slot_usage


class Stochastic:
    codebook_sizes = (4, 4)

    def posterior_sums(self, latents, codes):
        """Latents (B, T, K, 1) are the posteriors."""
        return [
            PosteriorSums(
                probabilities=p[..., 0].double().sum(0), entropy=-torch.xlogy(p, p).double().sum(), count=len(p)
            )
            for p in latents.unbind(1)
        ]


def test_information_over_batches_is_that_of_all_positions():
    one_hot, alike = torch.eye(4), torch.full((4, 4), 0.25)
    posteriors = torch.stack([one_hot, alike], dim=1)[..., None]  # (4, 2, 4, 1)
    information = SoftInformation([Stochastic()])
    for batch in posteriors.split(3):
        information.update(0, batch, torch.zeros(0))
    found = information.bits()
    assert found[0, 0] == pytest.approx(2.0)  # log2 4: the image decides the code
    assert found[0, 1] == pytest.approx(0.0, abs=1e-12)  # it says nothing
    assert all(value >= 0 for value in found.values())


def test_sums_of_a_wrong_shape_name_the_plugin():
    class Wrong(Stochastic):
        codebook_sizes = (4, 8)

    with pytest.raises(PluginError, match="Wrong: posterior_sums must return K"):
        SoftInformation([Wrong()]).update(0, torch.ones(1, 2, 4, 1) / 4, torch.zeros(0))


def test_deterministic_methods_have_no_information():
    catalog = toy_catalog()
    tokenizer = build_tokenizer(toy_cell(catalog).unit, catalog)
    images = Batches(torch.rand(5, 3, 8, 8), 2, torch.device("cpu"))
    result = evaluate(tokenizer, images, {})
    assert result.soft_information == {}
    assert soft_information({}, result.code_usage, [16]) == {}
    (record,) = slot_records(result.code_usage, {}, result.soft_information)
    assert (record.soft_mi_bits, record.ablation_mse, record.dead) == (None, None, None)


def test_information_is_summed_over_slots_and_positions():
    usage = [slot_usage(torch.tensor([8]), 4, level=level, slot=slot) for level, slot in ((0, 0), (1, 0), (1, 1))]
    measured = soft_information({(0, 0): 1.0, (1, 0): 0.5, (1, 1): 0.25}, usage, [4, 16])
    assert measured["soft_mi_bits_per_image"].value == pytest.approx(4 * 1.0 + 16 * 0.75)
    assert measured["soft_mi_bits_per_image"].n == 8


def collected(codes, size):
    usage, log = CodeUsage([(size,)]), CodeLog([(size,)])
    usage.update(0, codes)
    log.update(0, codes)
    return usage.compute(), log


def test_the_coded_rate_stands_beside_entropy_and_nominal_bits():
    codes = torch.randint(0, 16, (500, 1, 8, 8), generator=torch.Generator().manual_seed(0)) // 2
    usage, log = collected(codes, 16)
    measured = coded_rate(log, usage, 500)["actual_bits_per_image"]
    entropy = usage_measurements(usage, [64], Bits.whole(256))["entropy_bits_per_image"].value
    assert entropy == pytest.approx(64 * 3, rel=1e-3)
    assert entropy < measured.value < entropy * 1.01
    assert measured.n == 500
    assert measured.details["coder"].startswith("constriction ")


def test_what_cannot_be_coded_has_a_reason(monkeypatch):
    usage, log = collected(torch.arange(64).view(1, 1, 8, 8), 64)
    assert "continuous" in coded_rate(CodeLog([()]), [], 4)["actual_bits_per_image"].reason
    assert "no images" in coded_rate(log, usage, 0)["actual_bits_per_image"].reason
    monkeypatch.setattr(code_numbers, "MOST_CODES", 63)
    assert "more than 63 different codes" in coded_rate(log, usage, 1)["actual_bits_per_image"].reason


def test_records_join_what_is_known_of_a_slot():
    usage, _ = collected(torch.arange(8).view(2, 1, 2, 2), 16)
    (record,) = slot_records(usage, {(0, 0): Ablation(increase=0.5, dead=True)}, {(0, 0): 1.5})
    assert (record.active, record.ablation_mse, record.dead, record.soft_mi_bits) == (8, 0.5, True, 1.5)
    assert record.usage_estimate == 1.0
    assert math.isclose(record.entropy_bits, 3)


def test_records_from_before_are_read():
    CodeUsageRecord.model_validate(
        {
            "level": 0,
            "slot": 0,
            "codebook_size": 4,
            "tokens": 1,
            "active": 1,
            "usage": 0.25,
            "uniform_expectation": 0.25,
            "entropy_bits": 0.0,
            "miller_madow_bits": 0.0,
            "perplexity": 1.0,
        }
    )


def test_dead_slots_are_named():
    alive, dead = Ablation(increase=9.0, dead=False), Ablation(increase=0.0, dead=True)
    assert dead_slots_note({(0, 0): alive}) == []
    assert dead_slots_note({(0, 0): alive, (0, 1): dead, (1, 0): dead, (1, 2): dead}) == [
        "dead: random codes hardly raise the error in level 0 slot 1; level 1 slot 0, 2"
    ]
