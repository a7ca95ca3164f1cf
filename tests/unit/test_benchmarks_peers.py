"""The comparison with other libraries: what it computes from what it measures, and that wrong answers are seen."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.peers import worker
from benchmarks.peers.agreement import Agreement, check_codes, gradient_difference
from benchmarks.peers.cases import Case, make_inputs
from benchmarks.peers.contender import Contender, Outputs
from benchmarks.peers.contenders import CONTENDERS, contenders_of
from benchmarks.peers.goals import GOALS, Goal, judge, smaller
from benchmarks.peers.measure import INSTALL_HINT, Measurement, measure_case
from benchmarks.peers.memory import extra_bytes
from benchmarks.peers.ours import OURS
from benchmarks.peers.packages import VECTOR_QUANTIZE
from benchmarks.peers.plain import ADDMM, CDIST, COMPILED, DENSE
from benchmarks.peers.roofline import Rates, Work, floor_seconds, work_of
from benchmarks.peers.table import Judged, Measured, Report, as_json, as_markdown
from vqbench.worker.environment import describe_environment

CPU = torch.device("cpu")
SEARCH = Case(operation="search", rows=64, dim=6, codewords=50)
CASES = {
    "search": SEARCH,
    "cosine": replace(SEARCH, operation="cosine"),
    "inner": replace(SEARCH, operation="inner"),
    "residual": replace(SEARCH, operation="residual", stages=3),
    "vq": replace(SEARCH, operation="vq"),
    "vq training": replace(SEARCH, operation="vq", training=True),
    "gq": replace(SEARCH, operation="gq"),
    "rq": replace(SEARCH, operation="rq", stages=3),
    "fsq": Case(operation="fsq", rows=64, dim=3, levels=(8, 5, 6), training=True),
    "lfq": Case(operation="lfq", rows=64, dim=5, training=True),
    "bsq": Case(operation="bsq", rows=64, dim=5),
}


def codes_of(contender: Contender, case: Case) -> torch.Tensor:
    inputs = make_inputs(case, CPU)
    outputs = contender.implementations[case.operation].prepare(case, inputs)()
    return torch.as_tensor(outputs.codes).reshape(case.rows, case.stages).long().clone()  # no inference tensor


def ours(case: Case) -> torch.Tensor:
    return codes_of(OURS, case)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_our_codes_are_those_of_float64_and_a_wrong_one_is_seen(case: Case) -> None:
    inputs, codes = make_inputs(case, CPU), ours(case)
    assert check_codes(case, inputs, codes) == Agreement(checked=64, differ=0, wrong=0)
    codes[7, -1] = (codes[7, -1] + 1) % 32
    assert check_codes(case, inputs, codes) == Agreement(checked=64, differ=1, wrong=1)


@pytest.mark.parametrize(
    ("contender", "case"),
    [
        (CDIST, SEARCH),
        (COMPILED, SEARCH),
        *((ADDMM, CASES[name]) for name in ("search", "cosine", "inner", "residual", "gq")),
    ],
    ids=lambda value: value.name if isinstance(value, Contender) else value.operation,
)
def test_the_plain_ways_find_the_codes_of_float64(contender: Contender, case: Case) -> None:
    with torch.compiler.set_stance("force_eager"):  # compiling takes half a minute
        assert check_codes(case, make_inputs(case, CPU), codes_of(contender, case)).wrong == 0


def test_dense_log_densities_find_the_codes_of_gq() -> None:
    assert torch.equal(codes_of(DENSE, CASES["gq"]), ours(CASES["gq"]))


def test_a_tie_decided_otherwise_differs_but_is_not_wrong() -> None:
    inputs = make_inputs(SEARCH, CPU)
    inputs.codebooks[0, 40] = inputs.codebooks[0, 3] = inputs.vectors[0]
    codes = OURS.implementations["search"].prepare(SEARCH, inputs)().codes.reshape(-1, 1).clone()
    assert codes[0, 0] == 3
    codes[0, 0] = 40
    assert check_codes(SEARCH, inputs, codes) == Agreement(checked=64, differ=1, wrong=0)


def test_a_code_outside_the_codebook_is_wrong() -> None:
    codes = ours(SEARCH)
    codes[:2, 0] = torch.tensor([-1, 50])
    assert check_codes(SEARCH, make_inputs(SEARCH, CPU), codes).wrong >= 2


def test_a_stage_is_judged_by_the_residual_of_the_codes_before_it() -> None:
    case = CASES["rq"]
    inputs, codes = make_inputs(case, CPU), ours(case)
    codes[5, 0] = (codes[5, 0] + 1) % 50
    assert check_codes(case, inputs, codes).wrong >= 1
    residual = inputs.vectors[5]
    for stage in (1, 2):  # go on from the wrong first code as it should be
        residual = residual - inputs.codebooks[stage - 1, codes[5, stage - 1]]
        codes[5, stage] = (residual - inputs.codebooks[stage]).square().sum(dim=1).argmin()
    assert check_codes(case, inputs, codes) == Agreement(checked=64, differ=1, wrong=1)


def test_gradients_are_compared_relative_to_their_length() -> None:
    assert gradient_difference(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.0])) == pytest.approx(1 / 18**0.5)


def test_inputs_are_the_same_in_every_process_and_the_gradient_is_that_of_training() -> None:
    first, second = (make_inputs(CASES["fsq"], CPU) for _ in range(2))
    assert torch.equal(first.vectors, second.vectors)
    assert first.gradient.shape == (64, 3)
    assert make_inputs(SEARCH, CPU).gradient.shape == (0, 6)


def test_a_floor_is_the_slower_of_arithmetic_and_traffic() -> None:
    rates = Rates(flops_per_second=100.0, bytes_per_second=10.0)
    assert floor_seconds(Work(flops=500, bytes=20), rates) == 5
    assert floor_seconds(Work(flops=500, bytes=80), rates) == 8


def test_the_work_of_an_operation() -> None:
    assert work_of(Case(operation="search", rows=10, dim=4, codewords=7)) == Work(
        flops=2 * 10 * 7 * 4, bytes=4 * 10 * 4 + 8 * 10 + 4 * 7 * 4
    )
    assert work_of(Case(operation="gq", rows=10, dim=4, codewords=7)) == Work(
        flops=2 * 10 * 7 * 8, bytes=3 * 4 * 10 * 4 + 8 * 10 + 4 * 7 * 4
    )
    assert work_of(Case(operation="rq", rows=10, dim=4, codewords=7, stages=3)).flops == 3 * 2 * 10 * 7 * 4
    assert work_of(Case(operation="lfq", rows=10, dim=4, training=True)) == Work(
        flops=6 * 10 * 16, bytes=4 * 4 * 10 * 4 + 8 * 10
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is Linux's")
def test_extra_memory_is_what_a_call_takes_beside_its_result() -> None:
    def call() -> Outputs:
        scratch = torch.ones(50_000_000, dtype=torch.uint8)
        return Outputs(scratch[:10_000_000].clone())

    result, extra = extra_bytes(call, CPU)
    assert result.codes.nbytes == 10_000_000
    assert extra == pytest.approx(50e6, rel=0.1)


def answers_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, contender: str, free: int) -> list[dict[str, Any]]:
    monkeypatch.setattr(worker, "confine_to", lambda extra: None)  # this process is the test run
    monkeypatch.setattr(worker, "free_bytes", lambda device: free)
    task = {"contender": contender, "case": vars(SEARCH), "device": "cpu", "threads": torch.get_num_threads()}
    questions = [task | {"answer_file": str(tmp_path / "answer.safetensors")}, {"calls": 2}]
    answers = io.StringIO()
    worker.serve(io.StringIO("\n".join(map(json.dumps, questions)) + "\n"), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_worker_measures_and_saves_its_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = answers_of(monkeypatch, tmp_path, OURS.name, free=1 << 30)
    assert first["status"] == "ready"
    assert len(second["seconds"]) == 2
    assert torch.equal(load_file(tmp_path / "answer.safetensors")["codes"], ours(SEARCH))


def test_a_worker_does_not_take_memory_that_is_not_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (answer,) = answers_of(monkeypatch, tmp_path, CDIST.name, free=1000)
    assert answer["status"] == "cannot allocate"
    assert "are free" in answer["reason"]


def test_a_library_that_is_not_installed_is_named_with_how_to_get_it() -> None:
    absent = replace(CDIST, module="no_such_module")
    (result,) = measure_case(SEARCH, [absent], CPU, 1, {}, say=print)
    assert (result.status, result.reason) == ("not installed", INSTALL_HINT)


def test_every_goal_can_be_measured_where_it_holds() -> None:
    for goal in (*GOALS, *map(smaller, GOALS)):
        names = [contender.name for contender in contenders_of(goal.case, goal.device)]
        assert names[0] == OURS.name
        assert {goal.ours, goal.peer} <= set(names)
        assert goal.case.rows % (goal.peer_rows or 1) == 0


def test_large_codebooks_of_the_peer_are_known_not_to_fit() -> None:
    case = Case(operation="vq", rows=65_536, dim=64, codewords=65_536)
    assert VECTOR_QUANTIZE.implementations["vq"].need(case) > 68e9


GOAL = Goal(case=SEARCH, peer="peer", faster=4, memory=10)
MINE = Measurement(
    contender=OURS.name,
    rows=64,
    scale=1,
    status="ok",
    seconds=(0.9, 1.0, 1.5),
    extra_bytes=2_000_000,
    agreement=Agreement(checked=64, differ=0, wrong=0),
)
PEER = replace(MINE, contender="peer", rows=32, scale=2, memory_scale=2, seconds=(3.0,), extra_bytes=30_000_000)


def verdict_of(goal: Goal = GOAL, mine: Measurement = MINE, peer: Measurement = PEER, device: str = "cpu") -> Any:
    return judge(goal, {OURS.name: mine, "peer": peer}, floor=0.25, device=device)


def test_a_goal_that_is_reached() -> None:
    verdict = verdict_of()
    assert (verdict.faster, verdict.memory, verdict.floor_share) == (6.0, 30.0, 0.25)
    assert (verdict.reached, verdict.missed) == (True, "")


@pytest.mark.parametrize(
    ("goal", "missed"),
    [
        (replace(GOAL, faster=12), "time 2× off"),
        (replace(GOAL, memory=45), "memory 1.5× off"),
        (replace(GOAL, extra_mb=1), "extra memory 2× off"),
        (replace(GOAL, floor_share=0.5), "share of the floor's speed 2× off"),
    ],
)
def test_a_goal_that_is_missed_says_by_how_much(goal: Goal, missed: str) -> None:
    verdict = verdict_of(goal)
    assert (verdict.reached, verdict.missed) == (False, missed)


def test_speed_with_wrong_codes_reaches_nothing() -> None:
    wrong = replace(MINE, agreement=Agreement(checked=64, differ=1, wrong=1))
    assert verdict_of(mine=wrong).reached is False


def test_nothing_is_reached_against_a_peer_that_did_not_run_but_a_limit_of_memory_is() -> None:
    gone = replace(PEER, status="cannot allocate", reason="takes 69 GB", seconds=(), extra_bytes=None)
    assert verdict_of(peer=gone).reached is None
    limit = replace(GOAL, faster=None, memory=None, extra_mb=64)
    assert verdict_of(limit, peer=gone).reached is True


def test_a_goal_is_not_judged_on_another_device() -> None:
    assert verdict_of(replace(GOAL, faster=100), device="cuda").reached is None


def test_the_table_shows_what_was_measured_scaled_missing_and_wrong() -> None:
    gone = replace(PEER, contender="absent", status="not installed", reason=INSTALL_HINT, seconds=(), extra_bytes=None)
    wrong = replace(PEER, contender="hasty", agreement=Agreement(checked=64, differ=5, wrong=3))
    goal = replace(GOAL, faster=12)
    report = Report(
        command="python -m benchmarks.peers",
        environment=describe_environment(CPU, threads=2),
        versions={"peer": "1.0"},
        rates=Rates(flops_per_second=5e10, bytes_per_second=1e10),
        load=(1.7, 2.0),
        goals=[Judged(goal=goal, verdict=verdict_of(goal)), Judged(goal=GOAL, verdict=None, reason="needs cuda")],
        cases=[Measured(case=SEARCH, floor=0.25, results=[MINE, PEER, wrong, gone])],
    )
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in as_markdown(report).splitlines()]
    title = "Euclidean search, K=50, d=6, N=64"
    goal_line = [title, "peer", "≥ 12× faster, ≤ 1/10 of the memory", "6.0× (N=32, ×2)", "1/30", "2 MB", "4.0"]
    assert [*goal_line, "no: time 2× off"] in lines
    assert "not measured: needs cuda" in [line[-1] for line in lines if line]
    assert ["", "peer", "6.00 s (N=32, ×2)", "–", "6.00", "60 MB", "24.0", "exact of 64"] in lines
    assert ["", "absent", f"not installed: {INSTALL_HINT}", *["–"] * 5] in lines
    assert "5 differ, **3 wrong** of 64" in [line[-1] for line in lines if line]
    assert "The machine was busy" in as_markdown(report)
    stored = json.loads(json.dumps(as_json(report)))
    assert stored["cases"][0]["results"][1]["median_seconds"] == 6.0
    assert stored["goals"][0]["verdict"]["missed"] == "time 2× off"


def test_contenders_have_names_of_their_own_and_say_what_to_install() -> None:
    assert [contender.name for contender in CONTENDERS.values()] == list(CONTENDERS)
    assert all(contender.package for contender in CONTENDERS.values())
