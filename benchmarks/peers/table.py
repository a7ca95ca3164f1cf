"""What was measured, as Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate

from benchmarks.peers.cases import Case
from benchmarks.peers.goals import Goal, Verdict
from benchmarks.peers.measure import Measurement
from benchmarks.peers.roofline import Rates
from vqbench.results import EnvironmentRecord

__all__ = ["BUSY", "Judged", "Measured", "Report", "as_json", "as_markdown"]

NONE = "–"
BUSY = 0.5
"""Load average per thread at the start from which on numbers are not worth much."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All contenders of one case, vqbench first, and the floor of the operation in seconds."""

    case: Case
    floor: float
    results: Sequence[Measurement]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A goal and how it stands; ``verdict`` None where its case was not measured, for the reason given."""

    goal: Goal
    verdict: Verdict | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run.

    Attributes:
        command: how to make it again.
        environment: where it ran.
        versions: of the contenders' packages, by distribution.
        rates: the machine's.
        load: load average before the run and after it; None where unknown.
        goals: the lines of the goals table.
        cases: what was measured.
    """

    command: str
    environment: EnvironmentRecord
    versions: dict[str, str]
    rates: Rates
    load: tuple[float, float] | None
    goals: Sequence[Judged]
    cases: Sequence[Measured]


def as_json(report: Report) -> dict[str, Any]:
    """Everything, times of single calls included."""
    return {
        "schema": 1,
        "command": report.command,
        "environment": report.environment.model_dump(mode="json"),
        "versions": report.versions,
        "load": report.load,
        "rates": asdict(report.rates),
        "goals": [
            {
                "case": asdict(line.goal.case),
                "operation": line.goal.case.title,
                "ours": line.goal.ours,
                "peer": line.goal.peer,
                "wanted": line.goal.wanted,
                "verdict": None if line.verdict is None else asdict(line.verdict),
                "reason": line.reason,
            }
            for line in report.goals
        ],
        "cases": [
            {
                "case": asdict(measured.case),
                "operation": measured.case.title,
                "floor_seconds": measured.floor,
                "results": [
                    asdict(result) | {"median_seconds": result.median_seconds, "case_bytes": result.case_bytes}
                    for result in measured.results
                ],
            }
            for measured in report.cases
        ],
    }


def as_markdown(report: Report) -> str:
    """The goals, then every contender, then where it was measured."""
    where = report.environment
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    load = "unknown" if report.load is None else f"{report.load[0]:.1f} at the start, {report.load[1]:.1f} at the end"
    return f"""# Operations beside their peers: {where.device}

Medians of calls taken in turns, in one run, {where.threads} threads each: `{report.command}`.
How to read it: `benchmarks/README.md`.{_busy(report)}

## Goals

{_goals(report)}

## Every contender

{_contenders(report)}

## Where

| | |
|---|---|
| device | {where.device} |
| threads, dtype | {where.threads}, {where.dtype} |
| system | {where.platform}, Python {where.python} |
| versions | {versions} |
| float32 matrix product | {report.rates.flops_per_second / 1e9:,.0f} GFLOP/s at best |
| copy | {report.rates.bytes_per_second / 1e9:,.1f} GB/s at best, read and written |
| load average | {load} |
"""


def _goals(report: Report) -> str:
    lines = []
    by_case = {measured.case: {result.contender: result for result in measured.results} for measured in report.cases}
    for line in report.goals:
        goal, verdict = line.goal, line.verdict
        row = [goal.case.title + _variant(goal.ours), goal.peer, goal.wanted or NONE]
        if verdict is None:
            lines.append([*row, *[NONE] * 4, f"not measured: {line.reason}"])
            continue
        peer = by_case[goal.case].get(goal.peer)
        reached = {True: "**yes**", False: "no", None: NONE}[verdict.reached]
        state = f"{reached}{': ' if verdict.missed else ''}{verdict.missed}"
        if peer is not None and peer.status != "ok":
            state += f"; the peer: {peer.status} ({peer.reason})"
        lines.append(
            [
                *row,
                f"{_factor(verdict.faster)}×{_scaled(peer)}" if verdict.faster else NONE,
                _share(verdict.memory),
                f"{verdict.extra_mb:,.0f} MB" if verdict.extra_mb is not None else NONE,
                f"{1 / verdict.floor_share:.1f}" if verdict.floor_share else NONE,
                state,
            ]
        )
    headers = ["operation", "against", "goal", "faster", "of its memory", "our extra memory", "× floor", "reached"]
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _contenders(report: Report) -> str:
    lines = []
    for measured in report.cases:
        ours = measured.results[0].median_seconds
        for place, result in enumerate(measured.results):
            name = measured.case.title if place == 0 else ""
            median = result.median_seconds
            if median is None:
                lines.append([name, result.contender, f"{result.status}: {result.reason}", *[NONE] * 5])
                continue
            lines.append(
                [
                    name,
                    result.contender,
                    _seconds(median) + _scaled(result),
                    _spread(result),
                    f"{median / ours:.2f}" if ours else NONE,
                    NONE if result.case_bytes is None else f"{result.case_bytes / 1e6:,.0f} MB",
                    f"{median / measured.floor:.1f}",
                    _agreement(result),
                ]
            )
    headers = ["operation", "contender", "median", "spread", "× vqbench", "extra memory", "× floor", "codes"]
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _busy(report: Report) -> str:
    if report.load is None or report.load[0] <= BUSY * report.environment.threads:
        return ""
    return (
        f"\n\n**The machine was busy** (load average {report.load[0]:.1f} before the run began): threads that wait for"
        " each other wait for other processes too, and no number below is what an idle machine gives."
    )


def _factor(factor: float) -> str:
    return f"{factor:.1f}" if factor >= 1 else f"{factor:.2g}"


def _share(ratio: float | None) -> str:
    """Our memory as a part or a multiple of the peer's."""
    if ratio is None:
        return NONE
    return f"1/{ratio:.0f}" if ratio >= 1 else f"{1 / ratio:.0f}×"


def _variant(contender: str) -> str:
    return f" ({contender.removeprefix('vqbench, ')})" if contender != "vqbench" else ""


def _scaled(result: Measurement | None) -> str:
    return f" (N={result.rows:,}, ×{result.scale})" if result and result.scale > 1 else ""


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def _spread(result: Measurement) -> str:
    """Half the distance between the quartiles, in per cent of the median."""
    if len(result.seconds) < 2:
        return NONE
    low, middle, high = statistics.quantiles(result.seconds, n=4, method="inclusive")
    return f"±{(high - low) / 2 / middle:.0%}"


def _agreement(result: Measurement) -> str:
    agreement = result.agreement
    if agreement is None:
        return NONE
    text = "exact" if agreement.differ == 0 else f"{agreement.differ:,} differ"
    if agreement.differ and agreement.wrong == 0:
        text += ", all within rounding"
    if agreement.wrong:
        text += f", **{agreement.wrong:,} wrong**"
    text += f" of {agreement.checked:,}"
    if result.gradient_difference is not None:
        text += f"; gradient {result.gradient_difference:.0e} apart"
        text += "" if result.right or agreement.wrong else ", **wrong**"
    return text
