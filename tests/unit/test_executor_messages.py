"""What workers say, how failures are told apart, and what the machine shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqbench.errors import UnavailableError
from vqbench.run import machine
from vqbench.run.failures import died, explain
from vqbench.run.job import Failure, Message, Progress
from vqbench.run.messages import clip, decode, encode

STAGES = st.sampled_from(["plan", "start", "data", "train", "convert", "evaluate", "time", "record"])
PROGRESS = st.builds(Progress, stage=STAGES, done=st.integers(), total=st.integers(), detail=st.text(max_size=200))
FAILURES = st.builds(
    Failure,
    status=st.sampled_from(["failed", "timeout", "out_of_memory", "unavailable", "interrupted"]),
    stage=STAGES,
    kind=st.text(max_size=200),
    message=st.text(),
    traceback=st.text(),
    stderr=st.text(),
)


@given(st.one_of(PROGRESS, FAILURES, st.just("done")))
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary().filter(lambda raw: b'"done"' not in raw))
def test_noise_is_no_message(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode(raw)


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"progress": {"stage": "train"}}', b'{"failure": []}'])
def test_json_that_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode(raw)


def test_long_and_unwritable_texts_are_cut_to_fit_a_record() -> None:
    failure = Failure(status="failed", stage="train", kind="k", message="m" * 30_000, traceback="a" * 200_000 + "end")
    sent = decode(encode(failure))
    assert isinstance(sent, Failure)
    assert len(sent.message) == 20_000
    assert len(sent.traceback) == 100_000
    assert sent.traceback.endswith("end")
    assert clip("\ud800x", 10) == "?x"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (UnavailableError("no weights"), "unavailable"),
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("shapes differ"), "failed"),
        (ValueError("out of memory is a phrase here"), "failed"),
    ],
)
def test_errors_have_their_status(error: BaseException, status: str) -> None:
    assert explain(error, "train").status == status


def test_a_kill_counts_as_out_of_memory_only_if_the_kernel_says_so() -> None:
    assert died(-9, "train", out_of_memory=True).status == "out_of_memory"
    assert died(-9, "train", out_of_memory=False).status == "failed"
    assert died(-11, "train", out_of_memory=True).status == "failed"


@pytest.mark.parametrize(
    ("membership", "file", "content"),
    [
        ("0::/a/b\n", "a/b/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n"),
        ("9:cpu:/x\n4:memory,hugetlb:/y\n0::/\n", "memory/y/memory.oom_control", "under_oom 0\noom_kill 3\n"),
    ],
)
def test_kernel_kills_are_counted_in_both_versions_of_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, file: str, content: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(content)
    read = machine._read
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_read", lambda path: membership if path.name == "cgroup" else read(path))
    assert machine.oom_kills() == 3


def test_a_quota_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert machine.usable_cores() == 64
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.usable_cores() == 64
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.usable_cores() == 2
