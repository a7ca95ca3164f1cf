"""pytest-benchmark's files in the store."""

from __future__ import annotations

import json

import numpy as np
import pytest
from compared import compared, only, save
from records import make_record

from vqbench.errors import RecordError
from vqbench.intervals import ORDER_STATISTICS
from vqbench.results import import_pytest_benchmarks, read_benchmarks, read_records, write_benchmarks

MACHINE = {
    "node": "host",
    "machine": "x86_64",
    "system": "Linux",
    "python_implementation": "CPython",
    "python_implementation_version": "3.12.4",
    "cpu": {"brand_raw": "A processor", "count": 2, "hz_actual_friendly": "2.4 GHz"},
}


def document(*data, machine=None, names=None):
    return {
        "machine_info": MACHINE | (machine or {}),
        "commit_info": {"id": "x"},
        "benchmarks": [
            {
                "group": None,
                "name": f"test_{index}",
                "fullname": names[index] if names else f"benchmarks/test_x.py::test_{index}",
                "params": {"size": 3},
                "stats": {"median": float(np.median(samples)), "rounds": len(samples), "data": list(samples), "min": 0},
                "options": {"timer": "perf_counter"},
            }
            for index, samples in enumerate(data)
        ],
        "datetime": "2025-01-01T00:00:00+00:00",
        "version": "5.0.0",
    }


def imported(folder, *data, **more):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "file.json"
    path.write_text(json.dumps(document(*data, **more)))
    write_benchmarks(folder / "speed", import_pytest_benchmarks([path], suite="speed"))
    return folder


def times(seed, n=20, slower=1.0):
    return slower * (0.01 + np.random.default_rng(seed).gamma(2, 0.0002, n))


def test_they_come_back_and_are_no_records(tmp_path):
    imported(tmp_path, times(0), times(1))
    records, broken = read_benchmarks(tmp_path)
    assert not broken
    assert read_benchmarks(tmp_path / "speed")[0] == records
    assert read_records(tmp_path) == ([], [])
    first = min(records, key=lambda record: record.name)
    assert (first.name, first.parameters, first.tool) == (
        "benchmarks/test_x.py::test_0",
        "size=3",
        "pytest-benchmark 5.0.0",
    )
    assert first.seconds.value == pytest.approx(np.median(times(0)))
    assert list(first.seconds.samples) == list(times(0))
    assert first.seconds.interval == ORDER_STATISTICS
    assert first.seconds.low is not None
    assert first.seconds.low < first.seconds.value < (first.seconds.high or 0)
    assert first.machine["processor"] == "A processor"


def test_a_planted_slowdown_is_caught_and_the_rest_is_the_same(tmp_path):
    base = imported(tmp_path / "base", *(times(seed) for seed in range(20)))
    new = imported(tmp_path / "new", *(times(seed + 100, slower=1.2 if seed == 3 else 1) for seed in range(20)))
    report = compared(base, new)
    [found] = report.of("regression")
    assert (found.metric, found.entry.title, found.verdict) == ("seconds", "benchmarks/test_x.py::test_3", "worse")
    assert report.counts["same"] == 19
    gate = {"rules": [{"benchmark": "test_3", "factor": 1.5}]}
    assert compared(base, new, gate).exit_code == 0


def test_one_gate_serves_cells_and_benchmarks(tmp_path):
    for name in ("base", "new"):
        imported(tmp_path / name, times(0))
        save(tmp_path / name, make_record())
    assert sorted(found.entry.kind for found in compared(tmp_path / "base", tmp_path / "new").findings) == [
        "benchmark",
        "cell",
    ]


def test_another_machine_is_refused_but_not_another_host_of_its_kind(tmp_path):
    base = imported(tmp_path / "base", times(0))
    other = imported(tmp_path / "other", times(0), machine={"cpu": {"brand_raw": "Another"}})
    same = imported(tmp_path / "same", times(1), machine={"node": "next", "python_implementation_version": "3.12.9"})
    assert only(compared(base, other)).verdict == "not comparable"
    assert only(compared(base, same)).verdict == "same"


def test_an_import_replaces_the_one_before_so_that_what_is_gone_is_missed(tmp_path):
    base = imported(tmp_path / "base", times(0), times(1))
    new = imported(imported(tmp_path / "new", times(0), times(1)), times(0))
    assert [found.verdict for found in compared(base, new).findings] == ["same", "missing"]


def test_seconds_of_another_clock_are_no_match(tmp_path):
    base = imported(tmp_path / "base", times(0))
    new = imported(tmp_path / "new", times(0))
    path = tmp_path / "new" / "file.json"
    path.write_text(path.read_text().replace("perf_counter", "process_time"))
    write_benchmarks(new / "speed", import_pytest_benchmarks([path], suite="speed"))
    found = only(compared(base, new))
    assert (found.verdict, "process_time" in found.reason) == ("not comparable", True)


def test_very_many_rounds_are_thinned_evenly(tmp_path):
    [record] = read_benchmarks(imported(tmp_path, np.arange(1, 2501, dtype=float)))[0]
    assert record.seconds.n == 2500
    assert record.seconds.value == 1250.5
    assert list(record.seconds.samples) == list(np.arange(1, 2501, 3, dtype=float))


def test_of_several_files_each_is_one_sample(tmp_path):
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path, data in zip(paths, ([[1.0, 2.0, 9.0], [5.0, 6.0, 7.0]], [[3.0]]), strict=True):
        path.write_text(json.dumps(document(*data)))
    first, second = import_pytest_benchmarks(paths, suite="speed")
    assert (first.seconds.value, first.seconds.n, list(first.seconds.samples)) == (2.0, 2, [1.0, 3.0])
    assert (second.seconds.value, second.seconds.n) == (6.0, 3)
    assert first.seconds.protocol != second.seconds.protocol
    paths[0].write_text(json.dumps(document(np.arange(11, 0, -1.0))))
    [best, _] = import_pytest_benchmarks(paths, suite="speed")[0].seconds.samples
    assert best == 2.0  # one lucky round of eleven says nothing
    paths[1].write_text(json.dumps(document([3.0], machine={"machine": "arm64"})))
    with pytest.raises(RecordError, match=r"b.json is of another machine than .*a.json"):
        import_pytest_benchmarks(paths, suite="speed")


def passes(folder, draws, count, slower=()):
    """Twenty benchmarks, timed in so many processes; each has a load of its own, which all of its rounds share."""
    folder.mkdir()
    paths = [folder / f"{index}.json" for index in range(count)]
    for path in paths:
        load = 1 + draws.gamma(1, 0.3, 20)
        data = (load[i] * times(draws.integers(1 << 30), slower=1.2 if i in slower else 1.0) for i in range(20))
        path.write_text(json.dumps(document(*data)))
    write_benchmarks(folder / "speed", import_pytest_benchmarks(paths, suite="speed"))
    return folder


def test_load_that_lasts_as_long_as_a_process_raises_no_alarm_where_there_are_passes(tmp_path):
    draws = np.random.default_rng(0)
    alarms = 0
    for trial in range(20):
        base, new = (passes(tmp_path / f"{name}{trial}", draws, 6) for name in ("base", "new"))
        alarms += any(found.verdict in ("worse", "better") for found in compared(base, new).findings)
    assert alarms <= 4  # of 20 at a level of 5 %: more once in a hundred times


def test_files_without_rounds_are_not_compared_by_chance(tmp_path):
    for name, median in (("base", 1.0), ("new", 2.0)):
        made = document([median, median])
        del made["benchmarks"][0]["stats"]["data"]
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(made))
        write_benchmarks(tmp_path / name / "speed", import_pytest_benchmarks([path], suite="speed"))
    assert only(compared(tmp_path / "base", tmp_path / "new")).verdict == "not comparable"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.pop("machine_info"), "machine_info"),
        (lambda made: made.update(benchmarks=[]), "benchmarks"),
        (lambda made: made["benchmarks"][0]["stats"].update(median="fast"), "benchmarks.0.stats.median"),
        (lambda made: made["benchmarks"][0]["stats"].update(data=[float("nan")]), "benchmarks.0.stats.data.0"),
        (lambda made: made["benchmarks"][0].update(fullname="x" * 501), "benchmarks.0.fullname"),
    ],
)
def test_what_is_no_such_file_is_one_message(tmp_path, change, message):
    made = document(times(0))
    change(made)
    path = tmp_path / "file.json"
    path.write_text(json.dumps(made))
    with pytest.raises(RecordError, match="no file of pytest-benchmark.*" + message):
        import_pytest_benchmarks([path], suite="speed")
    path.write_text("{")
    with pytest.raises(RecordError, match="no file of pytest-benchmark"):
        import_pytest_benchmarks([path], suite="speed")
    with pytest.raises(RecordError, match="cannot be read"):
        import_pytest_benchmarks([tmp_path / "none.json"], suite="speed")


def test_damaged_and_renamed_benchmarks_are_named(tmp_path):
    imported(tmp_path / "base", times(0), times(1))
    imported(tmp_path / "new", times(0), times(1))
    first, second = sorted((tmp_path / "new" / "speed").iterdir())
    first.write_text("{}")
    second.rename(second.with_name("0123456789abcdef.benchmark.json"))
    records, broken = read_benchmarks(tmp_path / "new")
    assert not records
    assert ["damaged" in b.reason or "another benchmark" in b.reason for b in broken] == [True, True]
    report = compared(tmp_path / "base", tmp_path / "new")
    assert len(report.of("regression")) == 2
