"""Stages of a tokenizer in their settings: what is measured, and what becomes of what cannot be."""

from __future__ import annotations

import statistics
from functools import partial

import pytest
import torch
from toy_unit import toy_catalog, toy_cell

from vqbench.errors import UnavailableError
from vqbench.ops.threads import torch_threads
from vqbench.plan import Setting, Timing
from vqbench.worker.build import build_tokenizer
from vqbench.worker.environment import describe_environment
from vqbench.worker.timing import throughput_metrics, time_tokenizer
from vqbench.worker.timing.largest import find_largest_batch
from vqbench.worker.timing.measure import Timings
from vqbench.worker.timing.stages import check_setting, in_setting, prepare_stage

CPU = torch.device("cpu")
STAGES = ["encode", "quantize", "decode", "end_to_end"]


def tokenizer_of(quantizer: str):
    return build_tokenizer(toy_cell(toy_catalog(), quantizer).unit, toy_catalog())


@pytest.fixture
def tokenizer():
    return tokenizer_of("two_noisy")


@pytest.fixture
def images():
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def timed(tokenizer, images, **table) -> Timings:
    return time_tokenizer(tokenizer, images, Timing(seconds=0.01, **table), batch_size=4)


def test_every_stage_is_timed_in_every_setting(tokenizer, images) -> None:
    told = []
    timing = Timing(stages=STAGES, batch_sizes=[1, 5], dtypes=["fp32", "bf16"], seconds=0.01)
    measured = time_tokenizer(tokenizer, images, timing, batch_size=4, report=lambda *progress: told.append(progress))
    keys = [record.key for record in measured.records]
    assert keys == [(s, b, 1, d, False, False) for d in ("fp32", "bf16") for b in (1, 5) for s in STAGES]
    assert [progress[:2] for progress in told] == [(i, 16) for i in range(16)]
    assert measured.largest is None
    tokens = 64 // 16 * 1 + 64 // 4 * 1  # of the toy's two levels
    for record in measured.records:
        assert record.reason is None
        assert record.low is None or record.low <= record.images_per_second <= record.high
        assert min(record.samples) <= record.images_per_second <= max(record.samples)
        assert record.latency_ms_p50 <= record.latency_ms_p95
        latencies = [1e3 * record.batch_size / rate for rate in record.samples]
        assert record.latency_ms_p50 == pytest.approx(statistics.median(latencies), rel=1e-4)
        assert record.tokens_per_second == pytest.approx(record.images_per_second * tokens)
        assert record.peak_bytes or record.peak_bytes_reason
        assert record.joules_per_image is None
        assert record.joules_reason


def test_stages_do_what_the_tokenizer_does(tokenizer, images) -> None:
    tokenizer.eval()
    with in_setting(tokenizer, Setting(batch_size=3), CPU):
        codes, latents = tokenizer.encode_with_latents(images)
        made = {stage: prepare_stage(tokenizer, stage, images) for stage in STAGES}
        outputs = {stage: run.function(run.first) for stage, run in made.items()}
        assert all(map(torch.equal, outputs["encode"], codes))
        assert all(map(torch.equal, made["quantize"].first, latents))
        assert all(torch.equal(q.codes, c) for q, c in zip(outputs["quantize"], codes, strict=True))
        assert torch.equal(outputs["decode"], tokenizer.decode(codes))
        assert torch.equal(outputs["end_to_end"], tokenizer.decode(codes))


def test_a_continuous_latent_is_timed_end_to_end_only(images) -> None:
    measured = timed(tokenizer_of("gauss"), images, stages=STAGES)
    by_stage = {record.stage: record for record in measured.records}
    assert by_stage["end_to_end"].images_per_second > 0
    assert all("no codes" in by_stage[stage].reason for stage in ("encode", "quantize", "decode"))


def test_a_device_that_lacks_a_dtype_has_null_with_a_reason(tokenizer, images) -> None:
    (record,) = timed(tokenizer, images, stages=["encode"], dtypes=["tf32"]).records
    assert (record.images_per_second, record.reason) == (None, "tf32 is of NVIDIA GPUs")
    assert record.fingerprint == describe_environment(CPU, setting=Setting(batch_size=4, dtype="tf32")).fingerprint


def test_dtypes_of_gpus_that_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    check_setting(Setting(batch_size=1, dtype="fp32"), torch.device("cuda"))
    for dtype in ("tf32", "bf16"):
        with pytest.raises(UnavailableError, match="this GPU has no"):
            check_setting(Setting(batch_size=1, dtype=dtype), torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    check_setting(Setting(batch_size=1, dtype="tf32"), torch.device("cuda"))


def test_numbers_of_threads_are_timed_apart_and_torch_keeps_its_own(tokenizer, images, monkeypatch) -> None:
    monkeypatch.setattr("vqbench.worker.timing.stages.usable_cores", lambda: 2)
    seen, encode = [], type(tokenizer).encode

    def watched(self, images, **options):
        seen.append(torch.get_num_threads())
        return encode(self, images, **options)

    monkeypatch.setattr(type(tokenizer), "encode", watched)
    with torch_threads(3):
        one, two, three = timed(tokenizer, images, stages=["encode"], threads=[1, 2, 3]).records
        assert torch.get_num_threads() == 3
    assert set(seen) == {1, 2}
    assert (one.threads, two.threads) == (1, 2)
    assert one.images_per_second > 0
    assert two.images_per_second > 0
    assert one.fingerprint != two.fingerprint
    assert three.images_per_second is None
    assert three.reason == "3 threads, but this process may use 2 cores"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried …"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "out of memory"),
        (ValueError("no  such\nkernel"), "ValueError: no such kernel"),
    ],
)
def test_what_fails_is_null_with_its_reason_and_the_rest_is_measured(
    tokenizer, images, monkeypatch, error: Exception, reason: str
) -> None:
    decode = type(tokenizer).decode

    def failing(self, codes, **options):
        if len(codes[0]) > 2:
            raise error
        return decode(self, codes, **options)

    monkeypatch.setattr(type(tokenizer), "decode", failing)
    records = timed(tokenizer, images, batch_sizes=[8, 1]).records
    assert [(r.stage, r.batch_size) for r in records if r.images_per_second is None] == [("decode", 8)]
    assert [r.reason for r in records if r.reason] == [reason]


def test_a_failed_compilation_is_null_with_its_reason(tokenizer, images, monkeypatch) -> None:
    def refuse(function, **options):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", refuse)
    eager, compiled = timed(tokenizer, images, stages=["encode"], compile=[False, True]).records
    assert eager.images_per_second is not None
    assert (compiled.compile, compiled.reason) == (True, "RuntimeError: no C++ compiler")


def test_what_is_compiled_is_the_stage_and_how_long_that_took_is_apart(tokenizer, images, monkeypatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiled.append(options) or function)
    (record,) = timed(tokenizer, images, stages=["encode"], compile=[True]).records
    assert compiled == [{"dynamic": False}]
    assert record.compile_seconds > 0


def test_the_tokenizer_and_the_precision_are_left_as_they_were(tokenizer, images, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    tokenizer.train()
    weights = next(p for p in tokenizer.parameters() if p.ndim == 4)
    with in_setting(tokenizer, Setting(batch_size=1, channels_last=True), CPU):
        assert not torch.backends.cudnn.allow_tf32  # fp32 is fp32 in convolutions too
        assert not tokenizer.training
        assert weights.is_contiguous(memory_format=torch.channels_last)
    assert torch.backends.cudnn.allow_tf32
    assert tokenizer.training
    assert weights.is_contiguous()
    assert timed(tokenizer, images, channels_last=True).records[0].channels_last


def test_the_largest_batch_is_the_last_that_fits(tokenizer, images, monkeypatch) -> None:
    encode = type(tokenizer).encode

    def limited(self, images, **options):
        if len(images) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, images, **options)

    monkeypatch.setattr(type(tokenizer), "encode", limited)
    monkeypatch.setattr("vqbench.worker.timing.largest._is_near_limit", lambda base, peak: False)
    found = find_largest_batch(tokenizer, images, Setting(batch_size=1))
    assert (found.size, found.why) == (16, "out of memory")
    assert find_largest_batch(tokenizer, images, Setting(batch_size=1), most=8).size == 8
    assert find_largest_batch(tokenizer, images, Setting(batch_size=1), longest=0.0).why == "calls get too long"
    monkeypatch.setattr("vqbench.worker.timing.largest._is_near_limit", lambda base, peak: True)
    assert find_largest_batch(tokenizer, images, Setting(batch_size=1)).why == "twice as many would not fit"


def test_the_largest_batch_is_recorded_apart(tokenizer, images, monkeypatch) -> None:
    monkeypatch.setattr("vqbench.worker.timing.measure.find_largest_batch", partial(find_largest_batch, most=2))
    measured = timed(tokenizer, images, batch_sizes=[1], largest_batch=True)
    apart = [record for record in measured.records if record.largest]
    assert measured.largest is not None
    assert {record.batch_size for record in apart} == {measured.largest.size}
    metrics = throughput_metrics(measured, Setting(batch_size=1))
    assert metrics["largest_batch"].value == measured.largest.size
    assert metrics["largest_batch"].details == {"stopped by": measured.largest.why}


def test_the_largest_batch_of_a_dtype_that_is_not_there_is_null(tokenizer, images) -> None:
    measured = timed(tokenizer, images, dtypes=["tf32"], largest_batch=True)
    metric = throughput_metrics(measured, Setting(batch_size=4, dtype="tf32"))["largest_batch"]
    assert (metric.value, metric.reason) == (None, "tf32 is of NVIDIA GPUs")


def test_headline_speeds_are_those_of_one_setting_with_their_samples(tokenizer, images) -> None:
    timing = Timing(batch_sizes=[1, 2], dtypes=["fp32", "bf16"], seconds=0.01)
    measured = time_tokenizer(tokenizer, images, timing, batch_size=4)
    metrics = throughput_metrics(measured, timing.headline(4))
    assert sorted(metrics) == ["decode_images_per_second", "encode_images_per_second"]
    (source,) = [r for r in measured.records if r.key == ("encode", 2, 1, "fp32", False, False)]
    encode = metrics["encode_images_per_second"]
    assert (encode.value, encode.samples, encode.n) == (source.images_per_second, source.samples, len(source.samples))
    assert encode.protocol.startswith("batch 2, fp32, eager, 1 thread; ")


def test_only_how_and_where_it_was_timed_makes_the_fingerprint() -> None:
    def fingerprint(**setting) -> str:
        return describe_environment(CPU, setting=Setting(**{"batch_size": 1} | setting)).fingerprint

    different = [fingerprint(), fingerprint(threads=2), fingerprint(dtype="bf16"), fingerprint(compile=True)]
    different.append(fingerprint(channels_last=True))
    assert len(set(different)) == 5
    assert fingerprint(batch_size=8) == fingerprint()  # a table of its own, but the same environment
    assert describe_environment(CPU, threads=1).fingerprint == fingerprint()


def test_the_driver_is_read_from_its_module(tmp_path, monkeypatch) -> None:
    from vqbench.worker import environment

    monkeypatch.setattr(environment, "DRIVER", tmp_path / "version")
    assert environment._driver() is None
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    )
    assert environment._driver() == "580.65.06"
