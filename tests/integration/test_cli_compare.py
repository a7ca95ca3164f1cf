"""``vqbench compare`` and ``vqbench results`` as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import own_pytest
import pytest
from compared import save
from records import environment, make_record
from timings import timed, timing

from vqbench.results import read_records

NUMBERS = {"psnr": 25.0, "encode_images_per_second": 100.0}


def vqbench(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "import sys; from vqbench.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env=os.environ | {"PYTHONUTF8": "1"},
        check=False,
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save(tmp_path / "base", *(make_record(seed=seed, metrics=NUMBERS) for seed in (0, 1)))


def test_the_same_is_0(base: Path) -> None:
    done = vqbench("compare", base, base)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 same" in done.stdout
    assert done.stdout.endswith("no regression\n")


def test_a_regression_is_1_and_is_written_in_every_format(base: Path, tmp_path: Path) -> None:
    new = save(tmp_path / "new", make_record(seed=0, metrics=NUMBERS | {"psnr": 20.0}))
    outs = [tmp_path / f"out.{suffix}" for suffix in ("txt", "md", "json", "xml")]
    done = vqbench("compare", base, new, "--json", *(part for out in outs for part in ("--out", out)))
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == json.loads(outs[2].read_text())
    assert "WORSE" in outs[0].read_text()
    assert outs[1].read_text().startswith("### vqbench compare: 2 regressions")
    assert ElementTree.parse(outs[3]).getroot().tag == "testsuites"


def test_what_cannot_be_compared_is_2_unless_the_gate_does_not_mind(base: Path, tmp_path: Path) -> None:
    elsewhere = (make_record(seed=seed, metrics=NUMBERS, where=environment("gpu")) for seed in (0, 1))
    new = save(tmp_path / "new", *elsewhere)
    done = vqbench("compare", base, new)
    assert done.returncode == 2
    assert done.stdout.endswith("no regression, but 2 not comparable\n")
    gate = tmp_path / "gate.toml"
    gate.write_text('schema = 1\n[[rules]]\nmetric = "*_per_second"\nrequired = false\n[[rules]]\nmetric = "psrn"\n')
    done = vqbench("compare", base, new, "--gate", gate)
    assert done.returncode == 0
    assert "warning: rules[1] of the gate matched nothing: {'metric': 'psrn'}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("compare", "base", "nowhere"),
            "There are no results nowhere: expected a results folder, a record, or REV:PATH",
        ),
        (("compare", "base", "base", "--gate", "gate.toml"), "Gate file gate.toml cannot be read"),
        (("compare", "base", "base", "--out", "x.pdf"), "does not say which format"),
        (("compare", "base", "base", "--json", "--format", "table"), "contradict each other"),
        (("compare", "base", "base", "--out", "no/folder.md"), "Choose another --out FILE"),
        (("compare", "base"), "Missing argument 'NEW'"),
        (("results", "import", "base", "--suite", "x"), "is a directory"),
        (("results", "import", "none.json", "--suite", "x"), "cannot be read"),
        (("results", "import", "none.json", "--suite", "../x"), "no name of a suite"),
        (("results", "merge", "none", "--results", "base"), "'none' does not exist"),
        (("results", "merge", "other", "--results", "base"), "other has none of the cells of base"),
    ],
)
def test_mistakes_are_2_and_one_message(base: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    save(tmp_path / "other", make_record(seed=7))
    done = vqbench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_comparing_imports_no_torch_and_numpy_only_to_test(base: Path) -> None:
    code = (
        "import sys; from vqbench.cli import main; sys.argv = ['vqbench', 'compare', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'scipy'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(base), str(base)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_runs_of_one_suite_are_merged_into_the_first(tmp_path: Path) -> None:
    for run in range(3):
        save(tmp_path / f"run{run}", timed(timing([100.0 + run])), make_record(seed=1))
    before = (tmp_path / "run1" / "quickstart").iterdir()
    contents = {path: path.read_text() for path in before}
    done = vqbench("results", "merge", "run1", "run2", "--results", "run0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2 cells of 3 runs in run0\n"), done.stderr
    speeds = {tuple(t.samples) for record in read_records(tmp_path / "run0")[0] for t in record.timings}
    assert speeds == {(100.0, 101.0, 102.0)}
    assert {path: path.read_text() for path in contents} == contents
    again = vqbench("results", "merge", "run1", "--results", "run0", cwd=tmp_path)
    assert again.returncode == 2
    assert "of several runs already" in again.stderr


def test_a_real_benchmark_file_goes_all_the_way(tmp_path: Path) -> None:
    (tmp_path / "test_speed.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [10, 1000])\n"
        "def test_sum(benchmark, n):\n"
        "    benchmark.pedantic(lambda: sum(range(n)), rounds=30)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "--benchmark-json",
        "b.json",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=own_pytest.environment())
    done = vqbench("results", "import", "b.json", "--results", "results", "--suite", "speed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 benchmarks in results/speed\n"
    done = vqbench("compare", "results", "results/speed", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [finding["labels"] for finding in json.loads(done.stdout)["findings"]]
    assert sorted(names) == [["test_speed.py::test_sum[1000]"], ["test_speed.py::test_sum[10]"]]
    assert {finding["metric"] for finding in json.loads(done.stdout)["findings"]} == {"seconds"}
