"""For programs: one document with full precision, in ASCII, which no terminal takes for a control sequence."""

from __future__ import annotations

import json
from typing import Any

import vqbench
from vqbench.compare.report import Finding, Report
from vqbench.results import MetricRecord

__all__ = ["render_json"]

SCHEMA_VERSION = 1


def render_json(report: Report) -> str:
    """``{"base": …, "new": …, "exit_code": …, "conclusion": …, "counts": {…}, "findings": […], …}``."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "vqbench_version": vqbench.__version__,
        "base": report.base,
        "new": report.new,
        "exit_code": report.exit_code,
        "conclusion": report.conclusion,
        "counts": report.counts,
        "comparisons": report.comparisons,
        "ignored": report.ignored,
        "unused_rules": list(report.unused),
        "findings": [_finding(finding) for finding in report.findings],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    entry = finding.entry
    return {
        "id": entry.id,
        "kind": entry.kind,
        "suite": entry.suite,
        "labels": list(entry.labels),
        "seed": entry.seed,
        "metric": finding.metric,
        "verdict": finding.verdict,
        "effect": finding.effect,
        "base": _number(finding.base),
        "new": _number(finding.new),
        "difference": finding.difference,
        "ratio": finding.ratio,
        "p_corrected": finding.p,
        "method": finding.method or None,
        "reason": finding.reason or None,
        "too_noisy": finding.too_noisy,
    }


def _number(number: MetricRecord | None) -> dict[str, Any] | None:
    return (
        None
        if number is None
        else {key: getattr(number, key) for key in ("value", "low", "high", "n", "unit", "better")}
    )
