"""How long `vqbench leaderboard` takes for ten thousand records, from start to end. Goal: under three seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from records import component, environment, make_record, metric, write_record

RECORDS = 10_000


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 quantizer settings × 2 backbones × 5 seeds, as full as those of a real run."""
    folder: Path = tmp_path_factory.mktemp("results")
    names = ("psnr", "ssim", "l1", "code_usage", "perplexity", "code_efficiency", "encode_images_per_second")
    boards: list[Any] = ["quality"] * 3 + ["usage"] * 3 + ["throughput"]
    where = environment()
    for setting in range(RECORDS // 10):
        for backbone in ("unet", "vit"):
            for seed in range(5):
                numbers: dict[str, Any] = {
                    name: metric(20 + setting / 100 + seed / 10, 0.5, board=board, protocol="test set, uint8 RGB")
                    for name, board in zip(names, boards, strict=True)
                }
                record = make_record(
                    quantizer=component(f"vq-{setting}", codebook_size=256, decay=0.99, beta=setting),
                    backbone=component(backbone, width=64, depth=2),
                    seed=seed,
                    levels=((4, (256,)), (8, (256,))),
                    recipe={"steps": 1000, "batch_size": 16, "lr": 1e-3, "loss_weights": {}},
                    metrics=numbers,
                    where=where,
                )
                write_record(folder, record)
    return folder


@pytest.mark.parametrize("form", ["table", "json"])
def test_leaderboard_of_ten_thousand_records(benchmark: Any, results: Path, form: str) -> None:
    command = [sys.executable, "-c", "from vqbench.cli import main; main()", "leaderboard", str(results)]

    def leaderboard() -> str:
        return subprocess.run([*command, "--format", form], capture_output=True, text=True, check=True).stdout

    text = benchmark.pedantic(leaderboard, rounds=3, warmup_rounds=1)
    assert "vq-999" in text
