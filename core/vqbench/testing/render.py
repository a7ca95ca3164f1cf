"""Outcomes as text, JSON and JUnit's XML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, TypeAlias
from xml.etree import ElementTree

from tabulate import tabulate

from vqbench.leaderboard.notation import clean
from vqbench.testing.outcome import Outcome, Status

__all__ = ["Format", "render"]

Format: TypeAlias = Literal["table", "json", "junit"]
MARKS: dict[Status, str] = {
    "passed": "ok",
    "failed": "FAILED",
    "not applicable": "–",
    "failed as expected": "expected",
    "passed unexpectedly": "UNEXPECTED",
}


def render(outcomes: Sequence[Outcome], form: Format) -> str:
    """All outcomes, with a line break at the end."""
    return {"table": _table, "json": _json, "junit": _junit}[form](outcomes)


def _table(outcomes: Sequence[Outcome]) -> str:
    parts = []
    for subject, its in groupby(outcomes, key=lambda outcome: outcome.subject):
        listed = list(its)
        rows = [(o.check.name, MARKS[o.status], "" if not o.good else clean(o.message)) for o in listed]
        table = tabulate(rows, headers=("check", "", ""), tablefmt="simple", disable_numparse=True)
        parts.append("\n".join([clean(subject), "", table, *(_explained(o) for o in listed if not o.good)]))
    return "\n\n".join([*parts, _summary(outcomes)]) + "\n"


def _explained(outcome: Outcome) -> str:
    lines = [f"\n{outcome.check.name}: {clean(outcome.message)}"]
    lines += [f"  what it protects: {outcome.check.protects}", f"  to mend it: {outcome.check.fix}"]
    if outcome.traceback:
        lines += ["", *("  " + clean(line) for line in outcome.traceback.rstrip().splitlines())]
    return "\n".join(lines)


def _summary(outcomes: Sequence[Outcome]) -> str:
    counted = Counter(outcome.status for outcome in outcomes)
    return "Checks: " + (", ".join(f"{counted[status]} {status}" for status in MARKS if counted[status]) or "none")


def _json(outcomes: Sequence[Outcome]) -> str:
    rows: list[dict[str, Any]] = [
        {
            "component": outcome.subject,
            "check": outcome.check.name,
            "status": outcome.status,
            "message": outcome.message or None,
            "protects": outcome.check.protects,
            "fix": outcome.check.fix,
            "traceback": outcome.traceback,
        }
        for outcome in outcomes
    ]
    return json.dumps({"good": all(outcome.good for outcome in outcomes), "checks": rows}, indent=2) + "\n"


def _junit(outcomes: Sequence[Outcome]) -> str:
    suite = ElementTree.Element("testsuite", name="vqbench check", tests=str(len(outcomes)), errors="0")
    suite.set("failures", str(sum(not outcome.good for outcome in outcomes)))
    suite.set("skipped", str(sum(outcome.good and outcome.status != "passed" for outcome in outcomes)))
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=clean(outcome.subject), name=outcome.check.name, time="0"
        )
        if not outcome.good:
            failure = ElementTree.SubElement(case, "failure", type=outcome.status, message=clean(outcome.message))
            failure.text = "\n".join(clean(line) for line in _explained(outcome).strip().splitlines())
        elif outcome.status != "passed":
            ElementTree.SubElement(case, "skipped", message=clean(f"{outcome.status}: {outcome.message}"))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
